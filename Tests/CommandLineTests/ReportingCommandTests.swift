import Foundation
import Records
import Storage
import Testing

/// `table`, `compare`, `report` and `export` on a folder of run files.
@Suite("Reporting commands")
struct ReportingCommandTests {
  private let place: Workplace
  /// The experiment's folder of results.
  private let folder: String

  init() throws {
    place = try Workplace()
    folder = place.folder.appendingPathComponent("results/tiny").path
    try FileManager.default.createDirectory(at: place.runs, withIntermediateDirectories: true)
  }

  /// Files a run, finished with this accuracy, or diverged where there is none.
  private func file(_ kind: RunKind, seed: Int, topOne: Double?) throws {
    let id = "\(kind == .fullPrecision ? "a" : kind == .fullQAT ? "b" : "c")0000000000\(seed)"
    var provenance = Provenance()
    provenance.seed = seed
    provenance.parentRunID = kind == .fullPrecision ? nil : "a00000000001"
    provenance.algorithmVersion = 1
    provenance.datasetName = "sample"
    var configuration = ["batchSize": "8", "seed": "\(seed)", "totalSteps": "8"]
    if kind != .fullPrecision {
      configuration["quantization.weightBits"] = "2"
      configuration["quantization.activationBits"] = "2"
    }
    if kind == .freeze { configuration["freezing.threshold"] = "linear" }
    var run = RunRecord(
      id: id, kind: kind, recipe: RecipeName(rawValue: "spqat"),
      bits: kind == .fullPrecision ? nil : BitWidths(weights: 2, activations: 2),
      label: "\(kind.rawValue) seed=\(seed)",
      axes: kind == .fullPrecision ? [] : [AxisSetting(name: "method", value: kind.rawValue)],
      configuration: String(decoding: try JSONEncoder().encode(configuration), as: UTF8.self), provenance: provenance)
    run.outcome.status = topOne == nil ? .diverged : .finished
    run.outcome.finalTopOne = topOne
    if kind == .freeze { run.outcome.weightUpdatesEliminated = 0.5 }
    run.epochs = [EpochRecord(epoch: 1, step: 8)]
    run.epochs[0].testTopOne = topOne
    if topOne != nil { run.tensors = [NamedTensor(name: "w", shape: [2], elements: .float([1, -2]))] }
    try RunFile.write(run, to: place.runs.appendingPathComponent("\(id).h5").path)
  }

  private func fileRuns(seeds: ClosedRange<Int>) throws {
    try file(.fullPrecision, seed: 1, topOne: 0.9)
    for seed in seeds {
      try file(.fullQAT, seed: seed, topOne: 0.8)
      try file(.freeze, seed: seed, topOne: 0.81 + 0.001 * Double(seed))
    }
  }

  private func expectError(
    _ arguments: [String], _ message: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let output = try place.run(arguments)
    #expect(output.status == 2, sourceLocation: sourceLocation)
    #expect(output.standardError == "spqat: \(message)\n", sourceLocation: sourceLocation)
    #expect(output.standardOutput == "", sourceLocation: sourceLocation)
  }

  private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

  // MARK: - Good use

  @Test("table prints what it writes, beside the folder or where it is told")
  func table() throws {
    try fileRuns(seeds: 1...2)
    let output = try place.run(["table", folder])
    #expect(output.status == 0, "\(output.standardError)")
    #expect(output.standardError == "")
    #expect(output.standardOutput.contains("| 2/2 | SpQAT | 81.15 ± 0.05 | 2 | +1.15 ± 0.05 | 50.0 ± 0.0 |"))
    #expect(output.standardOutput.hasSuffix("written to \(folder).h5, .md, .csv and .tex\n"))
    let markdown = try String(contentsOfFile: "\(folder).md", encoding: .utf8)
    #expect(output.standardOutput.hasPrefix(markdown))
    let other = place.folder.appendingPathComponent("other").path
    let elsewhere = try place.run(["table", folder + "/", "--output", other, "--caption", "My caption"])
    #expect(elsewhere.standardOutput.contains("**My caption**"))
    for ending in ["h5", "md", "csv", "tex"] { #expect(exists("\(other).\(ending)")) }
  }

  @Test("compare gives intervals and verdicts, as text and as JSON")
  func compare() throws {
    try fileRuns(seeds: 1...3)
    let output = try place.run(["compare", folder])
    #expect(output.status == 0)
    #expect(output.standardError == "")
    let row = try #require(output.standardOutput.split(separator: "\n").first { $0.contains("SpQAT") })
    #expect(row.contains("+1.20"))
    #expect(row.contains("on par or better"))
    #expect(output.standardOutput.contains("chosen afterwards"))
    #expect(!output.standardOutput.contains("nothing can be concluded"))
    let json = try place.run(["compare", folder, "--json", "--margin", "5", "--test", "equivalence"])
    let object = try JSONSerialization.jsonObject(with: Data(json.standardOutput.utf8)) as? [String: Any]
    let comparison = try #require(object?["comparison"] as? [String: Any])
    let entries = try #require(comparison["entries"] as? [[String: Any]])
    #expect(entries.compactMap { $0["verdict"] as? String } == ["on par"])
  }

  @Test("with one seed compare says that nothing can be concluded")
  func oneSeed() throws {
    try fileRuns(seeds: 1...1)
    let output = try place.run(["compare", folder])
    #expect(output.status == 0)
    #expect(
      output.standardOutput.contains(
        "- Too few seeds: nothing can be concluded. A difference between two single runs may be chance; train at least "
          + "three seeds.\n"))
    let row = try #require(output.standardOutput.split(separator: "\n").first { $0.contains("SpQAT") })
    #expect(row.contains("too few seeds"))
  }

  @Test("report writes a page where there is gnuplot, and else the data with a line on what is missing")
  func report() throws {
    try fileRuns(seeds: 1...2)
    let page = place.folder.appendingPathComponent("page").path
    let bare = try place.run(["report", folder, "--output", page], through: "PATH=/nonexistent")
    #expect(bare.status == 2)
    #expect(
      bare.standardError
        == "spqat: gnuplot: is not installed, so nothing is drawn; data and scripts are in \(page); install it (apt-get "
        + "install gnuplot-nox)\n")
    #expect(exists("\(page)/settings.csv"))
    #expect(!exists("\(page)/index.html"))
    guard exists("/usr/bin/gnuplot") else { return }
    let output = try place.run(["report", folder])
    #expect(output.status == 0, "\(output.standardError)")
    #expect(output.standardOutput == "\(folder)/report/index.html\n")
    #expect(exists("\(folder)/report/index.html"))
  }

  @Test("export names the files that it writes")
  func export() throws {
    try fileRuns(seeds: 1...1)
    let file = place.runs.appendingPathComponent("c00000000001.h5").path
    let prefix = place.folder.appendingPathComponent("x").path
    let csv = try place.run(["export", file, "--format", "csv", "--output", prefix])
    #expect(csv.status == 0)
    #expect(csv.standardOutput == "\(prefix)-epochs.csv\n\(prefix)-layers.csv\n\(prefix)-layer-epochs.csv\n")
    for format in ["json", "safetensors"] {
      let output = try place.run([
        "export", "c0", "--results", place.results, "--format", format, "--output", prefix,
      ])
      #expect(output.status == 0, "\(output.standardError)")
      #expect(output.standardOutput == "\(prefix).\(format)\n")
      #expect(exists("\(prefix).\(format)"))
    }
  }

  @Test("export of a folder writes one table of all runs and epochs, as csv alone")
  func exportFolder() throws {
    try fileRuns(seeds: 1...2)
    let prefix = place.folder.appendingPathComponent("all").path
    let output = try place.run(["export", folder, "--format", "csv", "--output", "\(prefix).csv"])
    #expect(output.status == 0, "\(output.standardError)")
    #expect(output.standardOutput == "\(prefix)-epochs.csv\n")
    let lines = try String(contentsOfFile: "\(prefix)-epochs.csv", encoding: .utf8).split(separator: "\r\n")
    #expect(lines.count == 1 + 5)
    #expect(lines.first?.hasPrefix("id,label,kind,method,recipe,weight_bits,activation_bits,seed,parent,") == true)
    try expectError(
      ["export", folder, "--format", "json"],
      "\(folder): is a folder of results, which is exported as csv, tensorboard or hdf5 alone; give one of its runs for json"
    )
  }

  @Test("a run that experiments share is one run, whichever file is taken")
  func sharedRun() throws {
    try fileRuns(seeds: 1...1)
    let other = place.folder.appendingPathComponent("results/other/runs")
    try FileManager.default.createDirectory(at: other, withIntermediateDirectories: true)
    let name = "c00000000001.h5"
    try FileManager.default.copyItem(
      at: place.runs.appendingPathComponent(name), to: other.appendingPathComponent(name))
    let shown = try place.run(["show", "c0", "--results", place.results])
    #expect(shown.status == 0, "\(shown.standardError)")
    try FileManager.default.moveItem(
      at: other.appendingPathComponent(name), to: other.appendingPathComponent("c0ffee000001.h5"))
    try expectError(
      ["show", "c0", "--results", place.results],
      "\(place.results): 'c0' is ambiguous: c00000000001, c0ffee000001; give more of the id")
  }

  // MARK: - Bad input

  @Test("folders without usable runs are named with what helps", arguments: ["table", "compare", "report"])
  func noRuns(command: String) throws {
    let missing = "\(place.results)/missing"
    try expectError(
      [command, missing], "\(missing): no such folder; give a folder of results such as results/table2")
    try expectError(
      [command, place.experiment],
      "\(place.experiment): is a file; give the folder of results that it lies in, such as results/table2")
    try expectError(
      [command, folder], "\(folder)/runs: no runs here; train some with 'spqat sweep', or give another folder")
    let notes = place.runs.appendingPathComponent("notes.h5")
    try Data("somebody's notes".utf8).write(to: notes)
    try expectError(
      [command, folder],
      "\(folder)/runs: no runs here (1 file(s) cannot be used: \(notes.path): not an HDF5 file); train some with 'spqat "
        + "sweep', or give another folder")
    try HDF5File.writeAtomically(to: notes.path) { try $0.setAttribute("x", to: 1) }
    try expectError(
      [command, folder],
      "\(folder)/runs: no runs here (1 file(s) cannot be used: \(notes.path): an HDF5 file of another program: expected "
        + "format 'spqat-run', found none); train some with 'spqat sweep', or give another folder")
    let argument = command == "compare" ? "<results> ..." : "<results>"
    try expectError([command], "Missing expected argument '\(argument)'; see 'spqat --help'")
  }

  @Test("a file of another program among the runs is named, and left out")
  func foreignFile() throws {
    try fileRuns(seeds: 1...1)
    let table = place.runs.appendingPathComponent("table.h5").path
    try HDF5File.writeAtomically(to: table) { try FileFormat(name: "spqat-table", version: 1).stamp($0) }
    for command in ["table", "compare"] {
      let output = try place.run([command, folder])
      #expect(output.status == 0)
      #expect(
        output.standardError == "spqat: \(table): an HDF5 file of format 'spqat-table', expected 'spqat-run'\n")
      #expect(output.standardOutput.contains("SpQAT"))
    }
    try expectError(
      ["export", table, "--format", "csv"],
      "\(table): an HDF5 file of format 'spqat-table', expected 'spqat-run'")
  }

  @Test("runs of which none has finished give a table without numbers, and nothing to compare or export")
  func noneFinished() throws {
    try file(.fullPrecision, seed: 1, topOne: nil)
    try file(.fullQAT, seed: 1, topOne: nil)
    let table = try place.run(["table", folder])
    #expect(table.status == 0, "\(table.standardError)")
    #expect(table.standardOutput.contains("| 2/2 | full QAT | – |"), "\(table.standardOutput)")
    let compared = try place.run(["compare", folder])
    #expect(compared.status == 0)
    #expect(compared.standardOutput.contains("- Nothing to compare: "))
    #expect(compared.standardOutput.contains("- Not counted: fullQAT seed=1 (b00000000001), diverged.\n"))
    if exists("/usr/bin/gnuplot") {
      let report = try place.run(["report", folder])
      #expect(report.status == 0, "\(report.standardError)")
    }
    try expectError(
      ["export", "b0", "--results", place.results, "--format", "safetensors"],
      "run b00000000001: has no final weights, since it diverged")
  }

  @Test("compare names the baselines that there are")
  func baselines() throws {
    try fileRuns(seeds: 1...1)
    try expectError(
      ["compare", folder, "--baseline", "threshold=0.1"],
      "\(folder): no runs of the baseline 'threshold=0.1'; there are: fullQAT; fullPrecision")
    try expectError(
      ["compare", folder, "--baseline", "zebra"],
      "--baseline is 'zebra'; allowed: fullQAT, fullPrecision, AXIS=VALUE[,AXIS=VALUE]; see 'spqat --help'")
    try expectError(
      ["compare", folder, "--margin", "0"], "--margin is 0.0; give a number above 0; see 'spqat --help'")
    try expectError(
      ["compare", folder, "--confidence", "95"],
      "--confidence is 95.0; give a number from 0.5 to below 1, such as 0.95; see 'spqat --help'")
    try expectError(
      ["compare", folder, "--test", "zebra"],
      "The value 'zebra' is invalid for '--test <nonInferiority|equivalence>': allowed: nonInferiority, equivalence; see "
        + "'spqat --help'")
    try expectError(["power"], "give either folders of results or --sd, such as --sd 0.4; see 'spqat --help'")
    try expectError(
      ["power", folder, "--sd", "1"], "give either folders of results or --sd, such as --sd 0.4; see 'spqat --help'")
    try expectError(["power", "--sd", "0"], "--sd is 0.0; give a number above 0; see 'spqat --help'")
    try expectError(
      ["power", folder],
      "\(folder): no spread to plan with: it needs a setting and its full QAT with two seeds each that differ; give --sd "
        + "instead")
    try Data("{\"margin\": -1}".utf8).write(to: URL(fileURLWithPath: folder + "/comparison.json"))
    try expectError(
      ["compare", folder],
      "\(folder)/comparison.json: is not a recorded comparison; remove it, and give --margin, --confidence and --test")
  }

  @Test("export refuses unknown formats, runs that are not there, and places that cannot be written")
  func badExport() throws {
    try fileRuns(seeds: 1...2)
    try expectError(
      ["export", "c0", "--format", "xml"],
      "The value 'xml' is invalid for '--format <format>'. Please provide one of csv, json, safetensors, onnx, tensorboard, hdf5; see "
        + "'spqat --help'")
    try expectError(["export", "c0"], "Missing expected argument '--format <format>'; see 'spqat --help'")
    try expectError(
      ["export", "zebra", "--format", "csv", "--results", place.results],
      "\(place.results): has no run 'zebra'; give a file, or the beginning of an id that 'spqat status' shows")
    try expectError(
      ["export", "c0", "--format", "csv", "--results", place.results],
      "\(place.results): 'c0' is ambiguous: c00000000001, c00000000002; give more of the id")
    let nowhere = place.folder.appendingPathComponent("nowhere").path
    try expectError(
      [
        "export", place.runs.appendingPathComponent("c00000000001.h5").path, "--format", "json", "--output",
        "\(nowhere)/x",
      ],
      "\(nowhere)/x.json: cannot create the file: No such file or directory; create the folder \(nowhere) first")
  }
}
