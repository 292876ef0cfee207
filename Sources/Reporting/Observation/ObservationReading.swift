import Foundation
import LotteryTicket
import Records
import Statistics
import Tables

/// The tables for readers, and what stands below them.
extension ObservationTables {
  private static func percent(_ settings: [ObservedSetting], _ value: (ObservedSetting) -> Double?)
    -> Table.Column.Values
  {
    .doubles(settings.map { value($0).map { 100 * $0 } ?? .nan })
  }

  private static func leading(_ settings: [ObservedSetting]) -> [Table.Column] {
    [
      .init("bits", heading: "W/A bits", .strings(settings.map(\.bits))),
      .init("setting", heading: "Setting", .strings(settings.map(\.name))),
      .init("n", .integers(settings.map(\.runs.count))),
    ]
  }

  static func readableShares(_ settings: [ObservedSetting], name: String) -> Table {
    func middle(_ value: @escaping (ObservedRun.Shares) -> Double?) -> Table.Column.Values {
      percent(settings) { $0.summary { $0.middle.flatMap(value) }?.mean }
    }
    return Table(
      title: "\(name): how early weights have their final level",
      columns: leading(settings)
        + [10, 25, 50, 75, 90].map { share in
          Table.Column(
            "settled_\(share)", heading: "Settled at \(share) %", unit: "%", decimals: 1,
            percent(settings) { $0.summary { $0.settled(at: Double(share) / 100) }?.mean })
        } + [
          .init("moment", heading: "Moment near the middle", unit: "% of the run", decimals: 0, middle(\.progress)),
          .init("reached", heading: "Reached then", unit: "%", decimals: 1, middle(\.reached)),
          .init("chance", heading: "By chance", unit: "%", decimals: 1, middle(\.chance)),
          .init("ceiling", heading: "Two seeds' ends", unit: "%", decimals: 1, percent(settings, \.ceiling)),
        ])
  }

  static func readableIdentification(_ settings: [ObservedSetting], name: String) -> Table {
    let rows = settings.filter { $0.runs.contains { $0.identification != nil } }
    func shares(_ value: @escaping (Identification) -> Double?) -> Table.Column.Values {
      percent(rows) { $0.summary { $0.identification.flatMap(value) }?.mean }
    }
    return Table(
      title: "\(name): whether the criterion tells which weights have it",
      columns: leading(rows) + [
        .init("decided", heading: "Decided", unit: "%", decimals: 1, shares(\.decided.value)),
        .init("agreement", heading: "Agreement", unit: "%", decimals: 1, shares(\.agreement.value)),
        .init("chance", heading: "By chance", unit: "%", decimals: 1, shares(\.chance)),
        .init("clock", heading: "Clock", unit: "%", decimals: 1, shares(\.clock.value)),
        .init("undecided", heading: "Undecided weights", unit: "%", decimals: 1, shares(\.undecided)),
        .init(
          "lift", heading: "Lift", decimals: 3,
          .doubles(rows.map { $0.summary { $0.identification?.lift }?.mean ?? .nan })),
        .init("ceiling", heading: "Two seeds' ends", unit: "%", decimals: 1, percent(rows, \.ceiling)),
        .init("final", heading: "All weights at the end", unit: "%", decimals: 1, shares(\.final.value)),
        .init(
          "auc", heading: "AUC", decimals: 3, .doubles(rows.map { $0.summary(\.areaUnderCurve)?.mean ?? .nan })),
      ])
  }

  /// Thresholds that the fixed schedule is swept over, and beyond them one that decides nearly all.
  static func readableThresholds(_ settings: [ObservedSetting], name: String) -> Table {
    let rows = settings.filter { $0.runs.contains(where: \.isShadow) }.flatMap { setting in
      let pooled = setting.runs.flatMap { $0.discriminations.dropFirst().dropLast() }.reduce(
        into: Discrimination?.none
      ) { sum, next in
        if sum == nil { sum = next.discrimination } else { sum? += next.discrimination }
      }
      return (pooled?.decisions() ?? []).filter { [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5].contains($0.threshold) }.map {
        (setting: setting, decision: $0)
      }
    }
    func percents(_ value: (Discrimination.Decision) -> Double?) -> Table.Column.Values {
      .doubles(rows.map { value($0.decision).map { 100 * $0 } ?? .nan })
    }
    return Table(
      title: "\(name): precision and recall of D̄ ≤ λ·u, over the recorded steps",
      columns: leading(rows.map(\.setting)) + [
        .init("threshold", heading: "λ", decimals: 2, .doubles(rows.map(\.decision.threshold))),
        .init("decided", heading: "Decided", unit: "%", decimals: 1, percents(\.decided.value)),
        .init("precision", heading: "Precision", unit: "%", decimals: 1, percents(\.precision.value)),
        .init("recall", heading: "Recall", unit: "%", decimals: 1, percents(\.recall.value)),
      ])
  }

  static func notes(_ settings: [ObservedSetting]) -> [String] {
    guard !settings.isEmpty else { return [] }
    var notes = [
      "Settled: weights that have the level they end with, and keep it. Reached: that have it, at a recorded moment. By chance: what "
        + "that would be if the levels then and at the end had nothing to do with one another. Two seeds' ends: weights that end with "
        + "the same level in two runs of full QAT that differ in their seed alone: what training repeats. "
        + "Agreement beyond it comes from the batches that a run shares with full QAT of its own seed."
    ]
    if settings.contains(where: { $0.runs.contains { $0.identification != nil } }) {
      notes.append(
        "Agreement: decided (frozen) weights whose level then is the one that full QAT of the same seed ends with. Clock: the same of full "
          + "QAT itself at the moments of the decisions, whatever weights they are. Undecided weights: agreement of those that had not "
          + "frozen at the same moments; lift is the ratio, 1 where the criterion tells nothing. A shadow run is judged by its own end."
      )
      notes.append(
        "AUC: the probability that a weight that ends with its level is closer to it than one that does not (0.5 is chance), mean over the "
          + "recorded steps; in runs that freeze over the weights not yet frozen.")
    }
    if settings.contains(where: { $0.runs.contains(where: \.isShadow) }) {
      notes.append(
        "Precision: of the weights with an average distance up to λ, those that end with their level; recall: of those that end with it, "
          + "the ones up to λ.")
    }
    return notes
  }
}
