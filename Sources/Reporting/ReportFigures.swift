import Foundation
import Records
import Tables

/// The figures of an experiment and the tables that they are drawn from.
struct ReportFigures {
  /// By file name, without ".csv".
  private(set) var tables: [(name: String, table: Table)] = []
  private(set) var figures: [Figure] = []
  /// Lines on figures that cannot be drawn, and why.
  private(set) var omissions: [String] = []

  private let summaries: [SettingSummary]
  /// Settings with the same bits and training, in the order of tables.
  private let families: [[SettingSummary]]

  init(runs: [RunRecord]) {
    summaries = SettingSummary.summaries(of: runs)
    var families: [[SettingSummary]] = []
    for summary in summaries where summary.setting.kind != .fullPrecision {
      if let index = families.firstIndex(where: { $0[0].setting.family == summary.setting.family }) {
        families[index].append(summary)
      } else {
        families.append([summary])
      }
    }
    self.families = families
    addTradeOff()
    addSweeps()
    addCurves()
    addSteps()
    addFLOPs()
    addLayers()
  }

  private mutating func add(_ name: String, _ columns: [Table.Column], title: String) {
    tables.append((name, Table(title: title, columns: columns)))
  }

  // MARK: - Names

  private func familyName(_ summary: SettingSummary) -> String {
    let recipes = Set(families.map { $0[0].setting.recipe }).count > 1 ? " \(summary.setting.recipe.rawValue)" : ""
    let bits = summary.setting.bits.map { "W\($0.weights)/A\($0.activations)" } ?? ""
    let sameBits = families.filter {
      $0[0].setting.bits == summary.setting.bits && $0[0].setting.recipe == summary.setting.recipe
    }
    let number = sameBits.firstIndex { $0[0].setting.family == summary.setting.family } ?? 0
    return bits + recipes + (sameBits.count > 1 ? " (\(number + 1))" : "")
  }

  /// Within its family.
  private func name(_ summary: SettingSummary) -> String { name(summary, axes: summary.setting.axes[...]) }

  private func name(_ summary: SettingSummary, axes: ArraySlice<AxisSetting>) -> String {
    guard summary.setting.kind == .freeze else { return summary.setting.method }
    let axes = axes.map { axis in
      switch axis.name {
      case "freezing.threshold": Double(axis.value) == nil ? axis.value : "λ = \(axis.value)"
      case "freezing.start": "start \(axis.value)"
      default: "\(axis.name.split(separator: ".").last ?? "") \(axis.value)"
      }
    }
    return axes.isEmpty ? "SpQAT" : "SpQAT " + axes.joined(separator: ", ")
  }

  /// The name without the last axis, whose values then tell the points of the series apart.
  private func series(_ summary: SettingSummary) -> String { name(summary, axes: summary.setting.axes.dropLast()) }

  // MARK: - Accuracy against weight updates eliminated

  private mutating func addTradeOff() {
    let rows = families.flatMap { family in family.map { (familyName(family[0]), $0) } }.filter { $0.1.topOne != nil }
    guard !rows.isEmpty else { return }
    let frame = TradeOffFrame(rows.map(\.1))
    // A single point of a family needs no label.
    let labelled = rows.indices.filter { row in
      rows[row].1.setting.kind == .freeze && !rows[row].1.setting.axes.isEmpty
        && rows.count { $0.0 == rows[row].0 && $0.1.setting.kind == .freeze } > 1
    }
    let places = frame.labels(labelled.map { rows[$0].1 })
    func labels(_ value: (LabelLayout.Place) -> Double?) -> Table.Column.Values {
      var values = rows.map { _ in Double.nan }
      for (row, place) in zip(labelled, places) { values[row] = value(place) ?? .nan }
      return .doubles(values)
    }
    func doubles(_ value: (SettingSummary) -> Double?) -> Table.Column.Values {
      .doubles(rows.map { value($0.1) ?? .nan })
    }
    func saved(_ seconds: SettingSummary.Seconds) -> (mean: Double, error: Double?)? {
      seconds.ratio.map { (100 - 100 * $0.mean, $0.standardError.map { 100 * $0 }) }
    }
    add(
      "settings",
      [
        .init("bits", description: "Weights and activations", .strings(rows.map(\.0))),
        .init("method", .strings(rows.map { $0.1.setting.method })),
        .init("setting", .strings(rows.map { name($0.1) })),
        .init("series", description: "Settings drawn alike", .strings(rows.map { series($0.1) })),
        .init(
          "label", description: "What tells them apart", .strings(rows.map { $0.1.setting.axes.last?.value ?? "" })),
        .init("label_x", unit: "%", description: "Where it is drawn, on the axis of 'eliminated'", labels(\.center.x)),
        .init("label_y", unit: "%", description: "Where it is drawn, on the axis of 'top1'", labels(\.center.y)),
        .init("lead_x", unit: "%", description: "Where the line from its point ends", labels(\.lead?.x)),
        .init("lead_y", unit: "%", labels(\.lead?.y)),
        .init("n", .integers(rows.map { $0.1.topOne?.count ?? 0 })),
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
    guard rows.contains(where: { $0.1.setting.kind == .freeze }) else { return }
    let lastAxes = Set(rows.compactMap { $0.1.setting.axes.last?.name }).sorted().map(axisHeading)
    var elements: [String] = []
    // Under and on top of everything else.
    var (leads, texts): ([String], [String]) = ([], [])
    var styles = 0
    var legend = 0
    for family in families {
      let style = LineStyle.numbered(styles)
      let familyName = familyName(family[0])
      if let baseline = family.first(where: { $0.setting.kind == .fullQAT })?.topOne {
        let label = Figure.quoted("\(familyName) full QAT")
        if let error = baseline.standardError {
          elements.append(
            "'+' using 1:(\(baseline.mean - error)):(\(baseline.mean + error)) with filledcurves lc rgb '\(style.color)' "
              + "fs transparent solid 0.18 noborder notitle")
        }
        elements.append("\(baseline.mean) with lines lc rgb '\(style.color)' dt 2 title \(label)")
        legend += 1
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
        legend += 1
        if frozen.count > 1 {
          leads.append(
            "'settings.csv' using \(chosen):(column('top1')):(column('lead_x') - column('eliminated'))"
              + ":(column('lead_y') - column('top1')) with vectors nohead lc rgb '\(style.color)' lw 0.5 notitle")
          texts.append(
            "'settings.csv' using (column('label_x') + 0 * \(chosen)):(column('label_y')):(strcol('label')) "
              + "with labels center font ',11' tc rgb '\(style.color)' notitle")
        }
      }
      styles += max(1, series.count)
    }
    figures.append(
      Figure(
        name: "trade-off", title: "Accuracy against weight updates eliminated",
        caption:
          "Top-1 after the last epoch; bars and bands are standard errors over the seeds (none with one seed). Up and to the "
          + "right is better."
          + (lastAxes.isEmpty ? "" : " Numbers and words at the points: \(lastAxes.joined(separator: ", "))."),
        data: ["settings.csv"], width: 720, height: 440 + 18 * ((legend + 1) / 2),
        commands: [
          "set xlabel 'weight updates eliminated (%)'", "set ylabel 'top-1 (%)'", "set key above maxcols 2",
          "set samples 500", "set xrange [0:\(frame.eliminated)]",
          "set yrange [\(frame.topOne.lowerBound):\(frame.topOne.upperBound)]", Figure.plot(leads + elements + texts),
        ]))
  }

  /// The ranges of the figure's axes, and where in them labels can be read.
  private struct TradeOffFrame {
    /// Percent, from 0 to this.
    let eliminated: Double
    /// Percent.
    let topOne: ClosedRange<Double>
    private let baselines: [Double]

    init(_ summaries: [SettingSummary]) {
      let farthest = summaries.compactMap(\.weightUpdatesEliminated?.mean).max() ?? 0
      eliminated = min(100, max(10, (farthest * 1.15 / 10).rounded(.up) * 10))
      let ends = summaries.compactMap(\.topOne).flatMap { summary in
        [summary.mean - (summary.standardError ?? 0), summary.mean + (summary.standardError ?? 0)]
      }
      let (lowest, highest) = (ends.min() ?? 0, ends.max() ?? 100)
      let margin = max(0.1, (highest - lowest) * 0.1)
      topOne = (lowest - margin)...(highest + margin)
      baselines = summaries.filter { $0.setting.kind == .fullQAT }.compactMap(\.topOne?.mean)
    }

    /// A place for each setting's label, in percent of both axes.
    func labels(_ summaries: [SettingSummary]) -> [LabelLayout.Place] {
      // About what gnuplot leaves of the figure beside legend and axes.
      var layout = LabelLayout(width: 620, height: 350)
      let (perUpdate, perPoint) = (layout.width / eliminated, layout.height / span)
      layout.lines = baselines.map { ($0 - topOne.lowerBound) * perPoint }
      let places = layout.places(
        summaries.map { summary in
          LabelLayout.Item(
            point: LabelLayout.Point(
              x: (summary.weightUpdatesEliminated?.mean ?? 0) * perUpdate,
              y: ((summary.topOne?.mean ?? 0) - topOne.lowerBound) * perPoint),
            text: summary.setting.axes.last?.value ?? "",
            errorX: (summary.weightUpdatesEliminated?.standardError ?? 0) * perUpdate,
            errorY: (summary.topOne?.standardError ?? 0) * perPoint)
        })
      func percent(_ point: LabelLayout.Point) -> LabelLayout.Point {
        LabelLayout.Point(x: point.x / perUpdate, y: topOne.lowerBound + point.y / perPoint)
      }
      return places.map { LabelLayout.Place(center: percent($0.center), lead: $0.lead.map(percent)) }
    }

    private var span: Double { topOne.upperBound - topOne.lowerBound }
  }

  // MARK: - Sweeps of one axis

  private mutating func addSweeps() {
    addBits()
    var names: [String] = []
    for axis in summaries.flatMap(\.setting.axes) where !names.contains(axis.name) { names.append(axis.name) }
    for axis in names { addSweep(axis) }
  }

  /// Where the values of an axis are drawn: numbers at their place (or that of their logarithm), words beyond.
  private struct Scale {
    let positions: [(value: String, position: Double)]
    let firstWord: Double?
    let isLogarithmic: Bool

    init(_ values: [String]) {
      let numbers = values.compactMap { value in axisNumber(value).map { (value, $0) } }.sorted { $0.1 < $1.1 }
      let words = values.filter { axisNumber($0) == nil }.sorted()
      let isLogarithmic = (numbers.first?.1 ?? 0) > 0 && (numbers.last?.1 ?? 0) >= 10 * (numbers.first?.1 ?? 0)
      self.isLogarithmic = isLogarithmic
      var positions = numbers.map { (value: $0.0, position: isLogarithmic ? log10($0.1) : $0.1) }
      let last = positions.last?.position ?? 0
      let step = (last - (positions.first?.position ?? 0)) / 6
      for (index, word) in words.enumerated() { positions.append((word, last + step * (Double(index) + 1.3))) }
      firstWord = words.isEmpty ? nil : last + step * 0.65
      self.positions = positions
    }

    subscript(value: String) -> Double { positions.first { $0.value == value }?.position ?? .nan }

    var tics: String {
      "set xtics ("
        + positions.map { value, position in
          // A label is a format.
          "\(Figure.quoted(value.replacingOccurrences(of: "%", with: "%%"))) \(position)"
        }.joined(separator: ", ") + ")"
    }

    var unlabelledTics: String { "set xtics (" + positions.map { "'' \($0.position)" }.joined(separator: ", ") + ")" }

    var range: String {
      let (first, last) = (positions.first?.position ?? 0, positions.last?.position ?? 1)
      let margin = max((last - first) * 0.05, 1e-6)
      return "set xrange [\(first - margin):\(last + margin)]"
    }
  }

  private mutating func addSweep(_ axis: String) {
    let swept = families.flatMap { family in family.map { (familyName(family[0]), $0) } }.compactMap {
      family, summary in
      summary.topOne == nil ? nil : summary.setting.axis(axis).map { (family: family, value: $0, summary: summary) }
    }
    let values = Array(Set(swept.map(\.value)))
    guard values.count(where: { axisNumber($0) != nil }) >= 2 else { return }
    let scale = Scale(values)
    let hasFamilies = families.count > 1
    /// One curve for each setting of everything else.
    func curve(_ point: (family: String, value: String, summary: SettingSummary)) -> String {
      let others = point.summary.setting.axes.filter { $0.name != axis }.map { "\(axisHeading($0.name)) \($0.value)" }
      return ((hasFamilies ? [point.family] : []) + (others.isEmpty ? ["SpQAT"] : others)).joined(separator: ", ")
    }
    let rows = swept.sorted {
      curve($0) == curve($1) ? axisValue($0.value, precedes: $1.value) : curve($0) < curve($1)
    }
    let short = String(axis.split(separator: ".").last ?? "axis").lowercased()
    let file = "sweep-\(short)"
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
    var curves: [String] = []
    for row in rows where !curves.contains(curve(row)) { curves.append(curve(row)) }
    func elements(_ column: String, titled: Bool) -> [String] {
      curves.enumerated().flatMap { index, name -> [String] in
        let style = LineStyle.numbered(index)
        let here = "strcol('curve') eq \(Figure.quoted(name))"
        let hasErrors = rows.contains { curve($0) == name && $0.summary.topOne?.standardError != nil }
        let place = "column('position')"
        var parts: [String] = []
        // Bars first, so that points lie on them.
        if hasErrors {
          parts.append(
            "'\(file).csv' using (\(here) ? \(place) : NaN):(column('\(column)')):(column('\(column)_error')) "
              + "with yerrorbars \(style.marker) ps 0.9 lw 1.2 notitle")
        }
        parts += [
          "'\(file).csv' using (\(here) && column('is_number') == 1 ? \(place) : NaN):(column('\(column)')) "
            + "with linespoints \(style.line) pt \(style.point) ps 0.9 \(titled ? "title \(Figure.quoted(name))" : "notitle")",
          "'\(file).csv' using (\(here) && column('is_number') == 0 ? \(place) : NaN):(column('\(column)')) "
            + "with points \(style.marker) ps 0.9 notitle",
        ]
        return parts
      }
    }
    var baselines: [String] = []
    for family in families where rows.contains(where: { $0.family == familyName(family[0]) }) {
      guard let baseline = family.first(where: { $0.setting.kind == .fullQAT })?.topOne else { continue }
      let label = (hasFamilies ? "\(familyName(family[0])) " : "") + "full QAT"
      if let error = baseline.standardError {
        baselines.append(
          "'+' using 1:(\(baseline.mean - error)):(\(baseline.mean + error)) with filledcurves lc rgb '#7F7F7F' "
            + "fs transparent solid 0.25 noborder notitle")
      }
      baselines.append(
        "\(baseline.mean) with lines \(LineStyle.baseline.line) title "
          + Figure.quoted(label + (baseline.standardError == nil ? "" : ", mean ± standard error")))
    }
    let unit =
      switch axis {
      case "freezing.threshold": "threshold λ (share of a level''s spacing)"
      case "freezing.start": "start of freezing (share or length of the run)"
      default: axisHeading(axis)
      }
    let legendRows = (curves.count + baselines.count + 1) / 2
    figures.append(
      Figure(
        name: file, title: "Sweep: \(axisHeading(axis))",
        caption:
          "Top-1 after the last epoch and weight updates eliminated, mean and standard error over the seeds (no bars with one "
          + "seed)"
          + (scale.firstWord == nil ? "." : "; to the right of the dotted line the schedules that rise over the run.")
          + (scale.isLogarithmic ? " Logarithmic axis." : ""),
        data: ["\(file).csv"], width: 720, height: 560 + 22 * legendRows,
        commands: Self.panels(legendRows: legendRows, height: 560 + 22 * legendRows)
          + [
            scale.range, "set samples 500",
            scale.firstWord.map { "set arrow from \($0), graph 0 to \($0), graph 1 nohead lc rgb '#7F7F7F' dt 3" }
              ?? "",
            "set ylabel 'top-1 (%)'", "set offsets 0,0,graph 0.08,graph 0.08", scale.unlabelledTics,
            "TOP", Figure.plot(baselines + elements("top1", titled: true)), scale.tics,
            "unset key", "set offsets 0,0,graph 0.08,0", "set ylabel 'updates eliminated (%)'", "set xlabel '\(unit)'",
            "set yrange [0:*]", "BOTTOM", Figure.plot(elements("eliminated", titled: false)), "unset multiplot",
          ].map { Self.panel($0, legendRows: legendRows, height: 560 + 22 * legendRows) }))
  }

  private mutating func addBits() {
    let bits = families.filter { family in family.contains { $0.topOne != nil } }
    guard bits.count > 1, Set(bits.map { familyName($0[0]) }).count == bits.count,
      bits.allSatisfy({ family in family.count(where: { $0.setting.kind == .freeze }) <= 1 })
    else { return }
    // A curve needs its points one after another.
    let points = bits.enumerated().flatMap { index, family in family.map { (index: index, summary: $0) } }
    let rows =
      points.filter { $0.summary.setting.kind == .fullQAT } + points.filter { $0.summary.setting.kind == .freeze }
    add(
      "bits",
      [
        .init("position", .integers(rows.map(\.index))), .init("bits", .strings(rows.map { familyName($0.summary) })),
        .init("method", .strings(rows.map(\.summary.setting.method))),
        .init("n", .integers(rows.map { $0.summary.topOne?.count ?? 0 })),
        .init("top1", unit: "%", .doubles(rows.map { $0.summary.topOne?.mean ?? .nan })),
        .init("top1_error", unit: "%", .doubles(rows.map { $0.summary.topOne?.standardError ?? .nan })),
      ], title: "Bits")
    var elements: [String] = []
    if let precise = summaries.first(where: { $0.setting.kind == .fullPrecision })?.topOne {
      elements.append("\(precise.mean) with lines lc rgb '#7F7F7F' dt 3 title 'full precision'")
    }
    let methods = [("full QAT", LineStyle.baseline, -0.04), ("SpQAT", LineStyle.numbered(0), 0.04)]
    for (method, style, shift) in methods {
      let x = "(strcol('method') eq '\(method)' ? column('position') + \(shift) : NaN)"
      if rows.contains(where: { $0.summary.setting.method == method && $0.summary.topOne?.standardError != nil }) {
        elements.append(
          "'bits.csv' using \(x):(column('top1')):(column('top1_error')) with yerrorbars \(style.marker) ps 0.9 lw 1.2 notitle"
        )
      }
      elements.append(
        "'bits.csv' using \(x):(column('top1')) with linespoints \(style.line) pt \(style.point) ps 1.1 title '\(method)'"
      )
    }
    let tics = bits.enumerated().map { "\(Figure.quoted(familyName($1[0]))) \($0)" }.joined(separator: ", ")
    figures.append(
      Figure(
        name: "bits", title: "Accuracy by bit width",
        caption: "Top-1 after the last epoch, mean and standard error over the seeds (no bars with one seed).",
        data: ["bits.csv"], width: 720, height: 440,
        commands: [
          "set xtics (\(tics))", "set xrange [-0.4:\(Double(bits.count) - 0.6)]",
          "set xlabel 'bits of weights / activations'",
          "set ylabel 'top-1 (%)'", "set key above", "set offsets 0,0,graph 0.08,graph 0.08", Figure.plot(elements),
        ]))
  }

  // MARK: - Two panels over one another

  private static func panels(legendRows: Int, height: Int) -> [String] {
    let legend = Double(22 * legendRows + 8) / Double(height)
    return [
      "set multiplot", "set lmargin at screen 0.12", "set rmargin at screen 0.97",
      "set key at screen 0.5, screen \(legend) center top horizontal maxcols 2",
    ]
  }

  /// Replaces the words TOP and BOTTOM by the place of that panel.
  private static func panel(_ command: String, legendRows: Int, height: Int) -> String {
    let legend = Double(22 * legendRows + 76) / Double(height)
    let middle = legend + (0.97 - legend) * 0.42
    return switch command {
    case "TOP": "set tmargin at screen 0.97\nset bmargin at screen \(middle + 0.04)"
    case "BOTTOM": "set tmargin at screen \(middle - 0.01)\nset bmargin at screen \(legend)"
    default: command
    }
  }

  // MARK: - Training curves

  private mutating func addCurves() {
    let runs = summaries.flatMap { summary in summary.setting.runs.map { (summary: summary, run: $0) } }
    let rows = runs.flatMap { summary, run in run.epochs.map { (summary: summary, run: run, epoch: $0) } }
    guard !rows.isEmpty else { return }
    add(
      "curves",
      [
        .init("bits", .strings(rows.map { $0.run.kind == .fullPrecision ? "32/32" : familyName($0.summary) })),
        .init("setting", .strings(rows.map { name($0.summary) })), .init("run", .strings(rows.map(\.run.id))),
        .init("seed", .integers(rows.map(\.run.provenance.seed))), .init("epoch", .integers(rows.map(\.epoch.epoch))),
        .init("top1", unit: "%", .doubles(rows.map { ($0.epoch.testTopOne ?? .nan) * 100 })),
        .init("train_top1", unit: "%", .doubles(rows.map { $0.epoch.trainTopOne * 100 })),
        .init("train_loss", unit: "nats", .doubles(rows.map(\.epoch.trainLoss))),
        .init(
          "frozen", unit: "%", description: "After the epoch's last step",
          .doubles(rows.map { $0.epoch.frozenShare * 100 })),
      ], title: "Training curves")
    let precise = summaries.filter { $0.setting.kind == .fullPrecision }
    for (index, family) in families.enumerated() {
      let baselines = family.filter { $0.setting.kind == .fullQAT }
      let others = family.filter { $0.setting.kind == .freeze }
      // More lines than styles would be a tangle.
      let chunks = stride(from: 0, to: max(1, others.count), by: 7).map { Array(others.dropFirst($0).prefix(7)) }
      for (part, chunk) in chunks.enumerated() {
        let number = chunks.count == 1 ? "" : "-\(part + 1)"
        addCurves(
          baselines + chunk, name: "curves-\(index + 1)\(number)",
          title: "Training at \(familyName(family[0]))"
            + (chunks.count == 1 ? "" : ", part \(part + 1) of \(chunks.count)"))
      }
    }
    if !precise.isEmpty { addCurves(precise, name: "curves-full-precision", title: "Training in full precision") }
  }

  private mutating func addCurves(_ chunk: [SettingSummary], name file: String, title: String) {
    let runs = chunk.flatMap(\.setting.runs).filter { !$0.epochs.isEmpty }
    // gnuplot refuses axes without a single point.
    guard runs.contains(where: { $0.epochs.contains { $0.testTopOne != nil } }) else { return }
    let showsFrozen = chunk.contains { $0.setting.kind == .freeze }
    let epochs = runs.compactMap(\.epochs.last?.epoch).max() ?? 1
    func elements(_ column: String, titled: Bool) -> [String] {
      var number = 0
      return chunk.flatMap { summary -> [String] in
        let style = summary.setting.kind == .freeze ? LineStyle.numbered(number) : .baseline
        if summary.setting.kind == .freeze { number += 1 }
        if column == "frozen" && summary.setting.kind != .freeze { return [] }
        return summary.setting.runs.filter { !$0.epochs.isEmpty }.enumerated().map { index, run in
          "'curves.csv' using (strcol('run') eq '\(run.id)' ? column('epoch') : NaN):(column('\(column)')) "
            + "with \(epochs <= 30 ? "linespoints" : "lines") \(style.line) pt \(style.point) ps 0.6 "
            + (titled && index == 0 ? "title \(Figure.quoted(name(summary)))" : "notitle")
        }
      }
    }
    let legendRows = showsFrozen ? (chunk.count + 1) / 2 : 0
    let height = (showsFrozen ? 560 : 380) + 22 * legendRows
    let xRange =
      epochs == 1
      ? "set xrange [0.5:1.5]\nset xtics 1" : "set xrange [1:\(epochs)]" + (epochs <= 12 ? "\nset xtics 1" : "")
    let commands =
      showsFrozen
      ? (Self.panels(legendRows: legendRows, height: height) + [
        xRange, "set ylabel 'test top-1 (%)'", "set format x ''", "TOP", Figure.plot(elements("top1", titled: true)),
        "set format x '%h'",
        "unset key", "set xlabel 'epoch'", "set ylabel 'frozen weights (%)'", "set yrange [0:100]",
        "BOTTOM", Figure.plot(elements("frozen", titled: false)), "unset multiplot",
      ]).map { Self.panel($0, legendRows: legendRows, height: height) }
      : [
        xRange, "set ylabel 'test top-1 (%)'", "set xlabel 'epoch'", "unset key",
        Figure.plot(elements("top1", titled: true)),
      ]
    figures.append(
      Figure(
        name: file, title: title,
        caption: "Test accuracy after each epoch"
          + (showsFrozen ? ", and frozen weights as a share of those that may freeze" : "")
          + "; a line for each run, seeds in the same style.", data: ["curves.csv"], width: 720, height: height,
        commands: commands))
  }

  // MARK: - Seconds

  private mutating func addSteps() {
    let runs = families.flatMap { family in
      family.flatMap { summary in summary.setting.runs.map { (family: family, run: $0) } }
    }.filter { $0.run.provenance.isExclusive }
    guard runs.contains(where: { $0.run.kind == .freeze }) else {
      omissions.append("Seconds a step are not drawn: no SpQAT run had the machine to itself.")
      return
    }
    struct Point {
      let family: String
      let run: RunRecord
      let epoch: EpochRecord
      let steps: Int
      func milliseconds(_ part: (EpochRecord.Seconds) -> Double) -> Double {
        1000 * part(epoch.seconds) / Double(steps)
      }
      var step: Double { milliseconds { $0.total - $0.evaluation } }
      var gradient: Double { milliseconds(\.weightGradient) }
    }
    let points = runs.flatMap { family, run in
      run.epochs.enumerated().compactMap { index, epoch -> Point? in
        let steps = epoch.step - (index == 0 ? 0 : run.epochs[index - 1].step)
        return steps > 0 ? Point(family: familyName(family[0]), run: run, epoch: epoch, steps: steps) : nil
      }
    }
    add(
      "steps",
      [
        .init("bits", .strings(points.map(\.family))), .init("method", .strings(points.map(\.run.kind.rawValue))),
        .init("run", .strings(points.map(\.run.id))), .init("epoch", .integers(points.map(\.epoch.epoch))),
        .init(
          "frozen", unit: "%", description: "Mean over the epoch's steps",
          .doubles(points.map { $0.epoch.meanFrozenShare * 100 })),
        .init("step", unit: "ms", description: "A training step", .doubles(points.map(\.step))),
        .init("weight_gradient", unit: "ms", description: "Its weight gradients", .doubles(points.map(\.gradient))),
      ], title: "Milliseconds a step")
    var elements: [String] = []
    for (index, family) in families.enumerated() {
      let style = LineStyle.numbered(index)
      let familyName = familyName(family[0])
      let mine = points.filter { $0.family == familyName }
      guard !mine.isEmpty else { continue }
      let dense = mine.filter { $0.run.kind == .fullQAT }
      for (column, what, point, mean) in [
        ("step", "step", style.point, Summary(dense.map(\.step))?.mean),
        ("weight_gradient", "weight gradient", style.point - 1, Summary(dense.map(\.gradient))?.mean),
      ] {
        elements.append(
          "'steps.csv' using (strcol('bits') eq \(Figure.quoted(familyName)) ? column('frozen') : NaN):(column('\(column)')) "
            + "with points lc rgb '\(style.color)' pt \(point) ps 0.8 title \(Figure.quoted("\(familyName) \(what)"))")
        if let mean, let gradient = Summary(dense.map(\.gradient))?.mean {
          elements.append(
            "\(mean) - x / 100 * \(gradient) with lines lc rgb '\(style.color)' dt \(column == "step" ? 1 : 2) title "
              + Figure.quoted("\(familyName) \(what), ideal"))
        }
      }
    }
    let rows = (elements.count + 1) / 2
    figures.append(
      Figure(
        name: "seconds", title: "Seconds a step against frozen share",
        caption:
          "A point for each epoch of a run that had the machine to itself: wall-clock milliseconds of a training step, and "
          + "of its weight gradients. Ideal: full QAT's step, less its weight-gradient time times the frozen share.",
        data: ["steps.csv"], width: 720, height: 440 + 22 * rows,
        commands: [
          "set xrange [-3:100]", "set yrange [0:*]", "set xlabel 'frozen weights, mean over the epoch (%)'",
          "set ylabel 'time a training step (ms)'", "set key above maxcols 2", Figure.plot(elements),
        ]))
  }

  private mutating func addFLOPs() {
    let measured = families.flatMap(\.self).filter { $0.setting.kind == .freeze && $0.backward.ratio != nil }
    guard !measured.isEmpty else {
      omissions.append(
        "Seconds saved are not drawn: they need SpQAT and full-QAT runs that had the same machine to themselves.")
      return
    }
    var elements = ["x with lines lc rgb '#7F7F7F' dt 2 title 'as claimed'"]
    for (index, family) in families.enumerated()
    where family.contains(where: { $0.backward.ratio != nil && $0.setting.kind == .freeze }) {
      let style = LineStyle.numbered(index)
      let familyName = familyName(family[0])
      let x = "(strcol('bits') eq \(Figure.quoted(familyName)) && strcol('method') eq 'SpQAT' ? column('flops') : NaN)"
      for (column, what, point) in [
        ("backward_saved", "backward", style.point), ("training_saved", "training", style.point - 1),
      ] {
        if family.contains(where: { $0.backward.ratio?.standardError != nil }) {
          elements.append(
            "'settings.csv' using \(x):(column('\(column)')):(column('\(column)_error')) with yerrorbars "
              + "lc rgb '\(style.color)' pt \(point) ps 0.9 lw 1.2 notitle")
        }
        elements.append(
          "'settings.csv' using \(x):(column('\(column)')) with points lc rgb '\(style.color)' pt \(point) ps 1.1 title "
            + Figure.quoted("\(familyName) \(what)"))
      }
    }
    figures.append(
      Figure(
        name: "flops", title: "FLOPs claimed against seconds measured",
        caption:
          "Backward FLOPs eliminated, by the papers' count, against wall-clock seconds really saved: of input and weight "
          + "gradients (backward), and of training without evaluation. Below the line less is saved than claimed; below 0 "
          + "freezing costs time.", data: ["settings.csv"], width: 720, height: 440 + 22 * (elements.count + 1) / 2,
        commands: [
          "set xlabel 'backward FLOPs eliminated, claimed (%)'", "set ylabel 'seconds saved against full QAT (%)'",
          "set xrange [0:60]", "set xzeroaxis lc rgb '#7F7F7F'", "set key above maxcols 2", Figure.plot(elements),
        ]))
  }

  // MARK: - Layers

  private mutating func addLayers() {
    let shown = families.flatMap { family in family.map { (familyName(family[0]), $0) } }.compactMap {
      family, summary in
      summary.setting.kind != .freeze
        ? nil
        : (summary.setting.finished.first ?? summary.setting.runs.first).map {
          (family: family, summary: summary, run: $0)
        }
    }.filter { !$0.run.layerEpochs.isEmpty }
    for (index, item) in shown.enumerated() {
      let layers = item.run.layers.filter { $0.freezableWeights > 0 }
      let rows = item.run.layerEpochs.compactMap { record in
        layers.firstIndex { $0.name == record.layer }.map { (position: $0, record: record) }
      }
      guard !rows.isEmpty else { continue }
      let file = "layers-\(index + 1)"
      add(
        file,
        [
          .init("epoch", .integers(rows.map(\.record.epoch))),
          .init("position", description: "From the input", .integers(rows.map(\.position))),
          .init("layer", .strings(rows.map(\.record.layer))),
          .init(
            "frozen", unit: "%", description: "After the epoch's last step",
            .doubles(rows.map { 100 * Double($0.record.frozen) / Double(layers[$0.position].freezableWeights) })),
        ], title: item.run.label)
      let epochs = item.run.epochs.last?.epoch ?? 1
      let tics = layers.enumerated().map { "\(Figure.quoted($1.name)) \($0)" }.joined(separator: ", ")
      // An image needs two columns, and many rectangles make a large file. They overlap a little, or hairlines show between.
      let cells =
        epochs > 60
        ? "'\(file).csv' using 'epoch':'position':'frozen' with image"
        : "'\(file).csv' using 'epoch':'position':(column('epoch') - 0.51):(column('epoch') + 0.51)"
          + ":(column('position') - 0.51):(column('position') + 0.51):'frozen' with boxxyerror fs solid noborder lc palette"
      figures.append(
        Figure(
          name: file, title: "Frozen share by layer: \(item.family) \(name(item.summary))",
          caption:
            "Frozen weights of each layer after each epoch, seed \(item.run.provenance.seed); layers from the input (top) to "
            + "the output.", data: ["\(file).csv"], width: 720, height: 130 + 18 * layers.count,
          commands: [
            // Viridis: even steps of lightness, so that it survives colour blindness and print.
            "set palette defined (0 '#440154', 1 '#3B528B', 2 '#21918C', 3 '#5EC962', 4 '#FDE725')",
            "set cbrange [0:100]", "set cblabel 'frozen weights (%)'", "unset grid", "unset key", "set border 15",
            "set lmargin 18", "set xlabel 'epoch'", "set ytics (\(tics)) font ',11'",
            "set yrange [\(Double(layers.count) - 0.5):-0.5]", "set xrange [0.5:\(Double(epochs) + 0.5)]",
            epochs <= 12 ? "set xtics 1" : "set xtics auto", Figure.plot([cells]),
          ]))
    }
  }
}
