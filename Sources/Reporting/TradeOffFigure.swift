import Records
import Statistics
import Tables

extension ReportFigures {
  /// Accuracy against weight updates eliminated, a point for each setting.
  mutating func addTradeOff() {
    let rows = families.flatMap { family in
      family.map { TradeOffRow(family: familyName(family[0]), summary: $0) }
    }.filter { $0.summary.topOne != nil }
    guard !rows.isEmpty else { return }
    let frame = TradeOffFrame(rows.map(\.summary))
    addSettingsTable(rows, frame)
    guard rows.contains(where: { $0.summary.setting.kind == .freeze }) else { return }
    let lastAxes = Set(rows.compactMap { $0.summary.setting.axes.last?.name }).sorted().map(axisHeading)
    let drawing = tradeOffElements()
    let columns = Figure.legendColumns(drawing.titles)
    let published = PublishedClaims.eliminatedShare
    figures.append(
      Figure(
        name: "trade-off", title: "Accuracy against weight updates eliminated",
        caption:
          "Top-1 after the last epoch; bars and bands are standard errors over the seeds (none with one seed). Up and to the "
          + "right is better. Shaded: what SpQAT's abstract claims, \(published.lowerBound) to \(published.upperBound) %."
          + (lastAxes.isEmpty ? "" : " Numbers and words at the points: \(lastAxes.joined(separator: ", "))."),
        data: ["settings.csv"], width: 720, height: 440 + 18 * ((drawing.titles.count + columns - 1) / columns),
        commands: [
          "set xlabel 'weight updates eliminated (%)'", "set ylabel 'top-1 (%)'", "set key above maxcols \(columns)",
          "set samples 500", "set xrange [0:\(frame.eliminated)]",
          "set yrange [\(frame.topOne.lowerBound):\(frame.topOne.upperBound)]",
          "set object 1 rectangle from \(published.lowerBound), graph 0 to \(published.upperBound), graph 1 "
            + "fc rgb '#7F7F7F' fs transparent solid 0.1 noborder behind",
          Figure.plot(drawing.elements),
        ]))
  }

  private mutating func addSettingsTable(_ rows: [TradeOffRow], _ frame: TradeOffFrame) {
    // A single point of a family needs no label.
    let labelled = rows.indices.filter { row in
      rows[row].summary.setting.kind == .freeze && !rows[row].summary.setting.axes.isEmpty
        && rows.count { $0.family == rows[row].family && $0.summary.setting.kind == .freeze } > 1
    }
    let places = frame.labels(labelled.map { rows[$0].summary })
    func labels(_ value: (LabelLayout.Place) -> Double?) -> Table.Column.Values {
      var values = rows.map { _ in Double.nan }
      for (row, place) in zip(labelled, places) { values[row] = value(place) ?? .nan }
      return .doubles(values)
    }
    func doubles(_ value: (SettingSummary) -> Double?) -> Table.Column.Values {
      .doubles(rows.map { value($0.summary) ?? .nan })
    }
    func saved(_ seconds: SettingSummary.Seconds) -> (mean: Double, error: Double?)? {
      seconds.ratio.map { (100 - 100 * $0.mean, $0.standardError.map { 100 * $0 }) }
    }
    add(
      "settings",
      [
        .init("bits", description: "Weights and activations", .strings(rows.map(\.family))),
        .init("kind", .strings(rows.map(\.summary.setting.kind.rawValue))),
        .init("method", .strings(rows.map { $0.summary.setting.method })),
        .init("setting", .strings(rows.map { name($0.summary) })),
        .init("series", description: "Settings drawn alike", .strings(rows.map { series($0.summary) })),
        .init(
          "label", description: "What tells them apart",
          .strings(rows.map { $0.summary.setting.axes.last?.value ?? "" })),
        .init("label_x", unit: "%", description: "Where it is drawn, on the axis of 'eliminated'", labels(\.center.x)),
        .init("label_y", unit: "%", description: "Where it is drawn, on the axis of 'top1'", labels(\.center.y)),
        .init("lead_x", unit: "%", description: "Where the line from its point ends", labels(\.lead?.x)),
        .init("lead_y", unit: "%", labels(\.lead?.y)),
        .init("n", .integers(rows.map { $0.summary.topOne?.count ?? 0 })),
        .init("top1", unit: "%", doubles { $0.topOne?.mean }),
        .init("top1_error", unit: "%", description: "Standard error", doubles { $0.topOne?.standardError }),
        .init("eliminated", unit: "%", doubles { $0.weightUpdatesEliminated?.mean ?? 0 }),
        .init("eliminated_error", unit: "%", doubles { $0.weightUpdatesEliminated?.standardError }),
        .init("flops", unit: "%", doubles { $0.backwardFLOPsEliminated?.mean ?? 0 }),
        .init("backward_saved", unit: "%", doubles { saved($0.backward)?.mean }),
        .init("backward_saved_error", unit: "%", doubles { saved($0.backward)?.error }),
        .init("training_saved", unit: "%", doubles { saved($0.training)?.mean }),
        .init("training_saved_error", unit: "%", doubles { saved($0.training)?.error }),
      ], title: "Settings")
  }

  /// Lines to labels under everything else, labels on top of it.
  private func tradeOffElements() -> (elements: [String], titles: [String]) {
    var elements: [String] = []
    // Under and on top of everything else.
    var (leads, texts): ([String], [String]) = ([], [])
    var styles = 0
    var titles: [String] = []
    for family in families {
      let style = LineStyle.numbered(styles)
      let familyName = familyName(family[0])
      if let baseline = family.first(where: { $0.setting.kind == .fullQAT })?.topOne {
        let title = "\(familyName) full QAT"
        if let error = baseline.standardError {
          elements.append(
            "'+' using 1:(\(baseline.mean - error)):(\(baseline.mean + error)) with filledcurves lc rgb '\(style.color)' "
              + "fs transparent solid 0.18 noborder notitle")
        }
        elements.append("\(baseline.mean) with lines lc rgb '\(style.color)' dt 2 title \(Figure.quoted(title))")
        titles.append(title)
      }
      let frozen = family.filter { $0.setting.kind == .freeze }
      var series: [String] = []
      for summary in frozen where !series.contains(self.series(summary)) { series.append(self.series(summary)) }
      for (part, name) in series.enumerated() {
        let style = LineStyle.numbered(styles + part)
        let chosen =
          "(strcol('bits') eq \(Figure.quoted(familyName)) && strcol('series') eq \(Figure.quoted(name)) ? column('eliminated') : NaN)"
        if frozen.contains(where: { $0.topOne?.standardError != nil }) {
          elements.append(
            "'settings.csv' using \(chosen):(column('top1')):(column('eliminated_error')):(column('top1_error')) "
              + "with xyerrorbars \(style.marker) ps 0.9 lw 1.2 notitle")
        }
        elements.append(
          "'settings.csv' using \(chosen):(column('top1')) with points \(style.marker) ps 1.1 title "
            + Figure.quoted("\(familyName) \(name)"))
        titles.append("\(familyName) \(name)")
        if frozen.count > 1 {
          leads.append(
            "'settings.csv' using \(chosen):(column('top1')):(column('lead_x') - column('eliminated'))"
              + ":(column('lead_y') - column('top1')) with vectors nohead lc rgb '\(style.color)' lw 0.5 notitle")
          texts.append(
            "'settings.csv' using (column('label_x') + 0 * \(chosen)):(column('label_y')):(strcol('label')) "
              + "with labels center font ',11' notitle")
        }
      }
      styles += max(1, series.count)
    }
    return (leads + elements + texts, titles)
  }
}

/// A setting beside the name of its family.
private struct TradeOffRow {
  let family: String
  let summary: SettingSummary
}
