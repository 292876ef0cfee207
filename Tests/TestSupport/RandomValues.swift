import Tensor

/// Standard normal numbers; the same for the same seed.
public func normals(_ count: Int, seed: UInt64) -> [Float] {
  var random = CounterRandom(seed: seed, stream: 0)
  return (0..<count).map { _ in random.normal() }
}
