import Diagnostics
import Files
import Foundation
import Host
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
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw Diagnostic(cause: .system, folder, "cannot be made", remedy: "choose another folder with --output")
    }
    for (name, table) in tables {
      // Without the CR that RFC 4180 asks for, which gnuplot takes for part of the last column's name.
      try replaceFile(
        at: "\(folder)/\(name).csv", with: table.csv().replacingOccurrences(of: "\r\n", with: "\n"))
    }
    for figure in figures { try replaceFile(at: "\(folder)/\(figure.name).gp", with: figure.script) }
    guard let gnuplot = gnuplot ?? Subprocess.find("gnuplot") else {
      throw Diagnostic(
        "gnuplot", "is not installed, so nothing is drawn; data and scripts are in \(folder)",
        remedy: "install it (apt-get install gnuplot-nox)")
    }
    for figure in figures {
      for format in ["svg", "png"] { try Self.draw(figure, format: format, in: folder, gnuplot: gnuplot) }
    }
    try replaceFile(at: "\(folder)/index.html", with: try page(in: folder))
  }

  private static func draw(_ figure: Figure, format: String, in folder: String, gnuplot: String) throws {
    let result: Subprocess.Result
    do {
      result = try Subprocess.run(gnuplot, ["-e", "format='\(format)'", "\(figure.name).gp"], in: folder)
    } catch {
      throw Diagnostic(cause: .system, gnuplot, "cannot be started", remedy: "check the installation of gnuplot")
    }
    guard result.succeeded else {
      let reason = (result.text + result.errors).split(whereSeparator: \.isNewline).map {
        $0.trimmingCharacters(in: .whitespaces)
      }.last {
        !$0.isEmpty
      }
      throw Diagnostic("\(folder)/\(figure.name).gp", "gnuplot failed: \(reason ?? "no message")")
    }
  }
}
