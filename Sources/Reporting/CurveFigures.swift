import Records
import Statistics
import Tables

extension ReportFigures {
  /// Test accuracy and frozen share after each epoch, a line for each run.
  mutating func addCurves() {
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
    let panels = Panels(title: title, legend: chunk.map { name($0) }, height: 560)
    let xRange =
      epochs == 1
      ? "set xrange [0.5:1.5]\nset xtics 1" : "set xrange [1:\(epochs)]" + (epochs <= 12 ? "\nset xtics 1" : "")
    let commands =
      showsFrozen
      ? panels.commands([
        xRange, "set ylabel 'test top-1 (%)'", "set format x ''", Panels.top,
        Figure.plot(elements("top1", titled: true)),
        "set format x '%h'",
        "unset key", "set xlabel 'epoch'", "set ylabel 'frozen weights (%)'", "set yrange [0:100]",
        Panels.bottom, Figure.plot(elements("frozen", titled: false)),
      ])
      : [
        xRange, "set ylabel 'test top-1 (%)'", "set xlabel 'epoch'", "unset key",
        Figure.plot(elements("top1", titled: true)),
      ]
    figures.append(
      Figure(
        name: file, title: title,
        caption: "Test accuracy after each epoch"
          + (showsFrozen ? ", and frozen weights as a share of those that may freeze" : "")
          + "; a line for each run, seeds in the same style.", data: ["curves.csv"], width: 720,
        height: showsFrozen ? panels.height : 380,
        commands: commands))
  }
}
