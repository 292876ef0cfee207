import Records
import Statistics
import Tables

extension ReportFigures {
  /// Milliseconds of a training step against the share of frozen weights.
  mutating func addSecondsPerStep() {
    let runs = families.flatMap { family in
      family.flatMap { summary in summary.setting.runs.map { (family: family, run: $0) } }
    }.filter { $0.run.provenance.isExclusive }
    guard runs.contains(where: { $0.run.kind == .freeze }) else {
      omissions.append("Seconds a step are not drawn: no run that freezes had the machine to itself.")
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

  /// What the FLOP count claims against what the clock says.
  mutating func addFLOPsAgainstSeconds() {
    let measured = families.flatMap(\.self).filter { $0.setting.kind == .freeze && $0.backward.ratio != nil }
    guard !measured.isEmpty else {
      omissions.append(
        "Seconds saved are not drawn: they need full-QAT runs and such that freeze that had the same machine to themselves."
      )
      return
    }
    var elements = ["x with lines lc rgb '#7F7F7F' dt 2 title 'as claimed'"]
    for (index, family) in families.enumerated()
    where family.contains(where: { $0.backward.ratio != nil && $0.setting.kind == .freeze }) {
      let style = LineStyle.numbered(index)
      let familyName = familyName(family[0])
      let x = "(strcol('bits') eq \(Figure.quoted(familyName)) && strcol('kind') eq 'freeze' ? column('flops') : NaN)"
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
}
