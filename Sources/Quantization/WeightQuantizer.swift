public import Kernels
public import Tensor

/// Quantizes one layer's weights: on a fixed scale (`spqat`), or on a learned range (`lts`).
///
/// - `spqat`: v = w / (|s| + 1e-6); ŵ = round(clamp(v·2^(b−1), −2^(b−1), 2^(b−1) − 1)) / 2^(b−1), s = 3·std(w), fixed;
///   the last layer learns s and uses s·ŵ.
/// - `lts`: v = (w − l)/(h − l); q = round(clamp(v, 0, 1)·n)/n with n = 2^b − 1; ŵ = 2q − 1; start ±3·std(w), learned.
public final class WeightQuantizer {
  public let recipe: Recipe
  public let bits: Int
  public let rangeGradient: RangeGradient
  /// Whether the effective weight is s·ŵ, with s learned (the last layer of `spqat`).
  public let isRescaled: Bool
  /// s ("sW"): a learned parameter only where `isRescaled`.
  public let scale: Parameter?
  /// h and l ("uW", "lW"); only in `lts`.
  public let upper: Parameter?
  public let lower: Parameter?

  public init(recipe: Recipe, bits: Int, rangeGradient: RangeGradient, isRescaled: Bool, layer: String) {
    precondition(!isRescaled || recipe == .spqat, "learned ranges have no output scale")
    self.recipe = recipe
    self.bits = bits
    self.rangeGradient = rangeGradient
    self.isRescaled = isRescaled
    switch recipe {
    case .spqat:
      scale = Parameter(name: "\(layer).sW", shape: [], group: .quantizers)
      upper = nil
      lower = nil
    case .lts:
      scale = nil
      upper = Parameter(name: "\(layer).uW", shape: [], group: .quantizers)
      lower = Parameter(name: "\(layer).lW", shape: [], group: .quantizers)
    }
  }

  /// All numbers that describe the grid, trained or not.
  public var parameters: [Parameter] { [scale, upper, lower].compactMap { $0 } }

  /// Those that training changes.
  public var trainedParameters: [Parameter] { recipe == .spqat && !isRescaled ? [] : parameters }

  /// Sets the scale or range from pretrained weights: 3·std(w), n − 1 in the denominator.
  public func initialize(weights: Buffer<Float>) {
    let count = Double(weights.count)
    var mean = 0.0
    for value in weights { mean += Double(value) }
    mean /= count
    var squares = 0.0
    for value in weights { squares += (Double(value) - mean) * (Double(value) - mean) }
    let start = Float(3 * (squares / (count - 1)).squareRoot())
    scale?.scalar = start
    // Equal weights say nothing about a range: it starts with width 1, since a width of 0 makes everything NaN.
    let end = start == 0 ? 0.5 : start
    upper?.scalar = end
    lower?.scalar = -end
  }

  /// 2^(b−1) in `spqat`, 2^b − 1 in `lts`.
  private var gridSize: Float { recipe == .spqat ? Float(1 << (bits - 1)) : Float((1 << bits) - 1) }

  private var width: Float {
    switch recipe {
    case .spqat: abs(scale!.scalar) + ActivationQuantizer.epsilon
    case .lts: upper!.scalar - lower!.scalar
    }
  }

  /// u, the distance between two levels in units of v: 2/2^b in `spqat`, 1/(2^b − 1) in `lts`.
  public var spacing: Float { 1 / gridSize }

  public var grid: WeightGrid {
    let size = gridSize
    switch recipe {
    case .spqat:
      return WeightGrid(
        offset: 0, inverseStep: size / width, lowest: -size, highest: size - 1, multiplier: 1, addend: 0,
        valueScale: (isRescaled ? scale!.scalar : 1) / size)
    case .lts:
      return WeightGrid(
        offset: lower!.scalar, inverseStep: size / width, lowest: 0, highest: size, multiplier: 2, addend: -Int(size),
        valueScale: 1 / size)
    }
  }

  /// The straight-through factor from the gradient of the effective weight to that of w, in range:
  /// 1/(|s| + 1e-6), times s in the last layer, or 2/(h − l).
  public var gradientScale: Float {
    switch recipe {
    case .spqat: (isRescaled ? scale!.scalar : 1) / width
    case .lts: 2 / width
    }
  }

  /// Whether the gradient of every weight is needed, frozen or not.
  public var needsDenseGradient: Bool { recipe == .lts && rangeGradient == .dense }

  /// Sets the gradients of the learned scale or range.
  /// - Parameters:
  ///   - sums: Σ g and Σ g·w over in-range weights, g the gradient of the effective weight.
  ///   - gradientTimesQuantized: Σ g·ŵ over all weights; used where `isRescaled`.
  public func setGradients(_ sums: RangeSums, gradientTimesQuantized: Double) {
    switch recipe {
    case .spqat:
      guard isRescaled else { return }
      let s = Double(scale!.scalar)
      let width = Double(self.width)
      let sign = s > 0 ? 1.0 : s < 0 ? -1.0 : 0
      scale!.gradient[0] = Float(gradientTimesQuantized - s * sign * sums.gradientTimesValue / (width * width))
    case .lts:
      let h = Double(upper!.scalar)
      let l = Double(lower!.scalar)
      let squaredWidth = (h - l) * (h - l)
      upper!.gradient[0] = Float(-2 * (sums.gradientTimesValue - l * sums.gradient) / squaredWidth)
      lower!.gradient[0] = Float(2 * (sums.gradientTimesValue - h * sums.gradient) / squaredWidth)
    }
  }
}
