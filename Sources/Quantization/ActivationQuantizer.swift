public import Kernels
public import Tensor

/// Quantizes the input of one layer, with a learned scale (`spqat`) or range (`lts`).
///
/// - `spqat`: x̂ = round(clamp(x / (|s| + 1e-6) · 2^b, 0, 2^b − 1)) / 2^b, start s = 3·std(x) / sqrt(1 − 2/π).
/// - `lts`: x̂ = round(clamp((x − l) / (h − l), 0, 1) · n) / n with n = 2^b − 1, start l = min(x) and h as s above.
///
/// Rounding passes the gradient straight through; the clamp passes it inside its range, both ends included.
public final class ActivationQuantizer {
  public let recipe: Recipe
  public let bits: Int
  /// s ("sA"); only in `spqat`.
  public let scale: Parameter?
  /// h and l ("uA", "lA"); only in `lts`.
  public let upper: Parameter?
  public let lower: Parameter?
  /// False until the first training batch has set the parameters.
  public var isInitialized = false

  /// Keeps the denominator away from 0, as the published code does.
  static let epsilon: Float = 1e-6
  /// sqrt(1 − 2/π): the standard deviation of a half-normal variable over that of the normal one.
  static let halfNormalDeviation = 0.602810275989780

  public init(recipe: Recipe, bits: Int, layer: String) {
    self.recipe = recipe
    self.bits = bits
    switch recipe {
    case .spqat:
      scale = Parameter(name: "\(layer).sA", shape: [], group: .quantizers)
      upper = nil
      lower = nil
    case .lts:
      scale = nil
      upper = Parameter(name: "\(layer).uA", shape: [], group: .quantizers)
      lower = Parameter(name: "\(layer).lA", shape: [], group: .quantizers)
    }
  }

  public var parameters: [Parameter] { [scale, upper, lower].compactMap { $0 } }

  /// 2^b − 1
  public var maximumLevel: Int { (1 << bits) - 1 }

  /// The value of one level: x̂ = level · step.
  public var step: Float { recipe == .spqat ? 1 / Float(1 << bits) : 1 / Float(maximumLevel) }

  public func initialize(minimum: Double, standardDeviation: Double) {
    let start = Float(3 * standardDeviation / Self.halfNormalDeviation)
    scale?.scalar = start
    // Inputs without spread say nothing about a range: it starts with width 1, since a width of 0 makes everything NaN.
    upper?.scalar = start <= Float(minimum) ? Float(minimum) + 1 : start
    lower?.scalar = Float(minimum)
    isInitialized = true
  }

  public var grid: ActivationGrid {
    switch recipe {
    case .spqat:
      let width = abs(scale!.scalar) + Self.epsilon
      return ActivationGrid(
        lower: 0, inverseStep: Float(1 << bits) / width, levels: Float(maximumLevel), gradientScale: 1 / width)
    case .lts:
      let width = upper!.scalar - lower!.scalar
      return ActivationGrid(
        lower: lower!.scalar, inverseStep: Float(maximumLevel) / width, levels: Float(maximumLevel),
        gradientScale: 1 / width)
    }
  }

  /// Sets the parameters' gradients from the sums over the in-range elements:
  /// ∂x̂/∂s = −x·sign(s)/(|s| + 1e-6)²; ∂x̂/∂h = −(x − l)/(h − l)², ∂x̂/∂l = (x − h)/(h − l)².
  public func setGradients(_ sums: RangeSums) {
    switch recipe {
    case .spqat:
      let width = Double(abs(scale!.scalar) + Self.epsilon)
      let sign = scale!.scalar > 0 ? 1.0 : scale!.scalar < 0 ? -1.0 : 0
      scale!.gradient[0] = Float(-sign * sums.gradientTimesValue / (width * width))
    case .lts:
      let h = Double(upper!.scalar)
      let l = Double(lower!.scalar)
      let squaredWidth = (h - l) * (h - l)
      upper!.gradient[0] = Float(-(sums.gradientTimesValue - l * sums.gradient) / squaredWidth)
      lower!.gradient[0] = Float((sums.gradientTimesValue - h * sums.gradient) / squaredWidth)
    }
  }
}
