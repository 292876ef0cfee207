import Foundation

/// Gauss–Legendre quadrature (Abramowitz and Stegun 25.4.30) with 16 nodes a panel: exact for polynomials of degree 31.
enum Quadrature {
  /// Nodes and weights on [−1, 1]. The nodes are the roots of the Legendre polynomial P₁₆, found by Newton's method.
  private static let rule: [(node: Double, weight: Double)] = {
    let degree = 16
    return (0..<degree).map { index in
      var x = cos(Double.pi * (Double(index) + 0.75) / (Double(degree) + 0.5))
      var slope = 1.0
      for _ in 0..<100 {
        // (k + 1)·P(k+1) = (2k + 1)·x·P(k) − k·P(k−1).
        var (previous, value) = (1.0, x)
        for k in 1..<degree {
          (previous, value) = (value, (Double(2 * k + 1) * x * value - Double(k) * previous) / Double(k + 1))
        }
        slope = Double(degree) * (x * value - previous) / (x * x - 1)
        let step = value / slope
        x -= step
        if abs(step) < 1e-15 { break }
      }
      return (x, 2 / ((1 - x * x) * slope * slope))
    }
  }()

  /// Points and weights of `panels` equal panels of [lower, upper].
  static func points(from lower: Double, to upper: Double, panels: Int) -> [(point: Double, weight: Double)] {
    let half = (upper - lower) / Double(2 * panels)
    return (0..<panels).flatMap { panel in
      let middle = lower + half * Double(2 * panel + 1)
      return rule.map { (middle + half * $0.node, half * $0.weight) }
    }
  }
}

/// S = √(χ²_ν / ν): the estimate of a standard deviation of 1 that has ν degrees of freedom.
///
/// What divides by such an estimate is normal for a given S, so its distribution is an expectation over S.
struct ScaleDistribution {
  let degreesOfFreedom: Double

  /// The expectation of `value(S)`, over S below `limit` alone (elsewhere the value counts as 0).
  ///
  /// The density of S is 2·(ν/2)^(ν/2) / Γ(ν/2) · s^(ν−1) · exp(−ν·s²/2). Beyond 9/√ν from 1 lies less than 1e-17 of it.
  /// - Parameter value: smooth, between −1 and 1.
  func expectation(below limit: Double = .infinity, of value: (Double) -> Double) -> Double {
    let reach = 9 / degreesOfFreedom.squareRoot()
    let (lower, upper) = (max(0, 1 - reach), min(limit, 1 + reach))
    guard upper > lower else { return 0 }
    let half = degreesOfFreedom / 2
    let logScale = log(2) + half * log(half) - logGamma(half)
    return Quadrature.points(from: lower, to: upper, panels: 16).reduce(0) { sum, node in
      let density = exp(logScale + (degreesOfFreedom - 1) * log(node.point) - half * node.point * node.point)
      return sum + node.weight * density * value(node.point)
    }
  }
}

/// The x > 0 at which a rising function reaches `target`, by Illinois false position (Dowell and Jarratt, BIT 11, 1971).
func positiveRoot(of function: (Double) -> Double, reaching target: Double) -> Double {
  var (low, high) = (0.0, 1.0)
  var (below, above) = (function(low) - target, function(high) - target)
  while above < 0 {
    (low, below) = (high, above)
    high *= 2
    above = function(high) - target
  }
  var lastSide = 0
  for _ in 0..<200 where high - low > 1e-13 * high {
    let next = (low * above - high * below) / (above - below)
    let value = function(next) - target
    if value == 0 { return next }
    if value < 0 {
      (low, below) = (next, value)
      if lastSide < 0 { above /= 2 }
      lastSide = -1
    } else {
      (high, above) = (next, value)
      if lastSide > 0 { below /= 2 }
      lastSide = 1
    }
    if abs(value) < 1e-15 { return next }
  }
  return (low + high) / 2
}
