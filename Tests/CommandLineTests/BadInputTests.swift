import Foundation
import Testing

@Suite("Bad input on the command line")
struct BadInputTests {
  @Test(
    "is one line on standard error and exit status 2",
    arguments: [
      (["nonsense"], "nonsense"), (["sweep"], "config"), (["sweep", "EXPERIMENT", "--frobnicate"], "--frobnicate"),
      (["sweep", "EXPERIMENT", "--jobs", "0"], "--jobs is 0; allowed: 1 to 256"),
      (["sweep", "EXPERIMENT", "--threads", "many"], "--threads"),
      (["sweep", "EXPERIMENT", "--limit=-1"], "--limit is -1"),
      (["sweep", "missing.json"], "missing.json: no such file"),
      (["sweep", "EXPERIMENT", "--profile", "quick"], "no profile \"quick\""),
      (["sweep", "EXPERIMENT", "--set", "batchSize=0"], "batchSize: found 0"),
      (["sweep", "EXPERIMENT", "--set", "batchsize=1"], "did you mean \"batchSize\"?"),
      (["sweep", "EXPERIMENT", "--datasets", "nowhere"], "no data set \"sample\" in nowhere"),
      (["sweep", "EXPERIMENT", "--results", ""], "--results is empty; give a value, or leave it out"),
      (["sweep", "EXPERIMENT", "--results="], "--results is empty"),
      (["sweep", "EXPERIMENT", "--launcher", "slurm", "--dry-run", "--results", ""], "--results is empty"),
      (["sweep", "EXPERIMENT", "--only", ""], "--only is empty"),
      (["status", ""], "an argument is empty"), (["dataset", "import", "cifar10", "--to", ""], "--to is empty"),
      (["table", "x", "--output", ""], "--output is empty"),
      (["run", "EXPERIMENT"], "choose one with --only"),
      (["sweep", "EXPERIMENT", "--only", "zebra"], "no run matches zebra"),
      (["show", "missing.h5"], "missing.h5: no such file"),
      (["diff", "missing.h5", "missing.h5"], "missing.h5: no such file"),
      (["evaluate", "missing.h5"], "missing.h5: no such file"),
      (["show", "abc", "--results", "nowhere"], "nowhere: has no run 'abc'"),
      (["validate", "missing.json"], "missing.json: no such file"),
      (["status", "missing.json"], "missing.json: no such file"),
    ])
  func oneLine(arguments: [String], part: String) throws {
    let place = try Workplace()
    var arguments = arguments.map { $0 == "EXPERIMENT" ? place.experiment : $0 }
    if arguments.contains(place.experiment), !arguments.contains("--datasets") {
      arguments += ["--datasets", Spqat.repository.appendingPathComponent("datasets").path]
    }
    let output = try place.run(arguments)
    #expect(output.status == 2)
    let lines = output.errorLines.filter { !$0.hasPrefix("decoding images") }
    #expect(lines.count == 1, "\(output.standardError)")
    #expect(lines.first?.hasPrefix("spqat: ") == true)
    #expect(output.standardError.contains(part), "\(output.standardError)")
    #expect(output.standardOutput.isEmpty)
  }

  @Test("help is printed with exit status 0", arguments: [["--help"], ["sweep", "--help"], ["help", "run"]])
  func help(arguments: [String]) throws {
    let output = try Workplace().run(arguments)
    #expect(output.status == 0)
    #expect(output.standardOutput.contains("USAGE"))
    #expect(output.standardError.isEmpty)
  }

  @Test("all committed experiments are valid")
  func committed() throws {
    let configs = Spqat.repository.appendingPathComponent("configs")
    let files = try FileManager.default.contentsOfDirectory(atPath: configs.path).filter { $0.hasSuffix(".json") }
    let output = try Workplace().run(["validate"] + files.map { configs.appendingPathComponent($0).path })
    #expect(output.status == 0, "\(output.standardError)")
    #expect(output.standardOutput.split(separator: "\n").count == files.count)
    // One sweeps the fixed threshold up to where it freezes everything at once, and is told.
    #expect(output.errorLines.count == 1)
    #expect(output.standardError.hasPrefix("spqat: warning: "), "\(output.standardError)")
    #expect(
      output.standardError.contains("ablation-threshold.json: freezing.threshold: a fixed 0.5 with distanceEMA 0"))
  }

  @Test("a file in place of the results folder is named")
  func resultsIsFile() throws {
    let place = try Workplace()
    let output = try place.sweep(results: place.experiment)
    #expect(output.status == 2)
    #expect(output.standardError.contains("\(place.experiment)"))
    #expect(output.standardError.contains("--results"))
  }
}
