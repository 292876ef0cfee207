import Foundation
import Records
import Reporting
import Storage
import Tables
import TestSupport
import Testing

@Suite("Table of results")
struct ResultTableTests {
  private func column(_ table: Table, _ name: String) throws -> [Double] {
    guard case .doubles(let values) = try #require(table.column(name)).values else {
      Issue.record("\(name) has no numbers")
      return []
    }
    return values
  }

  private func texts(_ table: Table, _ name: String) throws -> [String] {
    guard case .strings(let values) = try #require(table.column(name)).values else {
      Issue.record("\(name) has no text")
      return []
    }
    return values
  }

  @Test("full precision first, then bits from many to few, each full QAT before SpQAT, whatever the order of the runs")
  func order() throws {
    let runs = SyntheticRuns.table2(seeds: [1, 2, 3])
    let table = ResultTable(runs: runs, caption: "T")
    #expect(try texts(table.readable, "bits") == ["32/32", "4/4", "4/4", "3/3", "3/3", "2/2", "2/2"])
    #expect(
      try texts(table.readable, "method")
        == ["full precision", "full QAT", "SpQAT", "full QAT", "SpQAT", "full QAT", "SpQAT"])
    var random = SystemRandomNumberGenerator()
    let other = ResultTable(runs: runs.shuffled(using: &random), caption: "T")
    #expect(other.data == table.data || other.data.csv() == table.data.csv())
    #expect(other.markdown() == table.markdown())
    #expect(other.runs.csv() == table.runs.csv())
  }

  @Test("where the schedule alone fixes the eliminated share, a note says so")
  func foreseeableSavings() {
    func saysSo(_ threshold: String, average: String) -> Bool {
      var run = SyntheticRuns.freeze(bits: 2, seed: 1, topOne: 0.8, threshold: threshold)
      run.configuration = run.configuration.replacingOccurrences(
        of: "\"freezing.distanceEMA\": \"0.0\"", with: "\"freezing.distanceEMA\": \(average)")
      return ResultTable(runs: [run], caption: "T").notes.contains { $0.contains("about 0.75 × (1 − start)") }
    }
    #expect(saysSo("linear", average: "0"))
    #expect(!saysSo("linear", average: "0.99"))
    #expect(!saysSo("sine", average: "0"))
    #expect(!saysSo("0.1", average: "0"))
  }

  @Test("corrupt pictures that were skipped are counted in a note")
  func skippedPictures() {
    var run = SyntheticRuns.fullQAT(bits: 2, seed: 1, topOne: 0.9)
    let note =
      "Corrupt pictures were skipped in W2A2 fullQAT seed=1 (\(run.id)): 3 times in training, 0 in the last evaluation."
    #expect(!ResultTable(runs: [run], caption: "c").notes.contains(note))
    run.outcome.skippedImages = 3
    #expect(ResultTable(runs: [run], caption: "c").notes.contains(note))
  }

  @Test("settings that differ in activation bits alone are told apart in tables, comparisons and figures")
  func activationBits() throws {
    let runs =
      [SyntheticRuns.fullPrecision()]
      + [(2, 0.8), (4, 0.85)].flatMap { activations, topOne in
        [1, 2].flatMap { seed in
          [
            SyntheticRuns.fullQAT(bits: 2, activationBits: activations, seed: seed, topOne: topOne),
            SyntheticRuns.freeze(bits: 2, activationBits: activations, seed: seed, topOne: topOne + 0.01),
          ]
        }
      }
    let table = ResultTable(runs: runs, caption: "T")
    #expect(try texts(table.readable, "bits") == ["32/32", "2/4", "2/4", "2/2", "2/2"])
    #expect(try column(table.data, "top1").dropFirst().map { ($0 * 10).rounded() } == [850, 860, 800, 810])
    #expect(try column(table.data, "difference").filter { !$0.isNaN }.map { $0.rounded() } == [1, 1])
    let entries = Comparison(runs: runs).entries
    #expect(entries.map(\.bits) == ["32/32", "2/4", "2/4", "2/2", "2/2"])
    #expect(entries.map(\.pairs) == [0, 0, 2, 0, 2])
    let folder = try TemporaryFolder()
    let collection = RunCollection(runs: runs, problems: [], name: "bits", folder: folder.path)
    #expect(throws: (any Error).self) { try Report(collection).write(to: folder.path, gnuplot: "/nonexistent/gnuplot") }
    func file(_ name: String) throws -> String { try String(contentsOfFile: folder.file(name), encoding: .utf8) }
    #expect(try file("bits.csv").matches(of: #/,W2/A4,|,W2/A2,/#).count == 4)
    #expect(try file("bits.gp").contains("set xtics ('W2/A4' 0, 'W2/A2' 1)"))
    for name in ["trade-off.gp", "seconds.gp", "flops.gp"] {
      #expect(try file(name).contains("W2/A4"), "\(name)")
      #expect(try file(name).contains("W2/A2"), "\(name)")
    }
    #expect(try file("layers-1.csv") != "" && file("curves-2.gp").contains("Training at W2/A2"))
  }

  @Test("means, standard errors and paired differences, by hand")
  func numbers() throws {
    let runs = [
      SyntheticRuns.fullPrecision(topOne: 0.95),
      SyntheticRuns.fullQAT(bits: 2, seed: 1, topOne: 0.80), SyntheticRuns.fullQAT(bits: 2, seed: 2, topOne: 0.84),
      SyntheticRuns.fullQAT(bits: 2, seed: 3, topOne: 0.82),
      SyntheticRuns.freeze(bits: 2, seed: 1, topOne: 0.81, frozen: 0.5, seconds: 5),
      SyntheticRuns.freeze(bits: 2, seed: 2, topOne: 0.82, frozen: 0.5, seconds: 5),
      SyntheticRuns.freeze(bits: 2, seed: 3, topOne: 0.82, frozen: 0.5, seconds: 5),
    ]
    let table = ResultTable(runs: runs, caption: "T").data
    // Full QAT: mean 82, deviations -2, 2, 0: variance 4, standard error 2/√3.
    #expect(isClose(try column(table, "top1")[1], 82, 1e-10))
    #expect(isClose(try column(table, "top1_standard_error")[1], 2 / 3.0.squareRoot(), 1e-10))
    // Differences +1, -2, 0: mean -1/3, variance (16/9 + 25/9 + 1/9)/2 = 7/3.
    #expect(isClose(try column(table, "difference")[2], -1.0 / 3, 1e-10))
    #expect(isClose(try column(table, "difference_standard_error")[2], (7.0 / 9).squareRoot(), 1e-10))
    #expect(isClose(try column(table, "weight_updates_eliminated")[2], 50, 1e-10))
    #expect(isClose(try column(table, "backward_flops_eliminated")[2], 25, 1e-10))
    #expect(isClose(try column(table, "backward_ratio")[2], 0.5, 1e-12))
    // 10 s less a tenth... evaluation is not training: 1.1·5 − 0.1·5 against 1.1·10 − 0.1·10.
    #expect(isClose(try column(table, "training_seconds")[2], 5, 1e-10))
    #expect(isClose(try column(table, "training_ratio")[2], 0.5, 1e-10))
    #expect(try column(table, "difference")[1].isNaN)
    #expect(try column(table, "weight_updates_eliminated")[1].isNaN)
    // The best epoch stays beside the result.
    #expect(isClose(try column(table, "best_top1")[2], 100 * (0.84 + 0.85 + 0.85) / 3, 1e-10))
  }

  @Test("one seed has a mean, n = 1 and no spread")
  func oneSeed() throws {
    let table = ResultTable(runs: SyntheticRuns.table2(seeds: [1]), caption: "T")
    #expect(try texts(table.readable, "top1")[1] == "90.10 ± –")
    #expect(try texts(table.readable, "n")[1] == "1")
    #expect(try texts(table.readable, "difference")[2] == "-0.20 ± –")
    #expect(try column(table.data, "top1_standard_error").allSatisfy(\.isNaN))
  }

  @Test("times are not measured where one run shared the machine or ran on another")
  func sharedMachine() throws {
    var runs = SyntheticRuns.table2(seeds: [1, 2])
    let shared = try #require(
      runs.firstIndex { $0.kind == .fullQAT && $0.bits?.weights == 3 && $0.provenance.seed == 2 })
    runs[shared].provenance.isExclusive = false
    let moved = try #require(runs.firstIndex { $0.kind == .freeze && $0.bits?.weights == 2 })
    runs[moved].provenance.threads = 8
    let table = ResultTable(runs: runs, caption: "T")
    let times = try texts(table.readable, "training")
    #expect(times[1] != "not measured" && times[2] != "not measured")
    // The baseline's row and the row compared with it.
    #expect(times[3] == "not measured" && times[4] == "not measured")
    #expect(times[5] != "not measured" && times[6] == "not measured")
    #expect(try column(table.data, "backward_ratio")[4].isNaN)
  }

  @Test("diverged runs are counted and named, not averaged; their partners are not paired")
  func diverged() throws {
    var runs = SyntheticRuns.table2(seeds: [1, 2])
    runs.append(SyntheticRuns.freeze(bits: 2, seed: 3, topOne: nil))
    runs.append(SyntheticRuns.fullQAT(bits: 2, seed: 3, topOne: 0.9))
    let table = ResultTable(runs: runs, caption: "T")
    #expect(try texts(table.readable, "n")[5] == "3")
    #expect(try texts(table.readable, "n")[6] == "2")
    #expect(table.notes.contains { $0.contains("seed=3") && $0.contains("diverged") && $0.contains("not finite") })
    let all = ResultTable(runs: [SyntheticRuns.freeze(bits: 2, seed: 3, topOne: nil)], caption: "T")
    #expect(try texts(all.readable, "top1") == ["–"])
    #expect(try texts(all.readable, "training") == ["not measured"])
  }

  @Test("runs of another length or another parent are neither averaged together nor compared")
  func families() throws {
    var other = SyntheticRuns.freeze(bits: 2, seed: 1, topOne: 0.5, parent: "bbbbbbbbbbbb")
    other.id = "other"
    let runs = SyntheticRuns.table2(seeds: [1]) + [other]
    let table = ResultTable(runs: runs, caption: "T")
    #expect(table.readable.rowCount == 8)
    let differences = try texts(table.readable, "difference")
    #expect(differences[6...7].contains("–"))
    #expect(try texts(table.readable, "other").contains("parent=bbbbbbbbbbbb"))
    #expect(table.notes.contains { $0.contains("no full-QAT run") })
  }

  @Test("the axes of a sweep are columns, numbers by size before words")
  func axes() throws {
    var runs = [SyntheticRuns.fullPrecision(), SyntheticRuns.fullQAT(bits: 2, seed: 1, topOne: 0.8)]
    for threshold in ["linear", "0.5", "0.02", "0.1"] {
      runs.append(
        SyntheticRuns.freeze(
          bits: 2, seed: 1, topOne: 0.8, threshold: threshold,
          axes: [AxisSetting(name: "freezing.threshold", value: threshold)]))
    }
    let table = ResultTable(runs: runs, caption: "T")
    #expect(try texts(table.readable, "freezing.threshold") == ["–", "–", "0.02", "0.1", "0.5", "linear"])
    #expect(table.readable.column("other") == nil)
    #expect(try texts(table.data, "freezing_threshold")[2] == "0.02")
  }

  @Test(
    "an axis may bear the name of any column",
    arguments: [
      "recipe", "method", "n", "top1", "difference", "published", "dataset", "top1.standard.error", "other", "bits",
      "training",
    ])
  func collidingAxes(name: String) throws {
    let runs = ["1", "2"].flatMap { value in
      [1, 2].map { seed in
        SyntheticRuns.freeze(
          bits: 2, seed: seed, topOne: 0.8,
          axes: [
            AxisSetting(name: "freezing.start", value: value), AxisSetting(name: name, value: "\(value)0"),
            AxisSetting(name: "a.b", value: value), AxisSetting(name: "a_b", value: value),
          ])
      }
    }
    let table = ResultTable(runs: runs, caption: "T")
    #expect(table.readable.rowCount == 2)
    let hasColumn = ["recipe", "method", "bits"].contains(name)
    #expect(table.data.columns.contains { $0.values == .strings(["10", "20"]) } != hasColumn)
    let folder = try TemporaryFolder()
    try table.write(prefix: folder.file("t"))
    let collection = RunCollection(runs: runs, problems: [], name: "a", folder: folder.path)
    #expect(throws: (any Error).self) { try Report(collection).write(to: folder.path, gnuplot: "/nonexistent/gnuplot") }
    #expect(try folder.contents.contains("settings.csv"))
  }

  @Test("recipe lts: full QAT, which is recorded with dense range gradients, is the baseline of both")
  func rangeGradients() throws {
    func lts(_ run: RunRecord, rangeGradient: String) -> RunRecord {
      var run = run
      run.recipe = RecipeName(rawValue: "lts")
      run.configuration = run.configuration.replacingOccurrences(
        of: "{",
        with: "{\"quantization.recipe\": \"lts\", \"quantization.rangeGradient\": \"\(rangeGradient)\", ")
      run.id += rangeGradient
      return run
    }
    let runs = [1, 2, 3].flatMap { seed in
      [
        lts(SyntheticRuns.fullQAT(bits: 2, seed: seed, topOne: 0.8), rangeGradient: "dense"),
        lts(SyntheticRuns.freeze(bits: 2, seed: seed, topOne: 0.81), rangeGradient: "dense"),
        lts(SyntheticRuns.freeze(bits: 2, seed: seed, topOne: 0.82), rangeGradient: "unfrozen"),
      ]
    }
    let table = ResultTable(runs: runs, caption: "T")
    #expect(table.data.column("pairs")?.values == .integers([0, 3, 3]))
    #expect(try texts(table.readable, "method") == ["full QAT", "LTS", "LTS"])
    #expect(
      try texts(table.readable, "other")
        == ["", "quantization.rangeGradient=dense", "quantization.rangeGradient=unfrozen"])
    #expect(try texts(table.readable, "difference").dropFirst().map { $0.prefix(5) } == ["+1.00", "+2.00"])
    #expect(!table.notes.contains { $0.contains("no full-QAT run") })
  }

  @Test("several full-precision networks are counted, and an axis of their seeds is told from the runs' own")
  func severalParents() throws {
    let runs = [("aaaaaaaaaaaa", "1"), ("bbbbbbbbbbbb", "2")].flatMap { parent, seed in
      [
        SyntheticRuns.fullQAT(bits: 2, seed: 1, topOne: 0.8, parent: parent),
        SyntheticRuns.freeze(
          bits: 2, seed: 1, topOne: 0.81, axes: [AxisSetting(name: "pretraining.seed", value: seed)], parent: parent),
      ]
    }
    let table = ResultTable(runs: runs, caption: "T")
    #expect(table.notes.contains { $0.contains("start from 2 full-precision networks") })
    #expect(!table.notes.contains { $0.contains("start from one") })
    let folder = try TemporaryFolder()
    let collection = RunCollection(runs: runs, problems: [], name: "a", folder: folder.path)
    #expect(throws: (any Error).self) { try Report(collection).write(to: folder.path, gnuplot: "/nonexistent/gnuplot") }
    #expect(
      try String(contentsOfFile: folder.file("settings.csv"), encoding: .utf8).contains("SpQAT pretraining.seed 2"))
  }

  @Test("axis values are numbers too, and accuracies have one unit in all tables")
  func numericColumns() throws {
    let runs = ["0.02", "20%", "linear"].map { value in
      SyntheticRuns.freeze(
        bits: 2, seed: 1, topOne: 0.8, threshold: value, axes: [AxisSetting(name: "freezing.threshold", value: value)])
    }
    let table = ResultTable(runs: runs, caption: "T")
    #expect(try column(table.data, "freezing_threshold_number").map { $0.isNaN ? -1 : $0 } == [0.02, 0.2, -1])
    for name in ["top1", "best_top1", "weight_updates_eliminated", "backward_flops_eliminated"] {
      #expect(table.data.column(name)?.unit == "%" && table.runs.column(name)?.unit == "%", "\(name)")
    }
    #expect(try column(table.runs, "top1") == [80, 80, 80])
  }

  @Test("what is not published is not available")
  func published() throws {
    let table = ResultTable(runs: SyntheticRuns.table2(seeds: [1]), caption: "T")
    #expect(try texts(table.readable, "published").allSatisfy { $0 == "not available" })
  }

  @Test("every table names n, spread, command, data set and commit")
  func notes() throws {
    let folder = try TemporaryFolder()
    try writeTables(
      runs: SyntheticRuns.table2(seeds: [1, 2]), caption: "Table 2 of the tests", prefix: folder.file("table2"))
    #expect(try folder.contents == ["table2.csv", "table2.h5", "table2.md", "table2.tex"])
    for name in ["table2.md", "table2.tex"] {
      let text = try String(contentsOfFile: folder.file(name), encoding: .utf8)
      for part in [
        "Table 2 of the tests", "standard error", "spqat sweep configs/table2.json", "fashion-mnist", "0123456789ab",
      ] {
        #expect(text.contains(part), "\(name) lacks \(part)")
      }
    }
    let latex = try String(contentsOfFile: folder.file("table2.tex"), encoding: .utf8)
    #expect(latex.contains("\\caption{Table 2 of the tests}"))
    let csv = try String(contentsOfFile: folder.file("table2.csv"), encoding: .utf8)
    let header = csv.prefix { !$0.isNewline }.split(separator: ",")
    for name in ["n", "top1", "top1_standard_error", "dataset", "commit", "command"] {
      #expect(header.contains(Substring(name)))
    }
    let root = try HDF5File.open(folder.file("table2.h5")).root
    try ResultTable.format.check(root)
    #expect(try root.readTable("table").rowCount == 7)
    #expect(try root.readTable("runs").rowCount == 13)
    #expect(try root.stringAttribute("caption") == "Table 2 of the tests")
    #expect(try root.readString("notes").contains("spqat sweep"))
  }
}

@Suite("Folder of results")
struct RunCollectionTests {
  @Test("foreign and damaged files are named, the rest is read")
  func problems() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(atPath: folder.file("runs"), withIntermediateDirectories: true)
    for run in SyntheticRuns.table2(seeds: [1]) { try RunFile.write(run, to: folder.file("runs/\(run.id).h5")) }
    try Data("no HDF5".utf8).write(to: URL(fileURLWithPath: folder.file("runs/text.h5")))
    try HDF5File.writeAtomically(to: folder.file("runs/foreign.h5")) { try $0.write([1.0], to: "x") }
    let whole = try Data(contentsOf: URL(fileURLWithPath: folder.file("runs/\(SyntheticRuns.parentID).h5")))
    try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: folder.file("runs/half.h5")))
    let collection = try RunCollection.load(folder.path + "/")
    #expect(collection.runs.count == 7)
    #expect(collection.problems.count == 3)
    for name in ["text.h5", "foreign.h5", "half.h5"] {
      #expect(collection.problems.contains { $0.contains(name) && !$0.contains("\n") }, "\(name) is not named")
    }
    #expect(collection.folder == folder.path)
    let table = ResultTable(runs: collection.runs, caption: collection.caption, problems: collection.problems)
    #expect(table.notes.filter { $0.hasPrefix("Left out") }.count == 3)
  }

  @Test("runs of an older version of the algorithm are left out and named")
  func stale() throws {
    let folder = try TemporaryFolder()
    var stale = SyntheticRuns.fullQAT(bits: 2, seed: 1, topOne: 0.7)
    stale.id = "stale"
    stale.provenance.algorithmVersion = 0
    for run in SyntheticRuns.table2(seeds: [1]) + [stale] { try RunFile.write(run, to: folder.file("\(run.id).h5")) }
    let collection = try RunCollection.load(folder.path)
    #expect(collection.runs.count == 7)
    #expect(collection.problems.count == 1 && collection.problems[0].contains("stale"))
  }

  @Test("where nothing can be used one line says so and what to do")
  func nothing() throws {
    let folder = try TemporaryFolder()
    func message(_ path: String) -> String {
      do {
        _ = try RunCollection.load(path)
        return "no error"
      } catch {
        return "\(error)"
      }
    }
    #expect(message(folder.path).contains("no runs here") && message(folder.path).contains("spqat sweep"))
    #expect(message(folder.file("absent")).contains("no such folder"))
    try Data("x".utf8).write(to: URL(fileURLWithPath: folder.file("a.h5")))
    #expect(message(folder.file("a.h5")).contains("is a file"))
    #expect(message(folder.path).contains("a.h5"))
  }
}
