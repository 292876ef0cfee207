import Foundation
import Records
import Statistics

/// What must be said beside the numbers of a comparison, a line each.
struct ComparisonRemarks {
  let summaries: [SettingSummary]
  let entries: [Comparison.Entry]
  let families: [ComparedFamily]
  let baseline: Baseline
  let settled: SettledClaim

  private var claim: Claim { settled.claim }
  private var compared: [Comparison.Entry] { entries.filter { $0.verdict != nil } }

  var lines: [String] {
    var lines: [String] = []
    if let nothing { lines.append(nothing) }
    lines.append(question)
    if let intervals { lines.append(intervals) }
    if let correction { lines.append(correction) }
    if hasShadows { lines.append("Shadow runs equal full QAT to the bit; they are not compared with it.") }
    lines += parents
    lines += seeds
    lines.append(
      "Pareto front (*): top-1 against weight updates eliminated, among settings with the same bits and training.")
    if let withoutBaseline { lines.append(withoutBaseline) }
    for run in summaries.flatMap(\.setting.unfinished) {
      lines.append("Not counted: \(run.label) (\(run.id)), \(run.outcome.status.rawValue).")
    }
    return lines
  }

  private var hasShadows: Bool {
    summaries.contains { summary in summary.baseline.map(summary.setting.equals) ?? false }
  }

  private var nothing: String? {
    if compared.isEmpty {
      if hasShadows { return "Nothing to compare: beside full QAT there are only shadow runs." }
      return "Nothing to compare: no setting has finished runs of the baseline (\(baseline)) beside it."
    }
    guard compared.allSatisfy({ $0.pooled == nil }) else { return nil }
    return
      "Too few seeds: nothing can be concluded. A difference between two single runs may be chance; train at least three "
      + "seeds."
  }

  private var question: String {
    let margin = short(claim.margin)
    let asked =
      switch claim.test {
      case .nonInferiority:
        "on par or better = not worse by \(margin) points, shown at \(level) (non-inferiority, one-sided)"
      case .equivalence:
        "on par = within ±\(margin) points, shown at \(level) (equivalence, two one-sided tests)"
      }
    return
      "Verdict: \(asked); better or worse = above or below the baseline, where that is not shown; undecided = neither is "
      + "shown. "
      + origin
  }

  private var origin: String {
    switch settled.origin {
    case .beforeTraining: "Margin, confidence and test were written down before the runs were trained."
    case .duringTraining(let runs):
      "Margin, confidence and test were written down when \(runs) of the runs had ended: what those show may have chosen them."
    case .afterwards:
      "Margin, confidence and test were chosen afterwards, with the runs at hand: to test a claim, write it into the "
        + "experiment's \"comparison\" before training."
    }
  }

  private var intervals: String? {
    guard !compared.isEmpty else { return nil }
    let pooled = families.compactMap { family in
      family.differences.standardDeviation.map { deviation in
        String(
          format: "%d settings, %d degrees of freedom, ±%.2f points a difference by seed",
          family.differences.settings, family.differences.degreesOfFreedom, deviation)
      }
    }
    return
      "Differences in points of top-1 at the last epoch, paired by seed, with \(level) confidence intervals (Student's t). "
      + "Paired: from the row's own differences. Pooled: least squares of setting and seed effects, the spread taken to be the "
      + "same in all settings with the same baseline"
      + (pooled.isEmpty ? "." : " (\(pooled.joined(separator: "; "))).")
      + " No interval is narrower than one test image."
  }

  private var correction: String? {
    guard compared.count(where: { $0.pooled != nil }) > 1 else { return nil }
    return
      "Many rows: verdicts hold together (Holm's correction); of the intervals only the simultaneous ones do, for all rows "
      + "with the same baseline (Dunnett)."
  }

  /// What the intervals contain of the variation between full-precision networks.
  private var parents: [String] {
    let blocks = Set(
      families.flatMap(\.baseline.finished).filter { $0.kind != .fullPrecision }.compactMap { run in
        run.provenance.parentRunID.map { [$0, "\(run.provenance.seed)"] }
      })
    let parents = Set(blocks.map { $0[0] })
    if case .fullPrecision = baseline, !compared.isEmpty {
      let networks = Set(families.flatMap(\.baseline.finished).map(\.id)).count
      return [
        "A pair is a full-precision network and the mean of the runs that start from it: \(networks) such "
          + (networks == 1 ? "network gives no interval." : "networks.")
      ]
    }
    switch parents.count {
    case 0: return []
    case 1:
      return [
        "All seeds start from the same full-precision network: what another such network would change is outside these "
          + "intervals."
      ]
    case blocks.count:
      return [
        "Every seed starts from a full-precision network of its own (\(parents.count)): the intervals contain the variation "
          + "between such networks and between seeds."
      ]
    default:
      return [
        "Seeds start from \(parents.count) full-precision networks, and runs are paired by network and seed: differences "
          + "between networks as such cancel; how they change the effect of a setting is in the intervals as far as "
          + "\(parents.count) networks show it."
      ]
    }
  }

  /// How many seeds would decide, where something is undecided.
  private var seeds: [String] {
    let count = compared.count(where: { $0.pooled != nil })
    return families.compactMap { family in
      guard family.rows.contains(where: { entries[$0].verdict == .undecided }),
        let deviation = family.differences.standardDeviation, deviation > 0
      else { return nil }
      let analysis = PowerAnalysis(
        claim: claim, standardDeviation: deviation, settings: family.differences.settings, claims: count)
      let bits = families.count > 1 ? "\(entries[family.rows[0]].bits): " : ""
      guard let needed = analysis.seeds(power: 0.8) else { return nil }
      return bits
        + "Undecided rows: with this spread, \(needed) seeds show the claim with a power of 80 % where there is no difference "
        + "(there are \(family.differences.pairs)); see 'spqat power'."
    }
  }

  private var withoutBaseline: String? {
    let without = summaries.count { $0.setting.kind == .freeze && $0.baseline == nil }
    guard without > 0, case .fullQAT = baseline else { return nil }
    return "\(without) setting(s) have no full-QAT run with the same bits and training; train it with 'spqat sweep'."
  }

  private var level: String { percentText(claim.confidence) }
}

/// "95 %".
func percentText(_ share: Double) -> String { String(format: "%g %%", (share * 1e6).rounded() / 1e4) }

func short(_ value: Double) -> String { String(format: "%g", value) }
