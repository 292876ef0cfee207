public import Kernels
public import Tensor

/// Weights on a learned range (LTS): v = (w − l)/(h − l), q = round(clamp(v, 0, 1)·n)/n with n = 2^b − 1, ŵ = 2q − 1;
/// start ±3·std(w).
public final class LearnedRangeWeights: WeightQuantizer {
  /// b, 2...8.
  public let bits: Int
  /// Over which weights the gradients of h and l are summed.
  public let rangeGradient: RangeGradient
  /// h ("uW")
  public let upper: Parameter
  /// l ("lW")
  public let lower: Parameter

  /// h and l are named "LAYER.uW" and "LAYER.lW"; both are 0, and the grid means nothing, until `initialize`.
  public init(bits: Int, rangeGradient: RangeGradient, layer: String) {
    self.bits = bits
    self.rangeGradient = rangeGradient
    upper = Parameter(name: "\(layer).uW", shape: [], group: .quantizers)
    lower = Parameter(name: "\(layer).lW", shape: [], group: .quantizers)
  }

  /// h, then l.
  public var parameters: [Parameter] { [upper, lower] }
  /// h and l: both always train.
  public var trainedParameters: [Parameter] { parameters }
  /// nil: the effective weight is ŵ, in [−1, 1].
  public var outputScale: Float? { nil }
  /// h, in units of w.
  public var upperBound: Double { Double(upper.scalar) }
  /// l, in units of w; never nil.
  public var lowerBound: Double? { Double(lower.scalar) }

  /// h = 3·std(w), n − 1 in the denominator, and l = −h; ±0.5 where all weights are equal.
  public func initialize(weights: Buffer<Float>) {
    let start = threeDeviations(of: weights)
    // Equal weights say nothing about a range: it starts with width 1, since a width of 0 makes everything NaN.
    let end = start == 0 ? 0.5 : start
    upper.scalar = end
    lower.scalar = -end
  }

  /// n
  private var size: Float { Float((1 << bits) - 1) }
  private var width: Float { upper.scalar - lower.scalar }

  /// 1/(2^b − 1)
  public var spacing: Float { 1 / size }

  /// Computed from h and l at each call; levels are the odd numbers −(2^b − 1)...2^b − 1.
  public var grid: WeightGrid {
    WeightGrid(
      offset: lower.scalar, inverseStep: size / width, lowest: 0, highest: size, multiplier: 2, addend: -Int(size),
      valueScale: 1 / size)
  }

  /// 2/(h − l)
  public var gradientScale: Float { 2 / width }

  /// Where the range's gradient sums over frozen weights too.
  public var needsDenseGradient: Bool { rangeGradient == .dense }

  /// ∂ŵ/∂h = −2(w − l)/(h − l)², ∂ŵ/∂l = 2(w − h)/(h − l)²
  public func setGradients(_ sums: RangeSums, gradientTimesQuantized: Double) {
    let h = Double(upper.scalar)
    let l = Double(lower.scalar)
    let squaredWidth = (h - l) * (h - l)
    upper.gradient[0] = Float(-2 * (sums.gradientTimesValue - l * sums.gradient) / squaredWidth)
    lower.gradient[0] = Float(2 * (sums.gradientTimesValue - h * sums.gradient) / squaredWidth)
  }
}
