import Foundation

/// Mean and spread of a few numbers, such as one accuracy a seed.
public struct Summary: Equatable, Sendable {
  /// At least one, in the order given.
  public let values: [Double]

  /// nil where there are no values.
  public init?(_ values: [Double]) {
    guard !values.isEmpty else { return nil }
    self.values = values
  }

  /// n, at least 1.
  public var count: Int { values.count }
  /// Σ values / n, summed in order.
  public var mean: Double { values.reduce(0, +) / Double(count) }

  /// With n − 1 in the denominator; nil for one value.
  public var standardDeviation: Double? {
    guard count > 1 else { return nil }
    let mean = mean
    return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count - 1)).squareRoot()
  }

  /// Of the mean; nil for one value.
  public var standardError: Double? { standardDeviation.map { $0 / Double(count).squareRoot() } }

  /// mean ± t(n − 1) · standard error; nil for one value.
  public func confidenceInterval(level: Double = 0.95) -> ClosedRange<Double>? {
    guard let standardError else { return nil }
    let half = StudentT(degreesOfFreedom: Double(count - 1)).quantile((1 + level) / 2) * standardError
    return (mean - half)...(mean + half)
  }

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

/// Student's t distribution.
public struct StudentT: Sendable {
  /// ν, above 0; need not be whole.
  public let degreesOfFreedom: Double

  /// Requires ν > 0; it is n − 1 for the mean of n values.
  public init(degreesOfFreedom: Double) {
    precondition(degreesOfFreedom > 0, "at least one degree of freedom")
    self.degreesOfFreedom = degreesOfFreedom
  }

  /// The probability of a value of at most `t`: from the regularized incomplete beta function I at
  /// x = ν/(ν + t²), P(T ≤ t) = 1 − I_x(ν/2, 1/2)/2 for t ≥ 0.
  public func cumulative(_ t: Double) -> Double {
    let x = degreesOfFreedom / (degreesOfFreedom + t * t)
    let tail = regularizedIncompleteBeta(x, degreesOfFreedom / 2, 0.5) / 2
    return t >= 0 ? 1 - tail : tail
  }

  /// The value that is not exceeded with the given probability, in (0, 1).
  public func quantile(_ probability: Double) -> Double {
    precondition(probability > 0 && probability < 1, "a probability inside (0, 1)")
    if probability < 0.5 { return -quantile(1 - probability) }
    var (low, high) = (0.0, 1.0)
    while cumulative(high) < probability { (low, high) = (high, high * 2) }
    // Down to neighbouring numbers: the distribution rises everywhere, so bisection cannot go wrong.
    while true {
      let middle = (low + high) / 2
      guard middle > low, middle < high else { return middle }
      if cumulative(middle) < probability { low = middle } else { high = middle }
    }
  }
}

/// I_x(a, b) by the continued fraction of Abramowitz and Stegun 26.5.8, evaluated after Lentz.
func regularizedIncompleteBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
  if x <= 0 { return 0 }
  if x >= 1 { return 1 }
  // The fraction converges fast below the mean; above it, the complement is below it.
  if x > (a + 1) / (a + b + 2) { return 1 - regularizedIncompleteBeta(1 - x, b, a) }
  let tiny = 1e-300
  func safe(_ value: Double) -> Double { abs(value) < tiny ? tiny : value }
  var c = 1.0
  var d = 1 / safe(1 - (a + b) * x / (a + 1))
  var fraction = d
  for m in 1...10_000 {
    let m = Double(m)
    let even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
    d = 1 / safe(1 + even * d)
    c = safe(1 + even / c)
    fraction *= d * c
    let odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    d = 1 / safe(1 + odd * d)
    c = safe(1 + odd / c)
    fraction *= d * c
    if abs(d * c - 1) < 1e-15 { break }
  }
  return exp(a * log(x) + b * log1p(-x) + logGamma(a + b) - logGamma(a) - logGamma(b)) * fraction / a
}

/// ln Γ(x) for x > 0 by Stirling's series (Abramowitz and Stegun 6.1.41), x raised above 15 by Γ(x + 1) = x·Γ(x).
/// (The C library's `lgamma` writes a global variable.)
private func logGamma(_ x: Double) -> Double {
  var (x, product) = (x, 1.0)
  while x < 15 {
    product *= x
    x += 1
  }
  let inverse = 1 / x
  let square = inverse * inverse
  let series =
    inverse * (1.0 / 12 - square * (1.0 / 360 - square * (1.0 / 1260 - square * (1.0 / 1680 - square / 1188))))
  return (x - 0.5) * log(x) - x + 0.5 * log(2 * Double.pi) + series - log(product)
}
