import Foundation
import Records
import Testing

@Suite("Sweeps", .serialized)
struct SweepTests {
  @Test("train every run once, and nothing the second time")
  func twice() throws {
    let place = try Workplace()
    let plan = try place.sweep(["--dry-run"])
    #expect(plan.status == 0)
    #expect(plan.standardOutput.contains("3 runs, about"))
    #expect(!FileManager.default.fileExists(atPath: place.results))

    let first = try place.sweep()
    #expect(first.status == 0, "\(first.standardError)")
    #expect(first.standardOutput.contains("3 trained, 0 already finished, 0 failed, 0 left"))
    let files = try place.runFiles()
    for file in files { #expect(plan.standardOutput.contains(file.dropLast(3))) }
    #expect(files.count == 3)
    let second = try place.sweep()
    #expect(second.standardOutput.contains("0 trained, 3 already finished, 0 failed, 0 left"))
    let checkpoints = try FileManager.default.contentsOfDirectory(atPath: "\(place.results)/tiny/checkpoints")
    #expect(checkpoints == [])
    for ending in ["md", "csv", "tex", "h5"] {
      #expect(FileManager.default.fileExists(atPath: "\(place.results)/tiny.\(ending)"))
    }
  }

  @Test("write down what an experiment claims before its runs are trained, and mark a later claim")
  func claims() throws {
    let place = try Workplace(
      #""axes": [{"method": ["fullQAT", "freeze"]}], "seeds": [1, 2], "comparison": {"margin": 40, "test": "equivalence"}"#
    )
    let folder = "\(place.results)/tiny"
    let first = try place.sweep(["--limit", "0"])
    #expect(first.status == 0, "\(first.standardError)")
    let ids = try place.sweep(["--dry-run"]).standardOutput
    #expect(try place.sweep(["--set", "comparison=null", "--dry-run"]).standardOutput == ids)
    #expect(try place.sweep().status == 0)
    func comparison(_ more: [String] = []) throws -> String {
      try place.run(["compare", folder] + more).standardOutput
    }
    #expect(try comparison().contains("on par = within ±40 points, shown at 95 %"))
    #expect(try comparison().contains("written down before the runs were trained"))
    #expect(try comparison(["--margin", "40"]).contains("written down before"))
    #expect(try comparison(["--margin", "50"]).contains("chosen afterwards"))
    // Another claim with the runs at hand is marked, and the same one again is not written anew.
    #expect(try place.sweep(["--set", "comparison.margin=30"]).status == 0)
    #expect(try comparison().contains("±30 points"))
    #expect(try comparison().contains("written down when 4 of the runs had ended"))
  }

  @Test("take new axis values into an existing sweep, and limits and patterns")
  func extended() throws {
    let place = try Workplace()
    let limited = try place.sweep(["--limit", "1"])
    #expect(limited.standardOutput.contains("1 trained, 0 already finished, 0 failed, 2 left"))
    let one = try place.sweep(["--only", "fullQAT"])
    #expect(one.standardOutput.contains("1 trained, 1 already finished, 0 failed, 0 left"))
    let more = try place.sweep(["--set", #"axes=[{"method": ["fullQAT", "freeze"]}, {"bits.weights": [2, 3]}]"#])
    #expect(more.standardOutput.contains("3 trained, 2 already finished, 0 failed, 0 left"))
  }

  @Test("take over what another experiment of the same results has finished", arguments: [[], ["--jobs", "2"]])
  func shared(_ more: [String]) throws {
    let place = try Workplace()
    let method = #"{"method": ["fullQAT", "freeze"]}"#
    let thresholds = try place.write("thresholds", #""axes": [\#(method), {"freezing.threshold": [0.1, "linear"]}]"#)
    let starts = try place.write("starts", #""axes": [\#(method), {"freezing.start": ["25%", "50%"]}]"#)
    func sweep(_ experiment: String, _ more: [String] = [], results: String? = nil) throws -> Spqat.Output {
      try place.run(place.arguments("sweep", more, experiment: experiment, results: results))
    }
    #expect(try sweep(thresholds).standardOutput.contains("4 trained, 0 already finished, 0 failed, 0 left"))

    let plan = try sweep(starts, ["--dry-run"])
    #expect(plan.standardOutput.components(separatedBy: ", finished in thresholds, to be taken over\n").count == 4)
    #expect(plan.standardOutput.contains("\n4 runs, 3 to be taken over, about"))
    #expect(!FileManager.default.fileExists(atPath: "\(place.results)/starts"))
    let status = try place.run(place.arguments("status", experiment: starts)).standardOutput
    #expect(status.contains("0 finished, 0 running, 0 failed, 4 waiting"), "\(status)")

    let output = try sweep(starts, more)
    #expect(output.status == 0, "\(output.standardError)")
    #expect(
      output.standardOutput.contains(
        "1 trained, 3 taken over from other experiments, 0 already finished, 0 failed, 0 left"))
    #expect(
      output.errorLines.count { $0.hasSuffix(": taken over from thresholds, where it is finished") } == 3,
      "\(output.standardError)")
    #expect(try sweep(starts).standardOutput.contains("0 trained, 4 already finished, 0 failed, 0 left"))

    // As if every run had been trained here, but for the seconds, which are those of the other experiment.
    let alone = place.folder.appendingPathComponent("alone").path
    #expect(try sweep(starts, results: alone).status == 0)
    let files = try FileManager.default.contentsOfDirectory(atPath: "\(alone)/starts/runs").sorted()
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(place.results)/starts/runs").sorted() == files)
    var shared = 0
    for file in files {
      let here = "\(place.results)/starts/runs/\(file)"
      let difference = try place.run(["diff", "--ignore-times", here, "\(alone)/starts/runs/\(file)"])
      #expect(difference.status == 0, "\(difference.standardOutput)")
      let record = try RunFile.read(here, includingTensors: false)
      let trainedHere = try RunFile.read("\(alone)/starts/runs/\(file)", includingTensors: false)
      #expect(record.label == trainedHere.label)
      #expect(record.axes == trainedHere.axes)
      guard let source = try? RunFile.read("\(place.results)/thresholds/runs/\(file)", includingTensors: false) else {
        continue
      }
      shared += 1
      #expect(record.provenance == source.provenance)
      #expect(record.outcome == source.outcome)
      #expect(record.epochs == source.epochs)
    }
    #expect(shared == 3)
  }

  @Test("with a limit still take over all that is finished elsewhere")
  func sharedBeyondLimit() throws {
    let place = try Workplace(#""axes": [{"method": ["fullQAT"]}]"#)
    #expect(try place.sweep().status == 0)
    let more = try place.write("more", #""axes": [{"method": ["freeze", "fullQAT"]}]"#)
    let output = try place.run(place.arguments("sweep", ["--limit", "0"], experiment: more))
    #expect(
      output.standardOutput.contains(
        "0 trained, 2 taken over from other experiments, 0 already finished, 0 failed, 1 left"),
      "\(output.standardOutput)")
  }

  @Test("'run' trains one run and the network that it starts from")
  func single() throws {
    let place = try Workplace()
    let output = try place.run(place.arguments("run", ["--only", "freeze"]))
    #expect(output.status == 0, "\(output.standardError)")
    #expect(output.standardOutput.contains("2 trained"))
  }

  @Test("record divergence, go on with the rest, and try again when asked")
  func divergence() throws {
    let place = try Workplace(
      #""axes": [{"method": ["fullQAT"]}, {"optimizer.weights.learningRate": [1e30, 0.1]}]"#)
    let output = try place.sweep()
    #expect(output.status == 1)
    #expect(output.standardOutput.contains("2 trained, 0 already finished, 1 failed, 0 left"))
    #expect(output.standardOutput.contains("diverged at step"))
    let again = try place.sweep()
    #expect(again.status == 1)
    #expect(again.standardOutput.contains("0 trained, 2 already finished, 1 failed, 0 left"))
    #expect(again.standardOutput.contains("--retry-failed trains it again"))
    #expect(!again.standardError.contains("begins"))
    let retried = try place.sweep(["--retry-failed"])
    #expect(retried.status == 1)
    #expect(retried.standardError.contains("begins"))
    let status = try place.run(place.arguments("status"))
    #expect(status.standardOutput.contains("2 finished, 0 running, 1 failed, 0 waiting"))
  }

  @Test("leave files of other programs alone, and say so")
  func foreignFile() throws {
    let place = try Workplace()
    let plan = try place.sweep(["--dry-run"]).standardOutput
    let line = try #require(plan.split(separator: "\n").first { $0.contains("fullQAT") })
    let id = try #require(line.split(separator: " ").first)
    try FileManager.default.createDirectory(at: place.runs, withIntermediateDirectories: true)
    let file = place.runs.appendingPathComponent("\(id).h5")
    try Data("somebody's notes".utf8).write(to: file)
    let output = try place.sweep()
    #expect(output.status == 1)
    #expect(output.standardOutput.contains("2 trained, 0 already finished, 1 failed, 0 left"))
    #expect(output.standardOutput.contains("\(id).h5: not an HDF5 file"))
    #expect(try Data(contentsOf: file) == Data("somebody's notes".utf8))
  }

  @Test("keep what is finished when the disk is full")
  func fullDisk() throws {
    let place = try Workplace()
    #expect(try place.sweep(["--limit", "1"]).status == 0)
    // No file may grow beyond a few blocks: what a full disk does to writing.
    let output = try place.run(place.arguments("sweep"), through: "trap '' XFSZ; ulimit -f 40")
    #expect(output.status == 1, "\(output.standardError)")
    #expect(output.standardOutput.contains("0 trained, 1 already finished, 2 failed, 0 left"))
    #expect(output.standardOutput.contains("cannot write"))
    let rest = try place.sweep()
    #expect(rest.status == 0)
    #expect(rest.standardOutput.contains("2 trained, 1 already finished, 0 failed, 0 left"))
  }

  @Test("several jobs at once leave the seconds unmeasured and the results the same")
  func jobs() throws {
    let place = try Workplace()
    let output = try place.sweep(["--jobs", "2"])
    #expect(output.status == 0, "\(output.standardOutput)\(output.standardError)")
    #expect(output.standardOutput.contains("3 trained, 0 already finished, 0 failed, 0 left"))
    let other = place.folder.appendingPathComponent("other").path
    #expect(try place.sweep(results: other).status == 0)
    try expectSameRuns(place, other)
    for file in try place.runFiles() {
      let record = try RunFile.read(place.runs.appendingPathComponent(file).path, includingTensors: false)
      #expect(!record.provenance.isExclusive)
      #expect(record.provenance.threads == 1)
      #expect(record.provenance.commandLine.contains("sweep"))
    }
  }

  @Test("two at once on the same results train every run once")
  func twoParents() throws {
    let place = try Workplace(#""axes": [{"method": ["fullQAT", "freeze"]}, {"bits.weights": [2, 3]}]"#)
    let first = try place.start(place.arguments("sweep"))
    let second = try place.start(place.arguments("sweep"))
    let outputs = [try first.read(), try second.read()]
    #expect(outputs.map(\.status) == [0, 0])
    let trained = outputs.flatMap {
      $0.standardError.split(separator: "\n").filter { $0.contains(": begins, 8 steps") }
    }
    #expect(trained.count == 5)
    #expect(try place.runFiles().count == 5)
  }

  private func expectSameRuns(_ place: Workplace, _ other: String) throws {
    let files = try place.runFiles()
    #expect(try place.runFiles(results: other) == files)
    for file in files {
      let difference = try place.run([
        "diff", "--ignore-times", "\(place.results)/tiny/runs/\(file)", "\(other)/tiny/runs/\(file)",
      ])
      #expect(difference.status == 0, "\(difference.standardOutput)\(difference.standardError)")
    }
  }

  /// Starts the sweep and ends it by `signal` once a checkpoint of at least `step` steps is there.
  private func interrupt(
    _ place: Workplace, _ arguments: [String], atStep step: Int, by signal: Int32
  ) throws -> Spqat.Output {
    let (process, read) = try place.start(arguments)
    let deadline = Date(timeIntervalSinceNow: 120)
    while process.isRunning, Date() < deadline {
      let checkpoints =
        (try? FileManager.default.contentsOfDirectory(atPath: "\(place.results)/tiny/checkpoints")) ?? []
      if checkpoints.filter({ $0.hasSuffix(".h5") && !$0.hasPrefix(".") }).count >= 1, process.isRunning {
        usleep(UInt32(step) * 60_000)
        break
      }
      usleep(2_000)
    }
    kill(process.processIdentifier, signal)
    return try read()
  }

  @Test("killed at any moment and run again give the files of an undisturbed sweep", arguments: [[], ["--jobs", "2"]])
  func killed(_ more: [String]) throws {
    let place = try Workplace()
    let arguments = place.arguments("sweep", ["--checkpoint-seconds", "0"] + more)
    for step in 0..<3 { _ = try interrupt(place, arguments, atStep: step, by: SIGKILL) }
    let last = try place.run(arguments)
    #expect(last.status == 0, "\(last.standardOutput)\(last.standardError)")
    let other = place.folder.appendingPathComponent("undisturbed").path
    #expect(try place.sweep(results: other).status == 0)
    try expectSameRuns(place, other)
  }

  @Test(
    "Ctrl-C, kill and a lost terminal write checkpoints and say how to go on",
    arguments: zip([SIGINT, SIGTERM, SIGHUP], [[], ["--jobs", "2"], []]))
  func interrupted(signal: Int32, more: [String]) throws {
    let place = try Workplace()
    let longer = ["--set", "pretraining.duration=\"200it\""]
    let arguments = place.arguments("sweep", ["--checkpoint-seconds", "0"] + longer + more)
    let output = try interrupt(place, arguments, atStep: 1, by: signal)
    #expect(output.status == 128 + signal, "\(output.standardOutput)\(output.standardError)")
    #expect(output.standardOutput.contains("interrupted; the same command goes on from the checkpoints"))
    #expect(output.standardError.contains("checkpoint written"))
    let status = try place.run(place.arguments("status", longer))
    #expect(status.standardOutput.contains("interrupted near step"))
    #expect(status.standardOutput.contains("0 finished, 0 running, 0 failed, 3 waiting"))
    let again = try place.sweep(longer)
    #expect(again.status == 0)
    #expect(again.standardError.contains("goes on after step"))
  }
}
