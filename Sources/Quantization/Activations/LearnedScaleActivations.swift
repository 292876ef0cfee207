public import Kernels
public import Tensor

/// Activations on a learned scale (SpQAT): x̂ = round(clamp(x / (|s| + 1e-6) · 2^b, 0, 2^b − 1)) / 2^b.
public final class LearnedScaleActivations: ActivationQuantizer {
  /// b, 2...8.
  public let bits: Int
  /// s ("sA")
  public let scale: Parameter
  /// False until s is set: by `initialize`, or by whoever fills it, who sets this too.
  public var isInitialized = false

  /// s is named "LAYER.sA" and is 0 until `initialize`.
  public init(bits: Int, layer: String) {
    self.bits = bits
    scale = Parameter(name: "\(layer).sA", shape: [], group: .quantizers)
  }

  /// s alone.
  public var parameters: [Parameter] { [scale] }
  /// s, in units of x; its sign is kept.
  public var upperBound: Double { Double(scale.scalar) }
  /// nil: the range starts at 0.
  public var lowerBound: Double? { nil }

  /// Sets s to 3·std(x) / sqrt(1 − 2/π); the minimum is not read.
  public func initialize(minimum: Double, standardDeviation: Double) {
    scale.scalar = activationStart(standardDeviation: standardDeviation)
    isInitialized = true
  }

  private var width: Float { abs(scale.scalar) + scaleFloor }

  /// 1/2^b: the highest level, 2^b − 1, stands for a little less than 1.
  public var step: Float { 1 / Float(1 << bits) }

  /// Computed from s at each call; finite for every finite s, 0 too.
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
