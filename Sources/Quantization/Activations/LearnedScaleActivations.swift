public import Kernels
public import Tensor

/// Activations on a learned scale (SpQAT): x̂ = round(clamp(x / (|s| + 1e-6) · 2^b, 0, 2^b − 1)) / 2^b.
public final class LearnedScaleActivations: ActivationQuantizer {
  public let bits: Int
  /// s ("sA")
  public let scale: Parameter
  public var isInitialized = false

  public init(bits: Int, layer: String) {
    self.bits = bits
    scale = Parameter(name: "\(layer).sA", shape: [], group: .quantizers)
  }

  public var parameters: [Parameter] { [scale] }
  public var upperBound: Double { Double(scale.scalar) }
  public var lowerBound: Double? { nil }

  public func initialize(minimum: Double, standardDeviation: Double) {
    scale.scalar = activationStart(standardDeviation: standardDeviation)
    isInitialized = true
  }

  private var width: Float { abs(scale.scalar) + scaleFloor }

  public var step: Float { 1 / Float(1 << bits) }

  public var grid: ActivationGrid {
    ActivationGrid(
      lower: 0, inverseStep: Float(1 << bits) / width, levels: Float(maximumLevel), gradientScale: 1 / width)
  }

  /// ∂x̂/∂s = −x·sign(s)/(|s| + 1e-6)²
  public func setGradients(_ sums: RangeSums) {
    let width = Double(self.width)
    let sign = scale.scalar > 0 ? 1.0 : scale.scalar < 0 ? -1.0 : 0
    scale.gradient[0] = Float(-sign * sums.gradientTimesValue / (width * width))
  }
}
