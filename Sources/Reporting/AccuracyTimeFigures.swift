import Records
import Statistics
import Tables

extension ReportFigures {
  /// Test accuracy against the seconds that training took until then, a figure for each family.
  mutating func addAccuracyAgainstSeconds() {
    struct Point {
      let family: String
      let summary: SettingSummary
      let run: RunRecord
      let epoch: EpochRecord
      let seconds: Double
    }
    let points = families.flatMap { family in
      family.flatMap { summary in
        summary.setting.runs.filter(\.provenance.isExclusive).flatMap { run in
          var seconds = 0.0
          return run.epochs.map { epoch in
            seconds += epoch.seconds.total - epoch.seconds.evaluation
            return Point(
              family: familyName(family[0]), summary: summary, run: run, epoch: epoch, seconds: seconds)
          }
        }
      }
    }.filter { $0.epoch.testTopOne != nil && $0.seconds > 0 }
    guard points.contains(where: { $0.run.kind == .freeze }) else {
      omissions.append("Accuracy against seconds is not drawn: no run that freezes had the machine to itself.")
      return
    }
    add(
      "accuracy-seconds",
      [
        .init("bits", .strings(points.map(\.family))), .init("setting", .strings(points.map { name($0.summary) })),
        .init("run", .strings(points.map(\.run.id))), .init("seed", .integers(points.map(\.run.provenance.seed))),
        .init("epoch", .integers(points.map(\.epoch.epoch))),
        .init("seconds", unit: "s", description: "Training without evaluation", .doubles(points.map(\.seconds))),
        .init("top1", unit: "%", .doubles(points.map { 100 * ($0.epoch.testTopOne ?? .nan) })),
      ], title: "Accuracy against seconds")
    for (index, family) in families.enumerated() {
      let familyName = familyName(family[0])
      let mine = points.filter { $0.family == familyName }
      guard mine.contains(where: { $0.run.kind == .freeze }) else { continue }
      let baseline = family.filter { $0.setting.kind == .fullQAT }
      // More lines than styles would be a tangle.
      let freezing = family.filter { $0.setting.kind == .freeze && !$0.setting.runs.isEmpty }.prefix(7)
      var elements: [String] = []
      for (number, summary) in (baseline + freezing).enumerated() {
        let style = number < baseline.count ? LineStyle.baseline : .numbered(number - baseline.count)
        let ids = summary.setting.runs.filter { run in mine.contains { $0.run.id == run.id } }.map(\.id)
        for (seed, id) in ids.enumerated() {
          elements.append(
            "'accuracy-seconds.csv' using (strcol('run') eq '\(id)' ? column('seconds') : NaN):(column('top1')) with linespoints "
              + "\(style.line) pt \(style.point) ps 0.6 "
              + (seed == 0 ? "title \(Figure.quoted(name(summary)))" : "notitle"))
        }
      }
      let titles = (baseline + freezing).map { name($0) }
      let columns = Figure.legendColumns(titles)
      figures.append(
        Figure(
          name: "accuracy-seconds-\(index + 1)", title: "Accuracy against seconds: \(familyName)",
          caption:
            "Test accuracy after each epoch against the wall-clock seconds of training until then, evaluation left out; a line for each run "
            + "that had the machine to itself, seeds in the same style. Up and to the left is better."
            + (freezing.count < family.count { $0.setting.kind == .freeze } ? " The first seven settings." : ""),
          data: ["accuracy-seconds.csv"], width: 720, height: 420 + 18 * ((titles.count + columns - 1) / columns),
          commands: [
            "set xrange [0:*]", "set xlabel 'time of training (s)'", "set ylabel 'test top-1 (%)'",
            "set key above maxcols \(columns)", "set offsets 0,0,graph 0.06,graph 0.06", Figure.plot(elements),
          ]))
    }
  }
}
