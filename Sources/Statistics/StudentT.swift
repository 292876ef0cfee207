import Foundation

/// Student's t distribution.
public struct StudentT: Sendable {
  /// ν.
  public let degreesOfFreedom: Double

  /// - Precondition: degrees of freedom above 0.
  public init(degreesOfFreedom: Double) {
    precondition(degreesOfFreedom > 0, "at least one degree of freedom")
    self.degreesOfFreedom = degreesOfFreedom
  }

  /// The probability of a value of at most `t`: from the regularized incomplete beta function I at
  /// x = ν/(ν + t²), P(T ≤ t) = 1 − I_x(ν/2, 1/2)/2 for t ≥ 0 (Abramowitz and Stegun 26.7.1 with 26.5.2).
  public func cumulative(_ t: Double) -> Double {
    let x = degreesOfFreedom / (degreesOfFreedom + t * t)
    let tail = regularizedIncompleteBeta(x, degreesOfFreedom / 2, 0.5) / 2
    return t >= 0 ? 1 - tail : tail
  }

  /// The value that is not exceeded with the given probability.
  /// - Precondition: a probability inside (0, 1).
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

/// The noncentral t distribution: that of (Z + δ)/S with Z standard normal and S = √(χ²_ν/ν).
public struct NoncentralT: Sendable {
  /// ν.
  public let degreesOfFreedom: Double
  /// δ.
  public let noncentrality: Double

  /// - Precondition: at least one degree of freedom.
  public init(degreesOfFreedom: Double, noncentrality: Double) {
    precondition(degreesOfFreedom >= 1, "at least one degree of freedom")
    self.degreesOfFreedom = degreesOfFreedom
    self.noncentrality = noncentrality
  }

  /// The probability of a value of at most `t`: E[Φ(t·S − δ)] (Owen, "A special case of a bivariate non-central
  /// t-distribution", Biometrika 52, 1965), to an absolute error below 1e-9.
  public func cumulative(_ t: Double) -> Double {
    ScaleDistribution(degreesOfFreedom: degreesOfFreedom).expectation { normalCumulative(t * $0 - noncentrality) }
  }
}
