import Foundation
import Records
import Reporting
import Storage
import Tables
import TestSupport
import Testing

@Suite("Epochs of all runs")
struct EpochTableTests {
  /// Two freeze starts and full QAT, with two seeds, of which one diverged.
  private static let runs: [RunRecord] = {
    let starts = ["0%", "20%"].flatMap { start in
      [1, 2].map { seed in
        SyntheticRuns.freeze(
          bits: 2, seed: seed, topOne: start == "0%" && seed == 2 ? nil : 0.8,
          axes: [AxisSetting(name: "freezing.start", value: start)], epochs: 3)
      }
    }
    return [SyntheticRuns.fullPrecision()] + starts
      + [1, 2].map { SyntheticRuns.fullQAT(bits: 2, seed: $0, topOne: 0.81, epochs: 3) }
  }()

  private func rows(_ csv: String) -> [[String: String]] {
    let lines = csv.split(separator: "\r\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
    return lines.dropFirst().map { Dictionary(uniqueKeysWithValues: zip(lines[0], $0)) }
  }

  @Test("a row for each run and epoch, by which everything else about the run is known")
  func tidy() throws {
    let table = ResultTable(runs: Self.runs, caption: "T").epochs
    let rows = rows(table.csv())
    #expect(rows.count == 4 + 6 * 3)
    #expect(Set(rows.map { "\($0["id"] ?? "") \($0["epoch"] ?? "")" }).count == rows.count)
    let row = try #require(
      rows.first { $0["freezing_start"] == "20%" && $0["seed"] == "2" && $0["epoch"] == "3" })
    let run = try #require(Self.runs.first { $0.id == row["id"] })
    #expect(row["freezing_start_number"] == "0.2")
    #expect(row["kind"] == "freeze" && row["method"] == "SpQAT" && row["weight_bits"] == "2")
    #expect(row["parent"] == SyntheticRuns.parentID && row["exclusive"] == "true" && row["step"] == "30")
    #expect(row["test_top1"] == "\(try #require(run.epochs[2].testTopOne))")
    #expect(row["frozen_share"] == "\(run.epochs[2].frozenShare)")
    let precise = try #require(rows.first { $0["kind"] == "fullPrecision" })
    #expect(precise["freezing_start"] == "" && precise["freezing_start_number"] == "" && precise["weight_bits"] == "0")
    #expect(Set(rows.filter { $0["status"] == "diverged" }.map { $0["seed"] }) == ["2"])
  }

  @Test("the same rows whatever the order of the runs, in the results' HDF5 too")
  func storage() throws {
    let table = ResultTable(runs: Self.runs, caption: "T")
    #expect(ResultTable(runs: Self.runs.reversed(), caption: "T").epochs.csv() == table.epochs.csv())
    let folder = try TemporaryFolder()
    try table.write(prefix: folder.file("t"))
    #expect(try HDF5File.open(folder.file("t.h5")).root.readTable("epochs").csv() == table.epochs.csv())
  }

  @Test(
    "docs/export.md's lines of pandas draw a figure from the exported table",
    .enabled(
      if: PythonInterpreter.has("pandas, matplotlib"),
      "no Python with pandas and matplotlib: `make test` makes one, or set SPQAT_TEST_PYTHON to an interpreter"))
  func pandas() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let guide = try String(contentsOf: root.appendingPathComponent("docs/export.md"), encoding: .utf8)
    let start = try #require(guide.range(of: "```python\n"))
    let end = try #require(guide.range(of: "\n```", range: start.upperBound..<guide.endIndex))
    let script = guide[start.upperBound..<end.lowerBound]
    #expect(script.split(separator: "\n").count <= 10)
    let folder = try TemporaryFolder()
    let collection = RunCollection(
      runs: SyntheticRuns.table2(seeds: [1, 2]), problems: [], name: "table2", folder: folder.file("table2"))
    #expect(try collection.writeEpochs(to: folder.file("table2")) == folder.file("table2-epochs.csv"))
    let (status, output) = try PythonInterpreter.run([
      "-W", "error", "-c", "import os, matplotlib; matplotlib.use('agg'); os.chdir(r'\(folder.file("."))')\n\(script)",
    ])
    #expect(status == 0, "\(output)")
    let picture = try Data(contentsOf: URL(fileURLWithPath: folder.file("top1.png")))
    #expect(picture.starts(with: [0x89, 0x50, 0x4E, 0x47]) && picture.count > 10_000)
  }
}
