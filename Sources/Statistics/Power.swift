/// How many seeds a claim needs.
///
/// The estimate of a difference from n seeds that all settings share has the standard error σ_d/√n, σ_d the standard deviation
/// of a difference paired by seed (√2 times that of a run beside its seed and setting effects), and (k − 1)·(n − 1) degrees of
/// freedom where the variance is pooled over k settings; k = 2 is the plain paired test.
public struct PowerAnalysis: Equatable, Sendable {
  /// What is to be shown.
  public let claim: Claim
  /// σ_d, in the unit of the margin.
  public let standardDeviation: Double
  /// The true difference for which the claim should be found.
  public let difference: Double
  /// Settings over which the variance is pooled, baseline included.
  public let settings: Int
  /// Claims that are to hold together: the smallest p must reach α divided by this, Holm's first step.
  public let claims: Int

  /// - Precondition: σ_d above 0, at least two settings and one claim.
  public init(claim: Claim, standardDeviation: Double, difference: Double = 0, settings: Int = 2, claims: Int = 1) {
    precondition(standardDeviation > 0 && settings >= 2 && claims >= 1, "nothing to plan")
    self.claim = claim
    self.standardDeviation = standardDeviation
    self.difference = difference
    self.settings = settings
    self.claims = claims
  }

  /// The probability that n seeds show the claim.
  ///
  /// Non-inferiority: P(T > t) of the noncentral t with δ = (difference + margin)/(σ_d/√n). Equivalence: the probability that both
  /// one-sided tests reject, E[Φ(δ₂ − t·S) − Φ(t·S − δ₁)] over S with t·S < (δ₁ + δ₂)/2, δ₁, δ₂ the distances of the true
  /// difference from −margin and margin in standard errors (Phillips, J. Pharmacokinet. Biopharm. 18, 1990; Owen 1965).
  /// - Precondition: at least two seeds.
  public func power(seeds: Int) -> Double {
    precondition(seeds >= 2, "an interval needs at least two seeds")
    let degrees = Double((settings - 1) * (seeds - 1))
    let standardError = standardDeviation / Double(seeds).squareRoot()
    let level = (1 - claim.confidence) / Double(claims)
    let critical = StudentT(degreesOfFreedom: degrees).quantile(1 - level)
    let fromBelow = (claim.margin + difference) / standardError
    switch claim.test {
    case .nonInferiority:
      return 1 - NoncentralT(degreesOfFreedom: degrees, noncentrality: fromBelow).cumulative(critical)
    case .equivalence:
      let fromAbove = (claim.margin - difference) / standardError
      // For larger S the two bounds cross and nothing is shown. (At a confidence of 0.5 the critical value is 0.)
      let limit = critical > 0 ? (fromBelow + fromAbove) / (2 * critical) : .infinity
      return ScaleDistribution(degreesOfFreedom: degrees).expectation(below: limit) { scale in
        normalCumulative(fromAbove - critical * scale) - normalCumulative(critical * scale - fromBelow)
      }
    }
  }

  /// The smallest number of seeds with at least this power; nil where `limit` seeds are too few, or no number is enough because
  /// the true difference is not within the margin.
  public func seeds(power wanted: Double, limit: Int = 10_000) -> Int? {
    guard difference > -claim.margin, claim.test == .nonInferiority || difference < claim.margin else { return nil }
    // Power rises with the seeds.
    var high = 2
    while power(seeds: high) < wanted {
      guard high < limit else { return nil }
      high = min(2 * high, limit)
    }
    var low = high / 2
    while high - low > 1 {
      let middle = (low + high) / 2
      if power(seeds: max(2, middle)) < wanted { low = middle } else { high = middle }
    }
    return max(2, high)
  }
}

/// The one-sided upper bound of a standard deviation that was estimated from few runs: s/q with q the quantile of √(χ²_ν/ν) that
/// is not exceeded with probability 1 − confidence (e.g. Snedecor and Cochran, "Statistical Methods", sect. 5.11).
/// - Precondition: at least one degree of freedom, a confidence in (0, 1).
public func upperLimit(
  ofStandardDeviation deviation: Double, degreesOfFreedom: Double, confidence: Double
) -> Double {
  precondition(degreesOfFreedom >= 1 && confidence > 0 && confidence < 1, "not a bound")
  let scale = ScaleDistribution(degreesOfFreedom: degreesOfFreedom)
  let quantile = positiveRoot(of: { limit in scale.expectation(below: limit) { _ in 1 } }, reaching: 1 - confidence)
  return deviation / quantile
}
