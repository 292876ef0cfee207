public import Kernels
public import Tensor

/// Weights on a scale that training leaves alone (SpQAT): v = w / (|s| + 1e-6),
/// ŵ = round(clamp(v·2^(b−1), −2^(b−1), 2^(b−1) − 1)) / 2^(b−1), s = 3·std(w).
///
/// With a learned output scale s trains and the effective weight is s·ŵ.
public final class FixedScaleWeights: WeightQuantizer {
  /// b, 2...8.
  public let bits: Int
  /// Whether the effective weight is s·ŵ with s trained, or ŵ with s as `initialize` left it.
  public let learnsOutputScale: Bool
  /// s ("sW")
  public let scale: Parameter

  /// s is named "LAYER.sW" and is 0 until `initialize`.
  public init(bits: Int, learnsOutputScale: Bool, layer: String) {
    self.bits = bits
    self.learnsOutputScale = learnsOutputScale
    scale = Parameter(name: "\(layer).sW", shape: [], group: .quantizers)
  }

  /// s, trained or not.
  public var parameters: [Parameter] { [scale] }
  /// s where the output scale is learned, otherwise none.
  public var trainedParameters: [Parameter] { learnsOutputScale ? [scale] : [] }
  /// s where it is learned, otherwise nil.
  public var outputScale: Float? { learnsOutputScale ? scale.scalar : nil }
  /// s, in units of w; its sign is kept.
  public var upperBound: Double { Double(scale.scalar) }
  /// nil: the grid hangs on s alone.
  public var lowerBound: Double? { nil }

  /// s = 3·std(w), n − 1 in the denominator.
  public func initialize(weights: Buffer<Float>) { scale.scalar = threeDeviations(of: weights) }

  /// 2^(b−1)
  private var size: Float { Float(1 << (bits - 1)) }
  private var width: Float { abs(scale.scalar) + scaleFloor }

  /// 2/2^b
  public var spacing: Float { 1 / size }

  /// Computed from s at each call; finite for every finite s, 0 too.
  public var grid: WeightGrid {
    WeightGrid(
      offset: 0, inverseStep: size / width, lowest: -size, highest: size - 1, multiplier: 1, addend: 0,
      valueScale: (outputScale ?? 1) / size)
  }

  /// 1/(|s| + 1e-6), times s where the output is scaled.
  public var gradientScale: Float { (outputScale ?? 1) / width }

  /// Never: that is for learned ranges.
  public var needsDenseGradient: Bool { false }

  /// ∂(s·ŵ)/∂s = ŵ − s·sign(s)·w/(|s| + 1e-6)²
  public func setGradients(_ sums: RangeSums, gradientTimesQuantized: Double) {
    guard learnsOutputScale else { return }
    let s = Double(scale.scalar)
    let width = Double(self.width)
    let sign = s > 0 ? 1.0 : s < 0 ? -1.0 : 0
    scale.gradient[0] = Float(gradientTimesQuantized - s * sign * sums.gradientTimesValue / (width * width))
  }
}
