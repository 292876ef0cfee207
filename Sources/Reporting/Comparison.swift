import Foundation
public import Records
public import Statistics

/// Every setting of an experiment beside its baseline, and what may be concluded from that.
///
/// Differences are paired by seed (and by the full-precision network that runs start from). Beside the plain paired t interval
/// stands one whose spread is pooled over all settings with the same baseline (`AdditiveModel`), and its simultaneous form
/// (`DunnettDistribution`). Verdicts are the claim's on the pooled estimates, corrected for the number of rows (`Holm`).
public struct Comparison: Encodable, Equatable, Sendable {
  /// The ends of an interval, in points of top-1.
  public struct Interval: Encodable, Equatable, Sendable {
    /// The smaller one.
    public var lower: Double
    /// The larger one.
    public var upper: Double

    init(_ range: ClosedRange<Double>) {
      lower = range.lowerBound
      upper = range.upperBound
    }
  }

  /// A difference with the spread pooled over the settings of its family.
  public struct Pooled: Encodable, Equatable, Sendable {
    /// Points of top-1: a least-squares estimate, the mean paired difference where no run is missing.
    public var difference: Double
    /// In points, never below one test image.
    public var standardError: Double
    /// Of the pooled spread.
    public var degreesOfFreedom: Int
    /// Of this row alone.
    public var interval: Interval
    /// Of all rows with the same baseline at once.
    public var simultaneousInterval: Interval
  }

  /// One setting. Accuracies and shares in percent, differences in points.
  public struct Entry: Encodable, Equatable, Sendable {
    /// "2/2", weights and activations; "32/32" for full precision.
    public var bits: String
    /// "full precision", "full QAT", or what the recipe's paper calls freezing.
    public var method: String
    /// As in configurations.
    public var recipe: String
    /// Where the sweep varies it.
    public var axes: [AxisSetting]
    /// Ids of the finished runs.
    public var runs: [String]
    /// Their number.
    public var n: Int
    /// Mean at the last epoch.
    public var topOne: Double?
    /// Of that mean; nil for one run.
    public var topOneStandardError: Double?
    /// nil for the baseline itself and where there is none.
    public var verdict: Verdict?
    /// Of the claim's falsehood, after Holm's correction for all rows; nil without an estimate.
    public var pValue: Double?
    /// Seeds and networks that the row and its baseline share.
    public var pairs: Int
    /// The mean of the paired differences.
    public var difference: Double?
    /// Of the paired differences alone.
    public var interval: Interval?
    /// Of the mean paired difference, by resampling; nil for fewer than five pairs.
    public var bootstrapInterval: Interval?
    /// nil for the baseline, and where there are too few runs.
    public var pooled: Pooled?
    /// Frozen / freezable weights, mean over all steps.
    public var weightUpdatesEliminated: Double?
    /// Of the multiply-accumulates of the backward pass.
    public var backwardFLOPsEliminated: Double?
    /// Over the baseline's; nil where not measured.
    public var backwardTimeRatio: Double?
    /// Over the baseline's; nil where not measured.
    public var trainingTimeRatio: Double?
    /// Whether no other setting with the same bits and training is as accurate and eliminates as much, and better in one.
    public var isOnParetoFront: Bool
    /// The papers' value for this row, or that there is none.
    public var published: String
  }

  /// The claim as the output states it.
  public struct StatedClaim: Encodable, Equatable, Sendable {
    /// Points of top-1.
    public var margin: Double
    /// Of the verdicts and of all intervals.
    public var confidence: Double
    /// Non-inferiority or equivalence.
    public var test: Claim.Test
    /// Whether runs were there before the claim.
    public var isChosenAfterwards: Bool
  }

  /// What settings are compared with, for readers.
  public let baseline: String
  /// What the verdicts judge.
  public let claim: StatedClaim
  /// In the order of tables.
  public let entries: [Entry]
  /// What must be said beside the numbers.
  public let remarks: [String]

  /// - Parameter runs: of one experiment, or of several that are compared together.
  public init(runs: [RunRecord], baseline: Baseline = .fullQAT, claim settled: SettledClaim = SettledClaim()) {
    let summaries = SettingSummary.summaries(of: runs, baseline: baseline)
    let claim = settled.claim
    let families = ComparedFamily.families(summaries, resolution: 100 * accuracyStep(runs.flatMap(\.accuracies)))
    var entries = summaries.map { summary in
      Entry(summary, isOnParetoFront: Self.isOnParetoFront(summary, among: summaries))
    }
    for family in families {
      for (index, row) in family.rows.enumerated() {
        entries[row].add(family.differences, index, confidence: claim.confidence)
      }
    }
    let compared = families.flatMap { family in
      family.rows.enumerated().map { (row: $1, estimate: family.differences.estimate($0)) }
    }.sorted { $0.row < $1.row }
    let known = compared.filter { $0.estimate != nil }
    let adjusted = Holm.adjusted(known.compactMap { $0.estimate.map(claim.pValue) })
    for ((row, _), pValue) in zip(known, adjusted) { entries[row].pValue = pValue }
    for ((row, _), verdict) in zip(compared, claim.verdicts(compared.map(\.estimate))) {
      entries[row].verdict = verdict
    }
    self.baseline = baseline.description
    self.claim = StatedClaim(
      margin: claim.margin, confidence: claim.confidence, test: claim.test,
      isChosenAfterwards: settled.isChosenAfterwards)
    self.entries = entries
    remarks =
      ComparisonRemarks(
        summaries: summaries, entries: entries, families: families, baseline: baseline, settled: settled
      ).lines
  }

  private static func isOnParetoFront(_ summary: SettingSummary, among summaries: [SettingSummary]) -> Bool {
    func position(_ summary: SettingSummary) -> (topOne: Double, eliminated: Double)? {
      guard summary.setting.kind != .fullPrecision, let topOne = summary.topOne?.mean else { return nil }
      return (topOne, summary.weightUpdatesEliminated?.mean ?? 0)
    }
    guard let mine = position(summary) else { return false }
    return !summaries.contains { other in
      guard other.setting.family == summary.setting.family, let others = position(other) else { return false }
      return others.topOne >= mine.topOne && others.eliminated >= mine.eliminated && others != mine
    }
  }
}

/// The settings that are compared with one baseline.
struct ComparedFamily {
  let baseline: Setting
  /// Of the summaries.
  let rows: [Int]
  let differences: PooledDifferences

  /// - Parameter resolution: points of top-1 that one test image makes.
  static func families(_ summaries: [SettingSummary], resolution: Double) -> [ComparedFamily] {
    var families: [(baseline: Setting, rows: [Int])] = []
    for (row, summary) in summaries.enumerated() {
      guard let baseline = summary.baseline, !baseline.finished.isEmpty, !summary.setting.equals(baseline) else {
        continue
      }
      if let index = families.firstIndex(where: { $0.baseline.runs.map(\.id) == baseline.runs.map(\.id) }) {
        families[index].rows.append(row)
      } else {
        families.append((baseline, [row]))
      }
    }
    return families.map { family in
      ComparedFamily(
        baseline: family.baseline, rows: family.rows,
        differences: PooledDifferences(
          baseline: family.baseline, settings: family.rows.map { summaries[$0].setting }, resolution: resolution))
    }
  }
}

extension RunRecord {
  /// All that were measured on the test set, as shares.
  var accuracies: [Double] {
    epochs.compactMap(\.testTopOne) + [outcome.finalTopOne, outcome.bestTopOne].compactMap(\.self)
  }
}

extension Comparison.Entry {
  fileprivate init(_ summary: SettingSummary, isOnParetoFront: Bool) {
    let setting = summary.setting
    bits = setting.bits?.description ?? "32/32"
    method = setting.method
    recipe = setting.recipe.rawValue
    axes = setting.axes
    runs = setting.finished.map(\.id)
    n = setting.finished.count
    topOne = summary.topOne?.mean
    topOneStandardError = summary.topOne?.standardError
    pairs = 0
    weightUpdatesEliminated = summary.weightUpdatesEliminated?.mean
    backwardFLOPsEliminated = summary.backwardFLOPsEliminated?.mean
    backwardTimeRatio = summary.backward.ratio?.mean
    trainingTimeRatio = summary.training.ratio?.mean
    self.isOnParetoFront = isOnParetoFront
    published = summary.published
  }

  /// What stands in its row of `differences`.
  fileprivate mutating func add(_ differences: PooledDifferences, _ index: Int, confidence: Double) {
    let paired = differences.paired(index)
    pairs = paired?.count ?? 0
    difference = paired?.mean
    interval = differences.pairedEstimate(index).map { .init($0.interval(confidence: confidence)) }
    bootstrapInterval = paired?.bootstrapInterval(level: confidence).map(Comparison.Interval.init)
    guard let estimate = differences.estimate(index),
      let critical = differences.simultaneousCriticalValue(confidence: confidence)
    else { return }
    pooled = Comparison.Pooled(
      difference: estimate.value, standardError: estimate.standardError,
      degreesOfFreedom: differences.degreesOfFreedom, interval: .init(estimate.interval(confidence: confidence)),
      simultaneousInterval: .init(estimate.interval(criticalValue: critical)))
  }
}

extension SettingSummary.Seconds {
  var ratio: Summary? { if case .measured(_, let ratio) = self { ratio } else { nil } }
}
