public import Records

/// How well a criterion told which weights had their final level, judged by the levels that full QAT ends with (same start, same
/// batches), beside the values that it must be compared with.
///
/// The final levels of the reference are those of its last training forward.
public struct Identification: Equatable, Sendable {
  /// Weights that the criterion decided upon, of those that it may.
  public let decided: Share
  /// A: of the decided weights, those whose level in the step of the decision is the one that the reference ends with.
  public let agreement: Share
  /// What A would be if the two levels had nothing to do with one another: Σ_k p_k · q_k over the decided weights.
  public let chance: Double
  /// What the moment alone gives: of the decided weights, those that in the reference had in that step the level with which it ends.
  /// Between recorded moments the level is that of the last one before, but for weights known to have settled by then.
  public let clock: Share
  /// Of the decided weights with others beside them that remain undecided: those that agree.
  public let comparable: Share
  /// How many of the undecided weights agree, at the moments when the decided ones of `comparable` were decided: a mean over these.
  public let undecided: Double?
  /// Of all weights, decided or not: those that end with the level that the reference ends with.
  public let final: Share

  /// How many times as often decided weights agree as those that remain undecided at the same moment: 1 where the criterion
  /// tells nothing. nil where all weights are decided upon at once.
  public var lift: Double? {
    guard let undecided, undecided > 0, let value = comparable.value else { return nil }
    return value / undecided
  }

  /// Undecided weights are looked at in the first recorded moment at or after a decision.
  ///
  /// - Parameters:
  ///   - run: what the criterion decided, in a run that froze or that only noted it.
  ///   - reference: of full QAT with the same seed and parent; a shadow run may be its own.
  /// - Returns: nil where nothing was decided.
  /// - Precondition: Both have the same number of weights.
  public init?(_ run: ObservationRecord, reference: ObservationRecord) {
    precondition(run.weights == reference.weights, "\(run.weights) weights beside \(reference.weights)")
    guard let decisions = run.decisions else { return nil }
    let weights = run.weights
    let target = (0..<weights).map { reference.finalLevel($0) }
    let decided = (0..<weights).filter { decisions.steps[$0] > 0 }
    guard let chance = chanceAgreement(decided.map { decisions.levels[$0] }, decided.map { target[$0] }) else {
      return nil
    }
    self.chance = chance
    self.decided = Share(decided.count, of: weights)
    agreement = Share(decided.count { decisions.levels[$0] == target[$0] }, of: decided.count)
    clock = Share(
      decided.count { weight in
        let step = Int(decisions.steps[weight])
        if Int(reference.settlingSteps[weight]) <= step { return true }
        let moment = reference.moments.lastIndex { $0 <= step } ?? 0
        return reference.level(weight, at: moment) == target[weight]
      }, of: decided.count)
    final = Share((0..<weights).count { run.finalLevel($0) == target[$0] }, of: weights)

    // The undecided at each moment, and the decided that are compared with them.
    let firstMoment = decided.map { weight in
      run.moments.firstIndex { $0 >= Int(decisions.steps[weight]) } ?? run.moments.count - 1
    }
    let undecidedAt = run.moments.enumerated().map { moment, step in
      guard firstMoment.contains(moment) else { return Share(0, of: 0) }
      let remaining = (0..<weights).filter { decisions.steps[$0] == 0 || Int(decisions.steps[$0]) > step }
      return Share(remaining.count { run.level($0, at: moment) == target[$0] }, of: remaining.count)
    }
    let compared = zip(decided, firstMoment).filter { undecidedAt[$0.1].count > 0 }
    comparable = Share(compared.count { decisions.levels[$0.0] == target[$0.0] }, of: compared.count)
    undecided =
      compared.isEmpty
      ? nil : compared.reduce(0) { $0 + (undecidedAt[$1.1].value ?? 0) } / Double(compared.count)
  }
}

/// Of the weights of two runs, those that end with the same level. Of two runs of full QAT that differ in their seed alone this is the
/// ceiling: what training itself repeats. Runs that share their batches until a decision can agree more.
///
/// - Precondition: Both have the same number of weights.
public func finalAgreement(_ run: ObservationRecord, _ other: ObservationRecord) -> Share {
  precondition(run.weights == other.weights, "\(run.weights) weights beside \(other.weights)")
  return Share((0..<run.weights).count { run.finalLevel($0) == other.finalLevel($0) }, of: run.weights)
}
