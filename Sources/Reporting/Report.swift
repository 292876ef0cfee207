import Diagnostics
import Files
import Foundation
import Records
import Tables

/// An experiment's report: figures with their data and scripts, and one HTML page with everything in it.
public struct Report: Sendable {
  let collection: RunCollection
  let comparison: Comparison
  let observation: ObservationTables
  let figures: [Figure]
  let tables: [(name: String, table: Table)]
  let omissions: [String]

  /// Makes the tables and scripts; nothing is written or drawn yet.
  ///
  /// - Parameters:
  ///   - claim: what the comparison with full QAT tests.
  ///   - observed: what the runs' recorded levels say; nil for nothing.
  public init(_ collection: RunCollection, claim: SettledClaim = SettledClaim(), observed: ObservedRuns? = nil) {
    self.collection = collection
    comparison = Comparison(runs: collection.runs, claim: claim)
    let observed = observed ?? ObservedRuns()
    let drawn = ReportFigures(runs: collection.runs, observed: observed)
    observation = ObservationTables(collection.runs, observed: observed, name: collection.name)
    let forest = ForestPlot(comparison)
    figures = [forest?.figure].compactMap(\.self) + drawn.figures
    tables = [forest.map { (name: ForestPlot.name, table: $0.table) }].compactMap(\.self) + drawn.tables
    omissions = drawn.omissions
  }

  /// Writes `NAME.csv` and `NAME.gp`, has gnuplot draw `NAME.svg` and `NAME.png` from them, and writes `index.html`.
  ///
  /// - Parameters:
  ///   - folder: made where it does not exist; other files in it are left alone.
  ///   - gnuplot: the program; nil looks for it in $PATH.
  /// - Throws: where gnuplot is missing or fails, after the CSV files and scripts were written.
  public func write(to folder: String, gnuplot: String? = nil) throws {
    try DrawnFigures(figures: figures, tables: tables).write(to: folder, option: "--output", gnuplot: gnuplot)
    try replaceFile(at: "\(folder)/index.html", with: try page(in: folder))
  }
}
