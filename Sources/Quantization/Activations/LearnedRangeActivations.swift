public import Kernels
public import Tensor

/// Activations on a learned range (LTS): x̂ = round(clamp((x − l) / (h − l), 0, 1) · n) / n with n = 2^b − 1; l starts at
/// the least activation.
public final class LearnedRangeActivations: ActivationQuantizer {
  public let bits: Int
  /// h ("uA")
  public let upper: Parameter
  /// l ("lA")
  public let lower: Parameter
  public var isInitialized = false

  public init(bits: Int, layer: String) {
    self.bits = bits
    upper = Parameter(name: "\(layer).uA", shape: [], group: .quantizers)
    lower = Parameter(name: "\(layer).lA", shape: [], group: .quantizers)
  }

  public var parameters: [Parameter] { [upper, lower] }
  public var upperBound: Double { Double(upper.scalar) }
  public var lowerBound: Double? { Double(lower.scalar) }

  public func initialize(minimum: Double, standardDeviation: Double) {
    let start = activationStart(standardDeviation: standardDeviation)
    // Inputs without spread say nothing about a range: it starts with width 1, since a width of 0 makes everything NaN.
    upper.scalar = start <= Float(minimum) ? Float(minimum) + 1 : start
    lower.scalar = Float(minimum)
    isInitialized = true
  }

  public var step: Float { 1 / Float(maximumLevel) }

  public var grid: ActivationGrid {
    let width = upper.scalar - lower.scalar
    return ActivationGrid(
      lower: lower.scalar, inverseStep: Float(maximumLevel) / width, levels: Float(maximumLevel),
      gradientScale: 1 / width)
  }

  /// ∂x̂/∂h = −(x − l)/(h − l)², ∂x̂/∂l = (x − h)/(h − l)²
  public func setGradients(_ sums: RangeSums) {
    let h = Double(upper.scalar)
    let l = Double(lower.scalar)
    let squaredWidth = (h - l) * (h - l)
    upper.gradient[0] = Float(-(sums.gradientTimesValue - l * sums.gradient) / squaredWidth)
    lower.gradient[0] = Float((sums.gradientTimesValue - h * sums.gradient) / squaredWidth)
  }
}
