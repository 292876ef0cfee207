import Records
import Statistics
import Tables

extension ReportFigures {
  /// Accuracy by bit width, where each width has one setting of a method.
  mutating func addBits() {
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
    let freezing = Set(rows.map(\.summary.setting).filter { $0.kind == .freeze }.map(\.method)).sorted()
    let methods =
      [("full QAT", LineStyle.baseline, -0.04)]
      + freezing.enumerated().map { ($1, LineStyle.numbered($0), 0.04 * Double($0 + 1)) }
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
}
