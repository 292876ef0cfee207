import Foundation

/// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
///
/// A sequence is a pure function of (seed, purpose, stream): nothing is shared between sequences, so each image, layer
/// or epoch takes its own stream and draws the same numbers in whatever order, and on whatever thread, it is visited.
public struct CounterRandom: Sendable {
  /// Keeps the streams of unrelated uses of one seed apart.
  public enum Purpose: UInt32, Sendable {
    case initialization = 0
    case batchOrder = 1
    case augmentation = 2
    case subset = 3
    case dropout = 4
  }

  private let key: SIMD2<UInt32>
  private var counter: SIMD4<UInt32>
  private var block: SIMD4<UInt32> = .zero
  private var used = 4

  /// The start of stream `stream`, 2^34 numbers long.
  public init(seed: UInt64, stream: UInt64, purpose: Purpose = .initialization) {
    key = SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    counter = SIMD4(
      0, purpose.rawValue, UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32))
  }

  /// Ten Philox rounds over one counter block.
  public static func philox(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var c = counter
    var k = key
    for round in 0..<10 {
      if round > 0 { k &+= SIMD2(0x9E37_79B9, 0xBB67_AE85) }
      let first = UInt64(c[0]) &* 0xD251_1F53
      let second = UInt64(c[2]) &* 0xCD9E_8D57
      c = SIMD4(
        UInt32(truncatingIfNeeded: second >> 32) ^ c[1] ^ k[0], UInt32(truncatingIfNeeded: second),
        UInt32(truncatingIfNeeded: first >> 32) ^ c[3] ^ k[1], UInt32(truncatingIfNeeded: first))
    }
    return c
  }

  /// The next 32 uniform bits.
  public mutating func next() -> UInt32 {
    if used == 4 {
      block = Self.philox(counter: counter, key: key)
      counter[0] &+= 1
      used = 0
    }
    defer { used += 1 }
    return block[used]
  }

  /// Uniform in [0, 1), 24 bits.
  public mutating func uniform() -> Float {
    Float(next() >> 8) * 0x1p-24
  }

  /// Uniform in [0, 1), 53 bits.
  public mutating func uniformDouble() -> Double {
    let high = UInt64(next() >> 5)
    let low = UInt64(next() >> 6)
    return Double(high << 26 | low) * 0x1p-53
  }

  /// Standard normal (Box–Muller, evaluated in double precision).
  public mutating func normal() -> Float {
    let radius = (-2 * log(1 - uniformDouble())).squareRoot()
    return Float(radius * cos(2 * .pi * uniformDouble()))
  }

  /// Uniform over 0..<count, without modulo bias (Lemire, "Fast random integer generation in an interval", 2019).
  public mutating func bounded(_ count: Int) -> Int {
    precondition(count > 0 && count <= 1 << 32, "a bound is between 1 and 2^32")
    let range = UInt64(count)
    let threshold = (UInt64(1) << 32) % range
    while true {
      let product = UInt64(next()) &* range
      if product & 0xFFFF_FFFF >= threshold { return Int(product >> 32) }
    }
  }

  /// A uniform permutation of 0..<count (Fisher–Yates).
  public mutating func permutation(_ count: Int) -> [Int] {
    var order = Array(0..<count)
    for last in stride(from: count - 1, to: 0, by: -1) {
      order.swapAt(last, bounded(last + 1))
    }
    return order
  }
}
