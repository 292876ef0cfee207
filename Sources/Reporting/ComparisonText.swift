import Foundation
import Records
import Statistics
import Tables

extension Comparison {
  /// A row for each setting, for readers.
  var table: Table {
    var columns: [Table.Column] = []
    func add(_ heading: String, _ value: (Entry) -> String) {
      columns.append(Table.Column(heading, heading: heading, .strings(entries.map(value))))
    }
    func number(_ value: Double?, _ format: String) -> String { value.map { String(format: format, $0) } ?? "–" }
    func text(_ interval: Interval?) -> String {
      interval.map { String(format: "[%+.2f, %+.2f]", $0.lower, $0.upper) } ?? "–"
    }
    add("Pareto") { $0.isOnParetoFront ? "*" : "" }
    add("W/A") { $0.bits }
    add("Method") { $0.method }
    if entries.contains(where: { !$0.axes.isEmpty }) { add("Setting") { $0.axisText } }
    add("n") { "\($0.n)" }
    add("Top-1 %") { number($0.topOne, "%.2f") + ($0.topOneStandardError.map { String(format: " ± %.2f", $0) } ?? "") }
    add("Difference") { number($0.pooled?.difference ?? $0.difference, "%+.2f") }
    add("Verdict") { $0.verdict?.rawValue ?? "–" }
    add("Pooled \(percentText(claim.confidence))") { text($0.pooled?.interval) }
    if entries.count(where: { $0.pooled != nil }) > 1 { add("Simultaneous") { text($0.pooled?.simultaneousInterval) } }
    add("Paired \(percentText(claim.confidence))") { text($0.interval) }
    add("Updates saved %") { number($0.weightUpdatesEliminated, "%.1f") }
    add("FLOPs saved %") { number($0.backwardFLOPsEliminated, "%.1f") }
    add("Backward time ×") { number($0.backwardTimeRatio, "%.2f") }
    return Table(columns: columns)
  }

  /// The table in columns, the remarks below it.
  /// - Parameter includingPublished: adds the papers' claims, by version.
  public func text(includingPublished: Bool) -> String {
    var columns = table.columns
    if includingPublished {
      columns.append(Table.Column("published", heading: "Published", .strings(entries.map(\.published))))
    }
    let rows =
      [columns.map(\.heading)]
      + entries.indices.map { row in
        columns.map { if case .strings(let values) = $0.values { values[row] } else { "" } }
      }
    var text = inColumns(rows) + "\n" + remarks.map { "- \($0)\n" }.joined()
    if includingPublished {
      text += "\nPublished claims, by version (no cell of the papers' tables is at hand)\n"
      text += inColumns(
        [["source", "recipe", "weight updates eliminated", "backward FLOPs eliminated", "accuracy"]]
          + PublishedClaims.all.map {
            [$0.source, $0.recipe, $0.weightUpdatesEliminated, $0.backwardFLOPsEliminated, $0.accuracy]
          })
    }
    return text
  }

  private struct Document: Encodable {
    let comparison: Comparison
    let published: [PublishedClaims.Claim]?
  }

  /// One JSON object: `comparison`, and `published` where asked for.
  public func json(includingPublished: Bool) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let document = Document(comparison: self, published: includingPublished ? PublishedClaims.all : nil)
    return String(decoding: try encoder.encode(document), as: UTF8.self)
  }
}

extension Comparison.Entry {
  /// "threshold=0.1 start=20%".
  var axisText: String { axes.map { "\($0.name.split(separator: ".").last ?? "")=\($0.value)" }.joined(separator: " ") }
}

/// Rows with their cells under one another.
func inColumns(_ rows: [[String]]) -> String {
  let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
  return rows.map { row in
    let line = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: "  ")
    return line.replacing(#/\s+$/#, with: "") + "\n"
  }.joined()
}
