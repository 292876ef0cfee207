import Foundation
public import Records
import Tables

/// Every setting of an experiment beside its baseline, and what may be concluded from that.
///
/// The interval of a difference is mean ± t(n − 1) · standard error of the differences paired by seed, at 95 %. From five
/// pairs on the percentile bootstrap of their mean stands beside it; the verdict is that of the t interval, since a bootstrap
/// of so few values is too narrow.
public struct Comparison: Encodable, Equatable, Sendable {
  /// What an interval says against a margin of equivalence.
  public enum Verdict: String, Encodable, Sendable {
    /// The whole interval lies within ± margin.
    case onPar = "on par"
    /// The whole interval lies above 0, and not within the margin.
    case better
    /// The whole interval lies below 0, and not within the margin.
    case worse
    /// Fewer than two pairs, or an interval so wide that it holds 0 and reaches beyond the margin.
    case notEnoughSeeds = "not enough seeds"

    /// - Parameters:
    ///   - interval: of the difference, nil for fewer than two pairs.
    ///   - margin: in the same unit, positive.
    public init(interval: ClosedRange<Double>?, margin: Double) {
      precondition(margin > 0, "a margin of equivalence is positive")
      guard let interval else {
        self = .notEnoughSeeds
        return
      }
      if interval.lowerBound >= -margin && interval.upperBound <= margin {
        self = .onPar
      } else if interval.lowerBound > 0 {
        self = .better
      } else if interval.upperBound < 0 {
        self = .worse
      } else {
        self = .notEnoughSeeds
      }
    }
  }

  /// The ends of an interval, in points of top-1.
  public struct Interval: Encodable, Equatable, Sendable {
    /// Included; may be negative.
    public var lower: Double
    /// Included; at least `lower`.
    public var upper: Double

    init(_ range: ClosedRange<Double>) {
      lower = range.lowerBound
      upper = range.upperBound
    }
  }

  /// One setting. Accuracies and shares in percent, differences in points.
  public struct Entry: Encodable, Equatable, Sendable {
    /// "2/2", weights and activations; "32/32" for full precision.
    public var bits: String
    /// "full precision", "full QAT", or what the recipe's paper calls freezing.
    public var method: String
    /// As configurations write it, such as "spqat".
    public var recipe: String
    /// What the sweep varies, in its order, without method, recipe and bits.
    public var axes: [AxisSetting]
    /// Ids of the finished runs, by seed.
    public var runs: [String]
    /// Finished runs, over which means are taken.
    public var n: Int
    /// Mean after the last epoch; nil without finished runs.
    public var topOne: Double?
    /// Of the mean; nil for fewer than two finished runs.
    public var topOneStandardError: Double?
    /// nil for the baseline itself and where there is none.
    public var verdict: Verdict?
    /// Differences that could be taken: one for each of the baseline's runs that has a partner; 0 without a baseline.
    public var pairs: Int
    /// Mean of this setting's top-1 less its partner's; nil without pairs.
    public var difference: Double?
    /// Student's t interval of `difference` at 95 %; nil for fewer than two pairs.
    public var interval: Interval?
    /// Percentile bootstrap of `difference` at 95 %; nil for fewer than five pairs.
    public var bootstrapInterval: Interval?
    /// Frozen / freezable weights, mean over all steps and runs; nil where no run recorded it.
    public var weightUpdatesEliminated: Double?
    /// Frozen share × weight-gradient MACs over all MACs of the backward pass, mean; nil where no run recorded it.
    public var backwardFLOPsEliminated: Double?
    /// Over the baseline's; nil where not measured.
    public var backwardTimeRatio: Double?
    /// Without evaluation, over the baseline's; nil where not measured.
    public var trainingTimeRatio: Double?
    /// Whether no other setting with the same bits and training is as accurate and eliminates as much, and better in one.
    public var isOnParetoFront: Bool
    /// The papers' value for this row, "not available" for most.
    public var published: String
  }

  /// What entries are compared with: "full QAT", "full precision", or axes as "name=value,name=value".
  public let baseline: String
  /// Points of top-1.
  public let margin: Double
  /// Level of the intervals as a fraction: always 0.95.
  public let confidence: Double
  /// In the order of tables: full precision first, then by recipe, more bits before fewer, full QAT before freezing.
  public let entries: [Entry]
  /// What must be said beside the numbers.
  public let remarks: [String]

  /// - Parameters:
  ///   - runs: of one experiment.
  ///   - margin: points of top-1 that make no difference, positive.
  public init(runs: [RunRecord], baseline: Baseline = .fullQAT, margin: Double = 0.5) {
    let summaries = SettingSummary.summaries(of: runs, baseline: baseline)
    self.baseline = baseline.description
    self.margin = margin
    confidence = 0.95
    entries = summaries.map { summary in
      Entry(summary, margin: margin, isOnParetoFront: Self.isOnParetoFront(summary, among: summaries))
    }
    remarks = Self.remarks(summaries, entries, baseline: baseline, margin: margin)
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

  private static func remarks(
    _ summaries: [SettingSummary], _ entries: [Entry], baseline: Baseline, margin: Double
  ) -> [String] {
    let compared = entries.filter { $0.verdict != nil }
    var remarks: [String] = []
    let most = compared.map(\.pairs).max() ?? 0
    if compared.isEmpty {
      remarks.append("Nothing to compare: no setting has finished runs of the baseline (\(baseline)) beside it.")
    } else if most < 2 {
      remarks.append(
        "One seed: nothing can be concluded. A difference between two single runs may be chance; train at least three seeds."
      )
    }
    remarks.append(
      "Differences in points of top-1 at the last epoch, paired by seed, with 95 % confidence intervals of their mean "
        + "(Student's t" + (most >= 5 ? "; in parentheses the bootstrap" : "") + ").")
    remarks.append(
      "Verdict against a margin of \(short(margin)) points: on par = the whole interval within ±\(short(margin)); better or "
        + "worse = the whole interval above or below 0, and not within the margin; not enough seeds = fewer than two pairs, or "
        + "an interval that holds 0 and reaches beyond the margin.")
    if compared.count(where: { $0.pairs > 1 }) > 1 {
      remarks.append(
        "Each interval is for its own row: among many rows, one in twenty lies outside by chance alone.")
    }
    let parents = Set(summaries.flatMap(\.setting.runs).compactMap(\.provenance.parentRunID))
    if !parents.isEmpty {
      remarks.append(
        "All seeds start from the same full-precision network: what another such network would change is outside these "
          + "intervals.")
    }
    remarks.append(
      "Pareto front (*): top-1 against weight updates eliminated, among settings with the same bits and training.")
    let without = summaries.count { $0.setting.kind == .freeze && $0.baseline == nil }
    if without > 0, case .fullQAT = baseline {
      remarks.append(
        "\(without) setting(s) have no full-QAT run with the same bits and training; train it with 'spqat sweep'.")
    }
    for run in summaries.flatMap(\.setting.unfinished) {
      remarks.append("Not counted: \(run.label) (\(run.id)), \(run.outcome.status.rawValue).")
    }
    return remarks
  }

  // MARK: - Text

  /// A row for each setting, for readers.
  var table: Table {
    var columns: [Table.Column] = []
    func add(_ heading: String, _ value: (Entry) -> String) {
      columns.append(Table.Column(heading, heading: heading, .strings(entries.map(value))))
    }
    func number(_ value: Double?, _ format: String) -> String { value.map { String(format: format, $0) } ?? "–" }
    func text(_ interval: Interval) -> String { String(format: "[%+.2f, %+.2f]", interval.lower, interval.upper) }
    add("Pareto") { $0.isOnParetoFront ? "*" : "" }
    add("W/A") { $0.bits }
    add("Method") { $0.method }
    if entries.contains(where: { !$0.axes.isEmpty }) {
      add("Setting") { entry in
        entry.axes.map { "\($0.name.split(separator: ".").last ?? "")=\($0.value)" }.joined(separator: " ")
      }
    }
    add("n") { "\($0.n)" }
    add("Top-1 %") { number($0.topOne, "%.2f") + ($0.topOneStandardError.map { String(format: " ± %.2f", $0) } ?? "") }
    add("Difference") { number($0.difference, "%+.2f") }
    add("95 % interval") { entry in
      (entry.interval.map(text) ?? "–") + (entry.bootstrapInterval.map { " (\(text($0)))" } ?? "")
    }
    add("Verdict") { $0.verdict?.rawValue ?? "–" }
    add("Updates saved %") { number($0.weightUpdatesEliminated, "%.1f") }
    add("FLOPs saved %") { number($0.backwardFLOPsEliminated, "%.1f") }
    add("Backward time ×") { number($0.backwardTimeRatio, "%.2f") }
    return Table(columns: columns)
  }

  /// The table in columns, the remarks below it.
  /// - Parameter includingPublished: adds the papers' claims, by version.
  public func text(includingPublished: Bool) -> String {
    var columns = table.columns
    if includingPublished {
      columns.append(Table.Column("published", heading: "Published", .strings(entries.map(\.published))))
    }
    let rows =
      [columns.map(\.heading)]
      + entries.indices.map { row in
        columns.map { if case .strings(let values) = $0.values { values[row] } else { "" } }
      }
    var text = inColumns(rows) + "\n" + remarks.map { "- \($0)\n" }.joined()
    if includingPublished {
      text += "\nPublished claims, by version (no cell of the papers' tables is at hand)\n"
      text += inColumns(
        [["source", "recipe", "weight updates eliminated", "backward FLOPs eliminated", "accuracy"]]
          + PublishedClaims.all.map {
            [$0.source, $0.recipe, $0.weightUpdatesEliminated, $0.backwardFLOPsEliminated, $0.accuracy]
          })
    }
    return text
  }

  private struct Document: Encodable {
    let comparison: Comparison
    let published: [PublishedClaims.Claim]?
  }

  /// One JSON object: `comparison`, and `published` where asked for.
  public func json(includingPublished: Bool) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let document = Document(comparison: self, published: includingPublished ? PublishedClaims.all : nil)
    return String(decoding: try encoder.encode(document), as: UTF8.self)
  }
}

extension Comparison.Entry {
  fileprivate init(_ summary: SettingSummary, margin: Double, isOnParetoFront: Bool) {
    let setting = summary.setting
    bits = setting.bits?.description ?? "32/32"
    method = setting.method
    recipe = setting.recipe.rawValue
    axes = setting.axes
    runs = setting.finished.map(\.id)
    n = setting.finished.count
    topOne = summary.topOne?.mean
    topOneStandardError = summary.topOne?.standardError
    pairs = summary.difference?.count ?? 0
    difference = summary.difference?.mean
    let range = summary.difference?.confidenceInterval()
    interval = range.map(Comparison.Interval.init)
    bootstrapInterval = summary.difference?.bootstrapInterval().map(Comparison.Interval.init)
    verdict = summary.baseline.map { _ in Comparison.Verdict(interval: range, margin: margin) }
    weightUpdatesEliminated = summary.weightUpdatesEliminated?.mean
    backwardFLOPsEliminated = summary.backwardFLOPsEliminated?.mean
    backwardTimeRatio = summary.backward.ratio?.mean
    trainingTimeRatio = summary.training.ratio?.mean
    self.isOnParetoFront = isOnParetoFront
    published = summary.published
  }
}

extension SettingSummary.Seconds {
  var ratio: Summary? { if case .measured(_, let ratio) = self { ratio } else { nil } }
}

private func short(_ value: Double) -> String { String(format: "%g", value) }

/// Rows with their cells under one another.
private func inColumns(_ rows: [[String]]) -> String {
  let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
  return rows.map { row in
    let line = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: "  ")
    return line.replacing(#/\s+$/#, with: "") + "\n"
  }.joined()
}
