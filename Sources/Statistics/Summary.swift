import Foundation

/// Mean and spread of a few numbers, such as one accuracy a seed.
public struct Summary: Equatable, Sendable {
  /// In the given order, at least one.
  public let values: [Double]

  /// nil where there are no values.
  public init?(_ values: [Double]) {
    guard !values.isEmpty else { return nil }
    self.values = values
  }

  /// How many.
  public var count: Int { values.count }
  /// Their sum over their number.
  public var mean: Double { values.reduce(0, +) / Double(count) }

  /// With n − 1 in the denominator; nil for one value.
  public var standardDeviation: Double? {
    guard count > 1 else { return nil }
    let mean = mean
    return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count - 1)).squareRoot()
  }

  /// Of the mean; nil for one value.
  public var standardError: Double? { standardDeviation.map { $0 / Double(count).squareRoot() } }

  /// The percentile bootstrap of the mean: the central `level` of the means of `resamples` samples drawn with replacement.
  ///
  /// The same values and seed give the same interval.
  /// - Returns: nil for fewer than five values, whose resamples are too few to say anything.
  public func bootstrapInterval(
    level: Double = 0.95, resamples: Int = 10_000, seed: UInt64 = 1
  ) -> ClosedRange<Double>? {
    precondition(resamples >= 100, "quantiles of a bootstrap need at least 100 resamples")
    guard count >= 5 else { return nil }
    var random = SplitMix64(state: seed)
    let means = (0..<resamples).map { _ in
      (0..<count).reduce(0.0) { sum, _ in sum + values[Int.random(in: 0..<count, using: &random)] } / Double(count)
    }.sorted()
    let tail = (1 - level) / 2
    return interpolated(means, at: tail)...interpolated(means, at: 1 - tail)
  }
}

/// The quantile of sorted values at `share`, linear between neighbours.
private func interpolated(_ sorted: [Double], at share: Double) -> Double {
  let position = share * Double(sorted.count - 1)
  let lower = Int(position)
  guard lower + 1 < sorted.count else { return sorted[sorted.count - 1] }
  return sorted[lower] + (position - Double(lower)) * (sorted[lower + 1] - sorted[lower])
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
private struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
