import Records
import Statistics
import Tables

/// Accuracy and weight updates eliminated along each axis of the sweep.
extension ReportFigures {
  mutating func addSweeps() {
    let names = axisNames(summaries.map(\.setting))
    for axis in names { addSweep(axis, file: "sweep-\(shortAxisName(axis, among: names).lowercased())") }
  }

  private mutating func addSweep(_ axis: String, file: String) {
    let swept = families.flatMap { family in family.map { (familyName(family[0]), $0) } }.compactMap {
      family, summary in
      summary.topOne == nil ? nil : summary.setting.axis(axis).map { (family: family, value: $0, summary: summary) }
    }
    let values = Array(Set(swept.map(\.value)))
    guard values.count(where: { axisNumber($0) != nil }) >= 2 else { return }
    let scale = SweepScale(values)
    let hasFamilies = families.count > 1
    /// One curve for each setting of everything else.
    func curve(_ point: (family: String, value: String, summary: SettingSummary)) -> String {
      let others = point.summary.setting.axes.filter { $0.name != axis }.map { "\(axisHeading($0.name)) \($0.value)" }
      return ((hasFamilies ? [point.family] : []) + (others.isEmpty ? [point.summary.setting.method] : others)).joined(
        separator: ", ")
    }
    let rows = swept.sorted {
      curve($0) == curve($1) ? axisValue($0.value, precedes: $1.value) : curve($0) < curve($1)
    }
    func doubles(_ value: (SettingSummary) -> Double?) -> Table.Column.Values {
      .doubles(rows.map { value($0.summary) ?? .nan })
    }
    add(
      file,
      [
        .init("curve", .strings(rows.map { curve($0) })), .init("value", .strings(rows.map(\.value))),
        .init("position", description: "Where it is drawn", .doubles(rows.map { scale[$0.value] })),
        .init("is_number", .integers(rows.map { axisNumber($0.value) == nil ? 0 : 1 })),
        .init("n", .integers(rows.map { $0.summary.topOne?.count ?? 0 })),
        .init("top1", unit: "%", doubles { $0.topOne?.mean }),
        .init("top1_error", unit: "%", doubles { $0.topOne?.standardError }),
        .init("eliminated", unit: "%", doubles { $0.weightUpdatesEliminated?.mean }),
        .init("eliminated_error", unit: "%", doubles { $0.weightUpdatesEliminated?.standardError }),
      ], title: axis)
    var curves: [(name: String, hasErrors: Bool)] = []
    for name in rows.map({ curve($0) }) where !curves.contains(where: { $0.name == name }) {
      curves.append((name, rows.contains { curve($0) == name && $0.summary.topOne?.standardError != nil }))
    }
    let baselines = sweepBaselines(Set(rows.map(\.family)))
    let unit =
      switch axis {
      case "freezing.threshold": "threshold λ (share of a level''s spacing)"
      case "freezing.start": "start of freezing (share or length of the run)"
      default: axisHeading(axis)
      }
    let panels = Panels(
      title: "Sweep: \(axisHeading(axis))", legend: baselines.titles + curves.map(\.name), height: 560)
    figures.append(
      Figure(
        name: file, title: "Sweep: \(axisHeading(axis))",
        caption:
          "Top-1 after the last epoch and weight updates eliminated, mean and standard error over the seeds (no bars with one "
          + "seed)"
          + (scale.wordBoundary == nil
            ? "." : "; to the right of the dotted line the schedules that rise over the run.")
          + scale.remark,
        data: ["\(file).csv"], width: 720, height: panels.height,
        commands: panels.commands([
          scale.range, "set samples 500",
          scale.wordBoundary.map { "set arrow from \($0), graph 0 to \($0), graph 1 nohead lc rgb '#7F7F7F' dt 3" }
            ?? "",
          "set ylabel 'top-1 (%)'", "set offsets 0,0,graph 0.08,graph 0.08", scale.unlabelledTics,
          Panels.top, Figure.plot(baselines.elements + sweepElements(curves, file: file, column: "top1", titled: true)),
          scale.tics,
          "unset key", "set offsets 0,0,graph 0.08,0", "set ylabel 'updates eliminated (%)'", "set xlabel '\(unit)'",
          "set yrange [0:*]", Panels.bottom,
          Figure.plot(sweepElements(curves, file: file, column: "eliminated", titled: false)),
        ])))
  }

  private func sweepElements(
    _ curves: [(name: String, hasErrors: Bool)], file: String, column: String, titled: Bool
  ) -> [String] {
    curves.enumerated().flatMap { index, curve -> [String] in
      let style = LineStyle.numbered(index)
      let here = "strcol('curve') eq \(Figure.quoted(curve.name))"
      let place = "column('position')"
      var parts: [String] = []
      // Bars first, so that points lie on them.
      if curve.hasErrors {
        parts.append(
          "'\(file).csv' using (\(here) ? \(place) : NaN):(column('\(column)')):(column('\(column)_error')) "
            + "with yerrorbars \(style.marker) ps 0.9 lw 1.2 notitle")
      }
      parts += [
        "'\(file).csv' using (\(here) && column('is_number') == 1 ? \(place) : NaN):(column('\(column)')) "
          + "with linespoints \(style.line) pt \(style.point) ps 0.9 \(titled ? "title \(Figure.quoted(curve.name))" : "notitle")",
        "'\(file).csv' using (\(here) && column('is_number') == 0 ? \(place) : NaN):(column('\(column)')) "
          + "with points \(style.marker) ps 0.9 notitle",
      ]
      return parts
    }
  }

  /// Full QAT of these families as horizontal lines, with bands of one standard error.
  private func sweepBaselines(_ names: Set<String>) -> (elements: [String], titles: [String]) {
    var (elements, titles): ([String], [String]) = ([], [])
    for family in families where names.contains(familyName(family[0])) {
      guard let baseline = family.first(where: { $0.setting.kind == .fullQAT })?.topOne else { continue }
      let title =
        (families.count > 1 ? "\(familyName(family[0])) " : "") + "full QAT"
        + (baseline.standardError == nil ? "" : ", mean ± standard error")
      if let error = baseline.standardError {
        elements.append(
          "'+' using 1:(\(baseline.mean - error)):(\(baseline.mean + error)) with filledcurves lc rgb '#7F7F7F' "
            + "fs transparent solid 0.25 noborder notitle")
      }
      elements.append("\(baseline.mean) with lines \(LineStyle.baseline.line) title \(Figure.quoted(title))")
      titles.append(title)
    }
    return (elements, titles)
  }
}
