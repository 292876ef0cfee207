/// What an experiment claims of its settings beside their baseline, and how certain it wants to be.
public struct Claim: Equatable, Sendable {
  public enum Test: String, Sendable, CaseIterable {
    /// "On par or better": the difference is above −margin. One one-sided test.
    case nonInferiority
    /// "On par": the difference is within ± margin. Two one-sided tests, both of which must reject (TOST: Schuirmann, J.
    /// Pharmacokinet. Biopharm. 15, 1987).
    case equivalence
  }

  /// The largest difference that makes none, in the unit of the estimates.
  public let margin: Double
  /// 1 − α. One-sided tests use α on their one side.
  public let confidence: Double
  public let test: Test

  /// Allowed confidences.
  public static let confidences: Range<Double> = 0.5..<1

  /// - Precondition: a margin above 0, a confidence in [0.5, 1).
  public init(margin: Double = 0.5, confidence: Double = 0.95, test: Test = .nonInferiority) {
    precondition(margin > 0 && margin.isFinite && Self.confidences.contains(confidence), "not a claim")
    self.margin = margin
    self.confidence = confidence
    self.test = test
  }

  /// Of the claim's falsehood: small where the estimate supports the claim.
  public func pValue(_ estimate: Estimate) -> Double {
    switch test {
    case .nonInferiority: estimate.pValue(above: -margin)
    case .equivalence: max(estimate.pValue(above: -margin), estimate.pValue(below: margin))
    }
  }

  /// Verdicts on several settings that hold together with the claim's confidence.
  ///
  /// Claims are judged by Holm's adjusted p. A difference from the baseline (better, worse) is judged by both sides of 0, with
  /// Holm's correction too.
  /// - Parameter estimates: nil where too few runs give none.
  public func verdicts(_ estimates: [Estimate?]) -> [Verdict] {
    let known = estimates.compactMap(\.self)
    let level = 1 - confidence
    let claimed = Holm.adjusted(known.map(pValue))
    let different = Holm.adjusted(known.map { min(1, 2 * min($0.pValue(above: 0), $0.pValue(below: 0))) })
    var verdicts = zip(known, zip(claimed, different)).map { estimate, adjusted -> Verdict in
      if adjusted.0 <= level { return test == .nonInferiority ? .onParOrBetter : .onPar }
      if adjusted.1 <= level { return estimate.value > 0 ? .better : .worse }
      return .undecided
    }[...]
    return estimates.map { $0 == nil ? .tooFewSeeds : verdicts.removeFirst() }
  }
}

/// What may be concluded on one setting.
public enum Verdict: String, Encodable, Sendable, CaseIterable {
  /// Not worse than the baseline by the margin: the claim of non-inferiority holds.
  case onParOrBetter = "on par or better"
  /// Within the margin on both sides: the claim of equivalence holds.
  case onPar = "on par"
  /// Above the baseline, and not known to be within the margin.
  case better
  /// Below the baseline, and not known to be within the margin.
  case worse
  /// Neither the claim nor a difference is shown: more seeds are needed, or the truth lies near the margin.
  case undecided
  /// Fewer runs than an interval needs.
  case tooFewSeeds = "too few seeds"
}
