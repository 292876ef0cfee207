import Files
public import Records
import Statistics
public import Storage
public import Tables

/// The table of an experiment: a row for each setting, averaged over the seeds.
public struct ResultTable: Sendable {
  /// One sentence on what the table shows.
  public let caption: String
  /// What a reader must know to trust and repeat it: n, spread, data, command, commit, failures.
  public let notes: [String]
  /// Numbers in columns of their own, for programs; a missing number is NaN.
  public let data: Table
  /// The same for readers: text with mean ± standard error.
  public let readable: Table
  /// A row for each run, finished or not.
  public let runs: Table
  /// A row for each run and epoch, tidy.
  public let epochs: Table

  /// - Parameter problems: lines on files that could not be read, repeated in the notes.
  public init(runs records: [RunRecord], caption: String, problems: [String] = []) {
    // In the order of the rows, so that nothing depends on the order of the files.
    let records = Setting.settings(of: records).flatMap(\.runs)
    let rows = ResultRow.rows(of: records)
    self.caption = caption
    notes = Self.notes(rows, records: records, problems: problems)
    data = Self.dataTable(rows, caption: caption)
    readable = Self.readableTable(rows, caption: caption)
    runs = Self.runTable(records)
    epochs = EpochTable.table(of: records)
  }

  /// Of `PREFIX.h5`.
  public static let format = FileFormat(name: "spqat-table", version: 1)

  /// The readable table, and the notes as a list below it.
  public func markdown() -> String {
    readable.markdown() + "\n" + notes.map { "- \(Self.escapedForMarkdown($0))\n" }.joined()
  }

  /// The notes stand below the table within its float, so that they stay with it.
  public func latex() -> String { Table(title: caption, columns: narrow.columns).latex(notes: notes) }

  /// The readable table without published values where there is none: pages are narrow.
  var narrow: Table {
    let nothing = Table.Column.Values.strings(
      [String](repeating: PublishedClaims.notAvailable, count: readable.rowCount))
    return Table(
      title: readable.title, columns: readable.columns.filter { $0.name != "published" || $0.values != nothing })
  }

  /// Writes `PREFIX.h5` (`/table`, `/runs`, `/epochs`, and caption and notes as attributes of the root), `PREFIX.md`, `PREFIX.csv` and
  /// `PREFIX.tex`, each replaced as a whole.
  public func write(prefix: String) throws {
    try HDF5File.writeAtomically(to: prefix + ".h5") { root in
      try Self.format.stamp(root)
      try root.setAttribute("caption", to: caption)
      try root.write(notes.joined(separator: "\n"), to: "notes")
      try root.write(data, to: "table")
      try root.write(runs, to: "runs")
      try root.write(epochs, to: "epochs")
    }
    try replaceFile(at: prefix + ".md", with: markdown())
    try replaceFile(at: prefix + ".csv", with: data.csv())
    try replaceFile(at: prefix + ".tex", with: latex())
  }

  private static func escapedForMarkdown(_ text: String) -> String {
    var result = ""
    for character in text {
      if "\\*_`<[]".contains(character) { result += "\\" }
      result.append(character)
    }
    return result
  }
}

/// Writes the table of an experiment's runs as `PREFIX.h5`, `.md`, `.csv` and `.tex`.
///
/// - Parameters:
///   - runs: all of them, also full-precision and unfinished ones.
///   - caption: one sentence without a full stop.
///   - prefix: such as "results/table2"; the folder exists.
public func writeTables(runs: [RunRecord], caption: String, prefix: String) throws {
  try ResultTable(runs: runs, caption: caption).write(prefix: prefix)
}
