import Foundation
import Statistics
import Tables

/// Differences from the baseline with their intervals, a line a setting, over the region that the claim is about.
struct ForestPlot {
  static let name = "forest"
  let table: Table
  let figure: Figure

  /// nil where no setting has an interval.
  init?(_ comparison: Comparison) {
    let rows = comparison.entries.compactMap { entry in entry.pooled.map { (entry: entry, pooled: $0) } }
    guard !rows.isEmpty else { return nil }
    let claim = comparison.claim
    func doubles(_ value: (Comparison.Pooled) -> Double) -> Table.Column.Values {
      .doubles(rows.map { value($0.pooled) })
    }
    let severalBits = Set(rows.map(\.entry.bits)).count > 1
    let severalRecipes = Set(rows.map(\.entry.recipe)).count > 1
    let labels = rows.map { row in
      ([severalBits ? row.entry.bits : "", severalRecipes ? row.entry.recipe : "", row.entry.axisText]
        .filter { !$0.isEmpty }).joined(separator: " ")
    }
    let names = zip(rows, labels).map { $1.isEmpty ? "\($0.entry.bits) \($0.entry.method)" : $1 }
    table = Table(
      title: "Differences",
      columns: [
        .init("row", description: "From the top", .integers(Array(1...rows.count))),
        .init("setting", .strings(names)),
        .init("difference", unit: "points", doubles(\.difference)),
        .init("lower", unit: "points", description: "Pooled interval", doubles(\.interval.lower)),
        .init("upper", unit: "points", description: "Pooled interval", doubles(\.interval.upper)),
        .init(
          "simultaneous_lower", unit: "points", description: "Simultaneous interval",
          doubles(\.simultaneousInterval.lower)),
        .init(
          "simultaneous_upper", unit: "points", description: "Simultaneous interval",
          doubles(\.simultaneousInterval.upper)),
        .init("verdict", .strings(rows.map { $0.entry.verdict?.rawValue ?? "" })),
      ])

    let ends = rows.flatMap { [$0.pooled.simultaneousInterval.lower, $0.pooled.simultaneousInterval.upper] }
    let lowest = min(-claim.margin, ends.min() ?? 0)
    let highest = max(claim.test == .equivalence ? claim.margin : 0, ends.max() ?? 0)
    let room = 0.06 * (highest - lowest)
    let verdicts = rows.map { $0.entry.verdict?.rawValue ?? "" }
    let band = claim.test == .equivalence ? "\(claim.margin), graph 1" : "graph 1, graph 1"
    let style = LineStyle.numbered(0)
    func bars(_ name: String, width: Double, title: String) -> String {
      let lower = name.isEmpty ? "lower" : "\(name)_lower"
      let upper = name.isEmpty ? "upper" : "\(name)_upper"
      return
        "'\(Self.name).csv' using (column('difference')):(column('row')):(column('\(lower)')):(column('\(upper)')) "
        + "with xerrorbars \(style.marker) ps 0 lw \(width) title \(Figure.quoted(title))"
    }
    let level = percentText(claim.confidence)
    let intervals =
      rows.count > 1
      ? [
        bars("simultaneous", width: 1, title: "\(level) interval, all rows at once"),
        bars("", width: 3.5, title: "\(level) interval, pooled spread"),
      ] : [bars("", width: 3.5, title: "\(level) interval")]
    let asked =
      claim.test == .equivalence
      ? "on par: within ±\(short(claim.margin)) points" : "on par or better: not worse by \(short(claim.margin)) points"
    figure = Figure(
      name: Self.name, title: "Differences from the baseline (\(comparison.baseline))",
      caption:
        "Points of top-1 beside \(comparison.baseline), paired by seed. Shaded: what the claim allows (\(asked))."
        + (claim.isChosenAfterwards ? " The margin was chosen after the runs had been trained." : "")
        + " The verdict of each row is on the right.",
      data: ["\(Self.name).csv"], width: 720, height: 150 + 28 * rows.count,
      commands: [
        "set xlabel 'difference of top-1 (points)'", "set key above maxcols 2",
        "set xrange [\(lowest - room):\(highest + room)]", "set yrange [\(rows.count).5:0.5]",
        "set y2range [\(rows.count).5:0.5]", "set ytics (\(Figure.tics(names, from: 1))) scale 0",
        "set y2tics (\(Figure.tics(verdicts, from: 1))) scale 0", "set border 1",
        "set object 1 rectangle from \(-claim.margin), graph 0 to \(band) fc rgb '#009E73' "
          + "fs transparent solid 0.14 noborder behind",
        "set arrow 1 from 0, graph 0 to 0, graph 1 nohead lc rgb 'black' lw 1",
        Figure.plot(
          intervals + [
            "'\(Self.name).csv' using (column('difference')):(column('row')) with points \(style.marker) ps 1.2 notitle"
          ]),
      ])
  }
}
