import Records
import Statistics
import Tables

/// How early weights have their final level.
extension ReportFigures {
  /// S(t) and R(t) of full QAT with chance and the agreement of two seeds, a colour for each family.
  mutating func addSettling(_ observed: ObservedRuns) {
    let shown = families.compactMap { family -> (name: String, run: ObservedRun)? in
      let runs = family.flatMap(\.setting.runs).compactMap { observed.runs[$0.id] }
      return (runs.first { $0.run.kind == .fullQAT } ?? runs.first { $0.run.kind.trainsEveryWeight }).map {
        (familyName(family[0]), $0)
      }
    }
    guard !shown.isEmpty else {
      if !observed.runs.isEmpty {
        omissions.append("Settled and reached shares are not drawn: no full QAT holds a record of its levels.")
      }
      return
    }
    let rows = shown.flatMap { item in item.run.shares.map { (item: item, shares: $0) } }
    func doubles(_ value: (ObservedRun.Shares) -> Double?) -> Table.Column.Values {
      .doubles(rows.map { value($0.shares).map { 100 * $0 } ?? .nan })
    }
    add(
      "settling",
      [
        .init("bits", .strings(rows.map(\.item.name))), .init("run", .strings(rows.map(\.item.run.run.id))),
        .init("step", .integers(rows.map(\.shares.step))),
        .init("progress", unit: "%", description: "Of the run", doubles(\.progress)),
        .init("settled", unit: "%", doubles(\.settled)),
        .init("reached", unit: "%", description: "At recorded moments", doubles(\.reached)),
        .init("chance", unit: "%", doubles(\.chance)),
      ], title: "Settled and reached shares of full QAT")
    var (settled, reached): ([String], [String]) = ([], [])
    var titles: [String] = []
    for (index, item) in shown.enumerated() {
      let style = LineStyle.numbered(index)
      func data(_ column: String) -> String {
        "'settling.csv' using (strcol('run') eq '\(item.run.run.id)' && column('\(column)') == column('\(column)') ? "
          + "column('progress') : NaN):(column('\(column)'))"
      }
      settled.append("\(data("settled")) with lines lc rgb '\(style.color)' lw 2 title \(Figure.quoted(item.name))")
      titles.append(item.name)
      // gnuplot breaks a line at a missing value, and between moments there are some.
      reached.append(
        "\(data("reached")) smooth unique with linespoints lc rgb '\(style.color)' lw 2 pt \(style.point) ps 0.7 notitle"
      )
      reached.append("\(data("chance")) smooth unique with lines lc rgb '\(style.color)' dt 3 lw 1.5 notitle")
      if let ceiling = observed.ceilings[item.run.run.id] {
        reached.append("\(100 * ceiling) with lines lc rgb '\(style.color)' dt 2 notitle")
      }
    }
    settled.append("NaN with lines lc rgb 'black' dt 3 lw 1.5 title 'below: by chance'")
    titles.append("below: by chance")
    if shown.contains(where: { observed.ceilings[$0.run.run.id] != nil }) {
      settled.append("NaN with lines \(LineStyle.baseline.line) title 'below: two seeds'' ends'")
      titles.append("below: two seeds' ends")
    }
    let panels = Panels(title: "Settled and reached shares", legend: titles, height: 600)
    figures.append(
      Figure(
        name: "settling", title: "How early weights have their final level",
        caption:
          "Full QAT, one seed. Above: weights that have the level they end with and keep it. Below: weights that have it at the end of an "
          + "epoch, with what chance would give (dotted), and how many end with the same level in two runs that differ in their seed "
          + "(dashed, where there are two).", data: ["settling.csv"], width: 720, height: panels.height,
        commands: panels.commands([
          "set xrange [0:100]", "set yrange [0:100]", "set ylabel 'settled weights (%)'", "set format x ''", Panels.top,
          Figure.plot(settled), "set format x '%h'", "unset key", "set xlabel 'share of the run (%)'",
          "set ylabel 'weights at their final level (%)'", Panels.bottom, Figure.plot(reached),
        ])))
    for (index, item) in shown.enumerated() { addSettlingMap(item.run, family: item.name, number: index + 1) }
  }

  /// S(t) by layer.
  private mutating func addSettlingMap(_ run: ObservedRun, family: String, number: Int) {
    struct Cell {
      let position: Int
      let layer: String
      let from: Double
      let to: Double
      let settled: Double
    }
    var cells: [Cell] = []
    for (position, layer) in run.layers.enumerated() {
      var from = 0.0
      for shares in layer.shares {
        let to = 100 * shares.progress
        cells.append(Cell(position: position, layer: layer.layer, from: from, to: to, settled: 100 * shares.settled))
        from = to
      }
    }
    let file = "settling-layers-\(number)"
    add(
      file,
      [
        .init("from", unit: "%", description: "Of the run", .doubles(cells.map(\.from))),
        .init("to", unit: "%", description: "Of the run", .doubles(cells.map(\.to))),
        .init("position", description: "From the input", .integers(cells.map(\.position))),
        .init("layer", .strings(cells.map(\.layer))),
        .init("settled", unit: "%", description: "At the later end", .doubles(cells.map(\.settled))),
      ], title: run.run.label)
    let names = run.layers.map(\.layer)
    figures.append(
      Figure(
        name: file, title: "Settled share by layer: \(family)",
        caption:
          "Weights of each layer that have the level they end with and keep it, in full QAT, seed \(run.run.provenance.seed); layers from "
          + "the input (top) to the output.", data: ["\(file).csv"], width: 720, height: 130 + 18 * names.count,
        commands: HeatMap.commands(layers: names, label: "settled weights (%)") + [
          "set xlabel 'share of the run (%)'", "set xrange [0:100]",
          Figure.plot([HeatMap.boxes(file, x: "'to'", from: "'from'", to: "(column('to') + 0.3)", value: "settled")]),
        ]))
  }
}
