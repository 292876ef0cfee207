public import Kernels
public import Tensor

/// Activations on a learned range (LTS): x̂ = round(clamp((x − l) / (h − l), 0, 1) · n) / n with n = 2^b − 1; l starts at
/// the least activation.
public final class LearnedRangeActivations: ActivationQuantizer {
  /// b, 2...8.
  public let bits: Int
  /// h ("uA")
  public let upper: Parameter
  /// l ("lA")
  public let lower: Parameter
  /// False until h and l are set: by `initialize`, or by whoever fills them, who sets it too.
  public var isInitialized = false

  /// h and l are named "LAYER.uA" and "LAYER.lA"; both are 0, and the grid means nothing, until `initialize`.
  public init(bits: Int, layer: String) {
    self.bits = bits
    upper = Parameter(name: "\(layer).uA", shape: [], group: .quantizers)
    lower = Parameter(name: "\(layer).lA", shape: [], group: .quantizers)
  }

  /// h, then l.
  public var parameters: [Parameter] { [upper, lower] }
  /// h, in units of x.
  public var upperBound: Double { Double(upper.scalar) }
  /// l, in units of x; never nil.
  public var lowerBound: Double? { Double(lower.scalar) }

  /// Sets l to the minimum and h to 3·std(x) / sqrt(1 − 2/π), or to l + 1 where that is not above l.
  public func initialize(minimum: Double, standardDeviation: Double) {
    let start = activationStart(standardDeviation: standardDeviation)
    // Inputs without spread say nothing about a range: it starts with width 1, since a width of 0 makes everything NaN.
    upper.scalar = start <= Float(minimum) ? Float(minimum) + 1 : start
    lower.scalar = Float(minimum)
    isInitialized = true
  }

  /// 1/(2^b − 1)
  public var step: Float { 1 / Float(maximumLevel) }

  /// Computed from h and l at each call; NaN or infinite where h = l.
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
