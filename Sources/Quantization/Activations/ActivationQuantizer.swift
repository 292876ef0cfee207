public import Kernels
public import Tensor

/// Quantizes the input of one layer: a grid of 2^b levels from 0 and the numbers that it hangs on.
///
/// Rounding passes the gradient straight through; the clamp passes it inside its range, both ends included.
public protocol ActivationQuantizer: AnyObject {
  /// 2...8
  var bits: Int { get }
  /// All learned; the one that `upperBound` reports comes first.
  var parameters: [Parameter] { get }
  /// False until the first training batch has set the parameters.
  var isInitialized: Bool { get set }

  /// Sets the parameters from the layer's first input.
  func initialize(minimum: Double, standardDeviation: Double)

  /// The value of one level: x̂ = level · step.
  var step: Float { get }
  /// The grid in force.
  var grid: ActivationGrid { get }

  /// Sets the parameters' gradients from the sums over the in-range elements.
  func setGradients(_ sums: RangeSums)

  /// The grid's scale or the upper end of its range, as run files record it.
  var upperBound: Double { get }
  /// The lower end of the range; nil where the grid hangs on a scale alone.
  var lowerBound: Double? { get }
}

extension ActivationQuantizer {
  /// 2^b − 1
  public var maximumLevel: Int { (1 << bits) - 1 }
}

/// The ways to quantize activations, in one list.
public enum ActivationRule: String, Hashable, Sendable, CaseIterable {
  /// `LearnedScaleActivations`.
  case learnedScale
  /// `LearnedRangeActivations`.
  case learnedRange

  /// - Parameter layer: what the names of the parameters begin with.
  public func quantizer(bits: Int, layer: String) -> any ActivationQuantizer {
    switch self {
    case .learnedScale: LearnedScaleActivations(bits: bits, layer: layer)
    case .learnedRange: LearnedRangeActivations(bits: bits, layer: layer)
    }
  }
}

/// Where the upper end of an activation's grid starts: 3·std(x) / sqrt(1 − 2/π), the divisor being the standard deviation
/// of a half-normal variable over that of the normal one.
func activationStart(standardDeviation: Double) -> Float { Float(3 * standardDeviation / 0.602810275989780) }
