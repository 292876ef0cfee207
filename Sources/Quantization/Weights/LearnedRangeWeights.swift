public import Kernels
public import Tensor

/// Weights on a learned range (LTS): v = (w − l)/(h − l), q = round(clamp(v, 0, 1)·n)/n with n = 2^b − 1, ŵ = 2q − 1;
/// start ±3·std(w).
public final class LearnedRangeWeights: WeightQuantizer {
  public let bits: Int
  public let rangeGradient: RangeGradient
  /// h ("uW")
  public let upper: Parameter
  /// l ("lW")
  public let lower: Parameter

  public init(bits: Int, rangeGradient: RangeGradient, layer: String) {
    self.bits = bits
    self.rangeGradient = rangeGradient
    upper = Parameter(name: "\(layer).uW", shape: [], group: .quantizers)
    lower = Parameter(name: "\(layer).lW", shape: [], group: .quantizers)
  }

  public var parameters: [Parameter] { [upper, lower] }
  public var trainedParameters: [Parameter] { parameters }
  public var outputScale: Float? { nil }
  public var upperBound: Double { Double(upper.scalar) }
  public var lowerBound: Double? { Double(lower.scalar) }

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

  public var grid: WeightGrid {
    WeightGrid(
      offset: lower.scalar, inverseStep: size / width, lowest: 0, highest: size, multiplier: 2, addend: -Int(size),
      valueScale: 1 / size)
  }

  /// 2/(h − l)
  public var gradientScale: Float { 2 / width }

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
