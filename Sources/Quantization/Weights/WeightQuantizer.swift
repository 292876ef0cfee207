public import Kernels
public import Tensor

/// Quantizes one layer's weights: a grid and the numbers that it hangs on, with their start and their gradients.
///
/// v is a weight in units in which the grid lies fixed, u the distance of two levels there.
public protocol WeightQuantizer: AnyObject {
  /// 2...8
  var bits: Int { get }
  /// All numbers that describe the grid, trained or not; the one that `upperBound` reports comes first.
  var parameters: [Parameter] { get }
  /// Those that training changes.
  var trainedParameters: [Parameter] { get }

  /// Sets the grid's numbers from the layer's weights as they are now.
  func initialize(weights: Buffer<Float>)

  /// The grid in force.
  var grid: WeightGrid { get }
  /// u
  var spacing: Float { get }
  /// The straight-through factor from the gradient of the effective weight to that of w, in range.
  var gradientScale: Float { get }
  /// Whether the gradient of every weight is needed, frozen or not.
  var needsDenseGradient: Bool { get }
  /// s where the effective weight is s·ŵ with s learned; nil where it is ŵ.
  var outputScale: Float? { get }

  /// Sets the gradients of `trainedParameters`.
  /// - Parameters:
  ///   - sums: Σ g and Σ g·w over in-range weights, g the gradient of the effective weight.
  ///   - gradientTimesQuantized: Σ g·ŵ over all weights; read where there is an `outputScale`.
  func setGradients(_ sums: RangeSums, gradientTimesQuantized: Double)

  /// The grid's scale or the upper end of its range, as run files record it.
  var upperBound: Double { get }
  /// The lower end of the range; nil where the grid hangs on a scale alone.
  var lowerBound: Double? { get }
}

/// The ways to quantize weights, in one list.
public enum WeightRule: String, Hashable, Sendable, CaseIterable {
  /// `FixedScaleWeights`.
  case fixedScale
  /// `FixedScaleWeights` whose effective weights are s·ŵ with s learned.
  case learnedOutputScale
  /// `LearnedRangeWeights`.
  case learnedRange

  /// - Parameters:
  ///   - rangeGradient: for rules that learn a range.
  ///   - layer: what the names of the parameters begin with.
  public func quantizer(bits: Int, rangeGradient: RangeGradient, layer: String) -> any WeightQuantizer {
    switch self {
    case .fixedScale: FixedScaleWeights(bits: bits, learnsOutputScale: false, layer: layer)
    case .learnedOutputScale: FixedScaleWeights(bits: bits, learnsOutputScale: true, layer: layer)
    case .learnedRange: LearnedRangeWeights(bits: bits, rangeGradient: rangeGradient, layer: layer)
    }
  }
}

/// Three standard deviations of the weights, n − 1 in the denominator.
func threeDeviations(of weights: Buffer<Float>) -> Float {
  let count = Double(weights.count)
  var mean = 0.0
  for value in weights { mean += Double(value) }
  mean /= count
  var squares = 0.0
  for value in weights { squares += (Double(value) - mean) * (Double(value) - mean) }
  return Float(3 * (squares / (count - 1)).squareRoot())
}

/// Keeps the denominator of a scale away from 0, as the published code of the first generation does.
let scaleFloor: Float = 1e-6
