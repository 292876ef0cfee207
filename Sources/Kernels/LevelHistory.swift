import CKernels
@_spi(Kernels) public import Tensor

/// What is recorded of the levels of a layer's weights over training forwards, one element a weight; all 0 at first.
public final class LevelHistory {
  /// The last forward whose level differs from that of the one before; 0: none.
  public let settlingStep: Buffer<Int32>
  /// How many such forwards there were.
  public let levelChanges: Buffer<Int32>
  /// D in the last forward, in units of v.
  public let distance: Buffer<Float>
  /// The forward in which the weight froze; 0: none.
  public let freezingStep: Buffer<Int32>
  /// The index of its level in that forward (`WeightGrid`).
  public let freezingIndex: Buffer<Int16>
  /// D in that forward.
  public let freezingDistance: Buffer<Float>

  /// Before the first forward.
  public init(count: Int) {
    settlingStep = Buffer(count: count)
    levelChanges = Buffer(count: count)
    distance = Buffer(count: count)
    freezingStep = Buffer(count: count)
    freezingIndex = Buffer(count: count)
    freezingDistance = Buffer(count: count)
  }

  /// For the forward of this number.
  func c(number: Int) -> sq_level_history {
    sq_level_history(
      number: Int32(number), settling_step: settlingStep.pointer, level_changes: levelChanges.pointer,
      distance: distance.pointer, freezing_step: freezingStep.pointer, freezing_index: freezingIndex.pointer,
      freezing_distance: freezingDistance.pointer)
  }
}
