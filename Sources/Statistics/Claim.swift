/// What an experiment claims of its settings beside their baseline, and how certain it wants to be.
public struct Claim: Equatable, Sendable {
  /// What must be shown of the difference.
  public enum Test: String, Codable, Sendable, CaseIterable {
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
  /// What must be shown.
  public let test: Test

  /// Half of an interval of less would say nothing, and 1 would need an infinite one.
  public static let confidences: Range<Double> = 0.5..<1

  /// - Precondition: a margin above 0, a confidence in `confidences`.
  public init(margin: Double = 0.5, confidence: Double = 0.95, test: Test = .nonInferiority) {
    guard let claim = Claim(checking: margin, confidence: confidence, test: test) else {
      preconditionFailure("not a claim: margin \(margin), confidence \(confidence)")
    }
    self = claim
  }

  /// nil where the margin is not a finite number above 0, or the confidence not in `confidences`.
  public init?(checking margin: Double, confidence: Double, test: Test) {
    guard margin > 0, margin.isFinite, Self.confidences.contains(confidence) else { return nil }
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
