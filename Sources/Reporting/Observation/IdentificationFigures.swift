import Foundation
import LotteryTicket
import Records
import Statistics
import Tables

/// Whether a criterion tells which weights have their final level.
extension ReportFigures {
  /// Settings whose runs record their levels, with the names that figures give them.
  private func observedSettings(_ observed: ObservedRuns) -> [(
    name: String, summary: SettingSummary, runs: [ObservedRun]
  )] {
    families.flatMap { family in
      family.map { summary in
        (
          (families.count > 1 ? "\(familyName(family[0])) " : "") + name(summary), summary,
          summary.setting.runs.compactMap { observed.runs[$0.id] }
        )
      }
    }.filter { !$0.2.isEmpty }
  }

  /// Agreement beside chance, clock, undecided weights and ceiling; area under the ROC curve.
  mutating func addIdentification(_ observed: ObservedRuns) {
    let rows = observedSettings(observed).filter { $0.runs.contains { $0.identification != nil } }
    guard !rows.isEmpty else { return }
    func mean(_ value: @escaping (ObservedRun) -> Double?) -> Table.Column.Values {
      .doubles(rows.map { Summary($0.runs.compactMap(value))?.mean ?? .nan })
    }
    func percent(_ value: @escaping (Identification) -> Double?) -> Table.Column.Values {
      mean { $0.identification.flatMap(value).map { 100 * $0 } }
    }
    add(
      "identification",
      [
        .init("position", description: "From the top", .integers(Array(rows.indices))),
        .init("setting", .strings(rows.map(\.name))), .init("n", .integers(rows.map(\.runs.count))),
        .init("agreement", unit: "%", percent(\.agreement.value)),
        .init("undecided", unit: "%", description: "At the same moments", percent(\.undecided)),
        .init("clock", unit: "%", percent(\.clock.value)), .init("chance", unit: "%", percent(\.chance)),
        .init("ceiling", unit: "%", mean { observed.ceilings[$0.run.id].map { 100 * $0 } }),
        .init("lift", mean { $0.identification?.lift }), .init("auc", mean(\.areaUnderCurve)),
      ], title: "Identification")
    let kinds = [
      ("agreement", "agreement of frozen weights"), ("undecided", "weights not frozen then"),
      ("clock", "clock: full QAT then"), ("chance", "by chance"), ("ceiling", "two seeds' ends"),
    ]
    let points = kinds.enumerated().map { index, kind in
      // One below the other within a row: near 100 % they would cover each other.
      let shift = 0.16 * (Double(index) - 2)
      return
        "'identification.csv' using (column('\(kind.0)')):(column('position') + \(shift)) with points "
        + "\(LineStyle.numbered(index).marker) ps 1.1 title \(Figure.quoted(kind.1))"
    }
    func mean(_ value: (ObservedRun) -> Double?, _ runs: [ObservedRun], _ format: String) -> String? {
      Summary(runs.compactMap(value)).map { String(format: format, $0.mean) }
    }
    let readings = rows.map { row in
      [
        mean({ $0.identification?.lift }, row.runs, "×%.3f"), mean(\.areaUnderCurve, row.runs, "AUC %.2f"),
      ].compactMap(\.self).joined(separator: ", ")
    }
    let ends = "[\(Double(rows.count) - 0.5):-0.5]"
    figures.append(
      Figure(
        name: "identification", title: "Whether the criterion tells which weights have their final level",
        caption:
          "Frozen (in shadow runs: decided) weights whose level in that step is the one that full QAT of the same seed ends with, "
          + "beside the weights that had not frozen at the same moments, full QAT itself at these moments, chance, and two seeds of full "
          + "QAT. On the right the lift over weights that had not frozen (×1: the criterion tells nothing), and the area under the ROC "
          + "curve of minus the average distance (0.5 is chance). Means over the seeds.", data: ["identification.csv"],
        width: 620 + 7 * (rows.map(\.name.count).max() ?? 0), height: 150 + 46 * rows.count,
        commands: [
          "set xlabel 'weights (%)'", "set xrange [0:102]", "set xtics 0,20,100", "set key above maxcols 3",
          "set yrange \(ends)", "set y2range \(ends)",
          "set ytics (\(Figure.tics(rows.map(\.name), from: 0))) scale 0 font ',12'",
          "set y2tics (\(Figure.tics(readings, from: 0))) scale 0 font ',12'", "set border 1", Figure.plot(points),
        ]))
  }

  /// D/u at the start, at freezing and at the end, a figure for each setting in which a criterion decides.
  mutating func addDistances(_ observed: ObservedRuns) {
    let shown = observedSettings(observed).compactMap { item in
      item.runs.first { $0.distances.decision != nil }.map { (name: item.name, run: $0) }
    }
    for (index, item) in shown.enumerated() {
      let file = "distances-\(index + 1)"
      // Two bins in one: 200 are more than a picture shows.
      func merged(_ shares: [Double]) -> [Double] {
        stride(from: 0, to: shares.count - 1, by: 2).map { 100 * (shares[$0] + shares[$0 + 1]) }
      }
      let start = merged(item.run.distances.start)
      let decision = merged(item.run.distances.decision ?? [])
      let end = merged(item.run.distances.end)
      add(
        file,
        [
          .init(
            "distance", description: "D/u, middle of a bin", .doubles(start.indices.map { 0.01 * Double($0) + 0.005 })),
          .init("start", unit: "%", .doubles(start)), .init("decision", unit: "%", .doubles(decision)),
          .init("end", unit: "%", .doubles(end)),
        ], title: item.run.run.label)
      // Beyond half a spacing there are only weights outside of the range.
      let highest = DistanceAxis.end([start, decision, end])
      let when = item.run.isShadow ? "when decided upon" : "at freezing"
      figures.append(
        Figure(
          name: file, title: "Distances to levels: \(item.name)",
          caption:
            "Weights by their distance to the level in the first step, in the step in which each one \(item.run.isShadow ? "was decided upon" : "froze"), "
            + "and in the last step, in spacings u; seed \(item.run.run.provenance.seed). Bins of 0.01.",
          data: ["\(file).csv"], width: 720, height: 400,
          commands: [
            "set xrange [0:\(highest)]", "set yrange [0:*]", "set xlabel 'distance D / u'",
            "set ylabel 'weights (%)'", "set key above",
            Figure.plot(
              [("start", "at the start"), ("decision", when), ("end", "at the end")].enumerated().map { index, column in
                let style = LineStyle.numbered(index)
                return
                  "'\(file).csv' using (column('distance')):(column('\(column.0)')) with histeps lw 2 \(style.line) title '\(column.1)'"
              }),
          ]))
    }
  }
}

/// How far an axis of distances reaches: to the last bin that holds something to be seen, half a spacing at least.
enum DistanceAxis {
  static func end(_ series: [[Double]]) -> Double {
    let last = series.compactMap { $0.lastIndex { $0 > 0.2 } }.max() ?? 0
    return min(1, max(0.55, 0.01 * Double(last + 2)))
  }
}
