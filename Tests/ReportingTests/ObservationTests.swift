import Foundation
import Records
import Reporting
import Storage
import Tables
import TestSupport
import Testing

@Suite("Observed levels")
struct ObservationTests {
  private func tables(_ runs: [RunRecord]) throws -> ObservationTables {
    ObservationTables(runs, observed: try ObservedRuns(runs) { $0.observation }, name: "x")
  }

  private func rows(_ table: Table) -> [[String: String]] {
    let lines = table.csv().split(separator: "\r\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
    return lines.dropFirst().map { Dictionary(uniqueKeysWithValues: zip(lines[0], $0)) }
  }

  private func table(_ name: String, _ tables: ObservationTables) throws -> Table {
    try #require(tables.data.first { $0.name == name }).table
  }

  @Test("a run that freezes is judged by the full QAT of its seed; two seeds give the ceiling")
  func identification() throws {
    let tables = try tables(SyntheticObservations.runs)
    let rows = rows(try table("identification", tables))
    #expect(rows.count == 1)
    let row = try #require(rows.first)
    #expect(row["seed"] == "1" && row["criterion"] == "distance" && row["bits"] == "2/2")
    // As counted by hand in the tests of `Identification`.
    #expect(row["agreement"] == "0.75" && row["chance"] == "0.3125" && row["clock"] == "0.5")
    #expect(row["comparable"] == "0.75" && row["decided"] == "\(4.0 / 6)" && row["final"] == "\(5.0 / 6)")
    // Seeds 1 and 2 end with the same level in weights 0, 1, 4 and 5.
    #expect(row["ceiling"] == "\(4.0 / 6)")
    // Step 7 alone counts: not frozen are weights 3, 4 and 5, of which 3 and 4 end with their level, and are closer to it.
    #expect(row["auc"] == "1.0")
    #expect(tables.notes.contains { $0.contains("to judge 1 run(s) by: W2A2 freeze threshold=linear seed=3") })
  }

  @Test("settled, reached and decided shares stand at the recorded moments and between")
  func shares() throws {
    let tables = try tables(SyntheticObservations.runs)
    let full = rows(try table("shares", tables)).filter { $0["kind"] == "fullQAT" && $0["seed"] == "1" }
    #expect(full.map { $0["step"] } == (1...10).map { "\($0)" })
    // Settled in steps 2, 6, 9, 0, 3 and 0.
    #expect(full.map { $0["settled"] } == [2, 3, 4, 4, 4, 5, 5, 5, 6, 6].map { "\(Double($0) / 6)" })
    #expect(full.map { $0["decided"] } == [String](repeating: "", count: 10))
    // At step 1 weights 3, 4 and 5 have their last level, at step 4 also 0, at step 7 also 1.
    #expect(
      full.map { $0["reached"] } == ["0.5", "", "", "\(4.0 / 6)", "", "", "\(5.0 / 6)", "", "", "1.0"])
    let frozen = rows(try table("shares", tables)).filter { $0["kind"] == "freeze" && $0["seed"] == "1" }
    #expect(frozen.map { $0["decided"] } == [0, 1, 1, 2, 3, 3, 3, 3, 3, 4].map { "\(Double($0) / 6)" })
    let layer = rows(try table("layers", tables)).filter {
      $0["kind"] == "fullQAT" && $0["seed"] == "1" && $0["layer"] == "conv2"
    }
    #expect(layer.map { $0["settled"] } == [1, 1, 2, 2, 2, 2, 2, 2, 2, 2].map { "\(Double($0) / 2)" })
    #expect(layer.first?["position"] == "1")
  }

  @Test("runs without a record are named, and nothing else is lost")
  func withoutRecords() throws {
    var runs = SyntheticObservations.runs
    runs[1].observation = nil
    let tables = try tables(runs)
    #expect(
      tables.notes.contains {
        $0.contains("nothing is known of 1 run(s)") && $0.contains("W2A2 fullQAT seed=2 (\(runs[1].id))")
      })
    #expect(rows(try table("identification", tables)).first?["ceiling"] == "")
    #expect(try self.tables(SyntheticRuns.table2(seeds: [1])).isEmpty)
  }

  @Test("written are one HDF5 file, a CSV file for each table, and Markdown")
  func files() throws {
    let tables = try tables(SyntheticObservations.runs)
    let folder = try TemporaryFolder()
    let written = try tables.write(prefix: folder.file("o"))
    #expect(try folder.contents == written.map { URL(fileURLWithPath: $0).lastPathComponent }.sorted())
    let root = try HDF5File.open(folder.file("o.h5")).root
    #expect(try root.stringAttribute("format") == "spqat-observation")
    for (name, table) in tables.data {
      #expect(try root.readTable(name).csv() == table.csv())
      #expect(try String(contentsOfFile: folder.file("o-\(name).csv"), encoding: .utf8) == table.csv())
    }
    let markdown = try String(contentsOfFile: folder.file("o.md"), encoding: .utf8)
    #expect(markdown == tables.markdown())
    // Decided, agreement, chance, clock, undecided, lift, ceiling, final, AUC. The run of seed 3 has nobody to be judged by.
    #expect(markdown.contains("| 2/2 | SpQAT | 2 | 66.7 | 75.0 | 31.2 | 50.0 | 66.7 | 1.125 | 66.7 | 83.3 | 1.000 |"))
  }

  @Test(
    "the report draws settling, identification and distances, and shows the tables",
    .enabled(if: ReportTests.gnuplot != nil, "gnuplot is not installed"))
  func report() throws {
    let folder = try TemporaryFolder()
    var runs = SyntheticObservations.runs
    for (index, start) in [(2, "20%"), (3, "50%")] {
      runs[index].axes.append(AxisSetting(name: "freezing.start", value: start))
      runs[index].configuration = runs[index].configuration.replacingOccurrences(
        of: "\"freezing.startStep\": \"8\"", with: "\"freezing.startStep\": \"\(index)\"")
    }
    let collection = RunCollection(runs: runs, problems: [], name: "x", folder: "results/x")
    try Report(collection, observed: try ObservedRuns(runs) { $0.observation }).write(
      to: folder.path, gnuplot: ReportTests.gnuplot)
    let page = try String(contentsOfFile: folder.file("index.html"), encoding: .utf8)
    for name in ["settling", "settling-layers-1", "identification", "distances-1", "accuracy-seconds-1"] {
      #expect(page.contains("<figure id=\"\(name)\">"), "\(name) is missing")
      #expect(FileManager.default.fileExists(atPath: folder.file("\(name).png")))
    }
    #expect(page.contains("whether the criterion tells which weights have it"))
    // A setting with "%" in its name: what gnuplot takes for a format must stay a name.
    let script = try String(contentsOfFile: folder.file("identification.gp"), encoding: .utf8)
    #expect(script.contains("start 20%%"))
    let picture = try String(contentsOfFile: folder.file("identification.svg"), encoding: .utf8)
    #expect(picture.contains("start 20%") && !picture.contains("start 20%%"))
    #expect(page.contains("SpQAT's abstract claims, 20 to 60 %"))
  }
}
