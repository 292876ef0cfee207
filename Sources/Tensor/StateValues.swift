/// The values of a named part of a training run's state, as they lie in memory.
public enum StateValues {
  case floats(Buffer<Float>)
  case bytes(Buffer<UInt8>)
  case indices(Buffer<Int16>)
  case integers(Buffer<Int>)
  /// Numbers of steps, and counts of them.
  case steps(Buffer<Int32>)
  /// A number that is no buffer's element.
  case counter(get: () -> Int, set: (Int) -> Void)
  /// Follows from the rest of the state: computed when asked for, never restored.
  case derived(() -> Buffer<Float>)
}
