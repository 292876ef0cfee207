import Foundation
import Records
import Statistics
import Tables

extension ResultTable {
  static func readableTable(_ rows: [ResultRow], caption: String) -> Table {
    typealias Column = Table.Column
    let severalRecipes = Set(rows.map(\.setting.recipe)).count > 1
    var columns: [Column] = []
    // An axis may bear any name.
    var names = UniqueNames(
      [
        "bits", "method", "recipe", "other", "top1", "n", "difference", "updates", "flops", "backward", "training",
        "published",
      ])
    func add(_ name: String, _ heading: String, unless isMissing: Bool = false, _ value: (ResultRow) -> String) {
      guard !isMissing else { return }
      columns.append(Column(name, heading: heading, .strings(rows.map(value))))
    }
    add("bits", "W/A bits") { $0.setting.bits?.description ?? "32/32" }
    add("method", "Method") { $0.setting.method }
    add("recipe", "Recipe", unless: !severalRecipes) { $0.setting.recipe.rawValue }
    for (index, axis) in (rows.first?.axes ?? []).enumerated() {
      add(names.name(axis.name, prefix: "axis_"), axisHeading(axis.name)) {
        $0.axes[index].value.isEmpty ? "–" : $0.axes[index].value
      }
    }
    add("other", "Other settings", unless: rows.allSatisfy(\.distinction.isEmpty)) { $0.distinction }
    add("top1", "Top-1 (%)") { text($0.summary.topOne, decimals: 2) }
    add("n", "n") { "\($0.setting.finished.count)" }
    add("difference", "Difference to full QAT (points)") { row in
      guard let difference = row.summary.difference else { return "–" }
      let pairs = difference.count == row.setting.finished.count ? "" : " (\(difference.count) pairs)"
      return text(difference, decimals: 2, signed: true) + pairs
    }
    add("updates", "Weight updates eliminated (%)") { text($0.summary.weightUpdatesEliminated, decimals: 1) }
    add("flops", "Backward FLOPs eliminated (%)") { text($0.summary.backwardFLOPsEliminated, decimals: 1) }
    add("backward", "Backward time (× full QAT)") { text($0.summary.backward) }
    add("training", "Training time (× full QAT)") { text($0.summary.training) }
    add("published", "Published") { $0.summary.published }
    return Table(title: caption, columns: columns)
  }

  /// "91.20 ± 0.15", "91.20 ± –" for one value, "–" for none.
  private static func text(_ summary: Summary?, decimals: Int, signed: Bool = false) -> String {
    guard let summary else { return "–" }
    let mean = String(format: signed ? "%+.\(decimals)f" : "%.\(decimals)f", summary.mean)
    return mean + " ± " + (summary.standardError.map { String(format: "%.\(decimals)f", $0) } ?? "–")
  }

  private static func text(_ seconds: SettingSummary.Seconds) -> String {
    switch seconds {
    case .notMeasured: "not measured"
    case .measured(let mean, let ratio):
      String(format: "%.1f s", mean) + (ratio.map { String(format: " (%.2f)", $0.mean) } ?? "")
    }
  }
}
