import Foundation
import Records
import Reporting
import Statistics
import TestSupport
import Testing

@Suite("Forest plot")
struct ForestPlotTests {
  /// The data and the script of the figure; nil where there is none.
  private func forest(_ runs: [RunRecord], _ claim: Claim) throws -> (csv: String, script: String)? {
    let folder = try TemporaryFolder()
    let collection = RunCollection(runs: runs, problems: [], name: "a", folder: folder.path)
    #expect(throws: (any Error).self) {
      try Report(collection, claim: SettledClaim(claim)).write(to: folder.path, gnuplot: "/nonexistent/gnuplot")
    }
    guard FileManager.default.fileExists(atPath: folder.file("forest.csv")) else { return nil }
    return (
      try String(contentsOfFile: folder.file("forest.csv"), encoding: .utf8),
      try String(contentsOfFile: folder.file("forest.gp"), encoding: .utf8)
    )
  }

  @Test("a line for each setting, the claim's region behind")
  func drawn() throws {
    let runs = ReportTests.thresholdSweep(seeds: 1...3)
    let (csv, script) = try #require(try forest(runs, Claim(margin: 0.7, test: .equivalence)))
    let rows = csv.split(separator: "\n")
    #expect(rows.count == 5)
    #expect(rows[0] == "row,setting,difference,lower,upper,simultaneous_lower,simultaneous_upper,verdict")
    let entries = Comparison(runs: runs, claim: SettledClaim(Claim(margin: 0.7, test: .equivalence))).entries
    for (row, entry) in zip(rows.dropFirst(), entries.filter { $0.pooled != nil }) {
      #expect(row.contains("threshold=\(try #require(entry.axes.first).value) start=20%"))
      #expect(row.hasSuffix(try #require(entry.verdict).rawValue))
    }
    #expect(script.contains("rectangle from -0.7, graph 0 to 0.7, graph 1"))
    #expect(script.contains("start=20%%"))
    let (_, oneSided) = try #require(try forest(runs, Claim(margin: 0.7)))
    #expect(oneSided.contains("rectangle from -0.7, graph 0 to graph 1, graph 1"))
  }

  @Test("nothing is drawn where no setting has an interval")
  func nothing() throws {
    #expect(try forest(ReportTests.thresholdSweep(seeds: 1...1), Claim()) == nil)
  }
}
