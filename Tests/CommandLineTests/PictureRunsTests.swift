import Datasets
import Foundation
import Records
import Testing

@Suite("Runs on pictures of any size")
struct PictureRunsTests {
  private let place: Workplace
  private let data: URL

  /// Sixteen training pictures, sixteen test pictures, and their index.
  init() throws {
    place = try Workplace()
    data = place.folder.appendingPathComponent("shapes")
    _ = try ShapePictures(trainCount: 2, testCount: 2, sides: 20...48).write(to: data, threads: 2)
  }

  private func experiment(_ more: String = "") throws -> String {
    let file = place.folder.appendingPathComponent("own.json").path
    let text = """
      {"name": "own", "dataset": "\(data.path)", "model": "resnet8", "bits": {"weights": 2, "activations": 2},
       "images": {"crop": 16}, "freezing": {"threshold": "linear", "start": "25%"}, "duration": "9it", "batchSize": 5,
       "dropLastPartialBatch": false, "pretraining": {"duration": "3it", "batchSize": 5},
       "axes": [{"method": ["fullQAT", "freeze"]}]\(more)}
      """
    try Data(text.utf8).write(to: URL(fileURLWithPath: file))
    return file
  }

  private func sweep(_ experiment: String, _ more: [String] = [], results: String = "results") throws -> Spqat.Output {
    try place.run(
      place.arguments("sweep", more, experiment: experiment, results: place.folder.appendingPathComponent(results).path)
    )
  }

  private func runs(_ results: String = "results") throws -> [String] {
    let folder = place.folder.appendingPathComponent("\(results)/own/runs").path
    return try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".h5") }.sorted()
      .map { "\(folder)/\($0)" }
  }

  private func expectSame(_ first: String, _ second: String) throws {
    let (a, b) = (try runs(first), try runs(second))
    #expect(a.count == 3)
    #expect(a.map { ($0 as NSString).lastPathComponent } == b.map { ($0 as NSString).lastPathComponent })
    for (a, b) in zip(a, b) {
      let difference = try place.run(["diff", "--ignore-times", a, b])
      #expect(difference.status == 0, "\(difference.standardOutput)")
    }
  }

  @Test("from memory, streamed, and ended by kill -9 in the midst of an epoch: the same runs to the bit")
  func sameBits() throws {
    let file = try experiment()
    let memory = try sweep(file)
    #expect(memory.status == 0, "\(memory.standardError)")
    #expect(memory.standardError.contains("3 batches of 5 ahead by 2 threads"))
    let streamed = try sweep(file, ["--set", "decode=stream"], results: "streamed")
    #expect(streamed.status == 0, "\(streamed.standardError)")
    try expectSame("results", "streamed")

    // Four batches an epoch: most kills leave a checkpoint within one.
    for delay in [400_000, 700_000, 1_000_000] as [UInt32] {
      let started = try place.start(
        place.arguments(
          "sweep", ["--set", "decode=stream", "--checkpoint-seconds", "0"], experiment: file,
          results: place.folder.appendingPathComponent("killed").path))
      usleep(delay)
      kill(started.process.processIdentifier, SIGKILL)
      _ = try started.read()
    }
    #expect(try sweep(file, ["--set", "decode=stream"], results: "killed").status == 0)
    try expectSame("results", "killed")

    let run = try #require(try runs().last)
    let evaluated = try place.run(["evaluate", run])
    #expect(evaluated.status == 0, "\(evaluated.standardError)")
    #expect(evaluated.standardOutput.contains(", the same"))
  }

  @Test(
    "a corrupt picture fails the runs and is named, or is left out, counted and warned of",
    arguments: ["memory", "stream"])
  func corrupt(decode: String) throws {
    let broken = data.appendingPathComponent("train/disc/00001.png")
    try Data(try Data(contentsOf: broken).prefix(300)).write(to: broken)
    let test = data.appendingPathComponent("test/ring/00002.png")
    try Data(try Data(contentsOf: test).prefix(300)).write(to: test)
    let file = try experiment(#", "augment": false, "decode": "\#(decode)""#)
    let changed = try sweep(file)
    #expect(changed.status == 2)
    #expect(changed.errorLines.count == 1 && changed.standardError.contains("was written after the index"))
    #expect(try place.run(["dataset", "index", data.path]).status == 0)

    let stopped = try sweep(file)
    #expect(stopped.status == 1)
    #expect(stopped.standardOutput.contains("\(broken.path): the file is truncated"), "\(stopped.standardOutput)")

    let skipped = try sweep(file, ["--set", "onCorruptImage=skip"])
    #expect(skipped.status == 0, "\(skipped.standardError)")
    #expect(skipped.standardError.contains("left out: \(broken.path): the file is truncated"))
    for run in try runs() {
      let outcome = try RunFile.read(run, includingTensors: false).outcome
      // Sixteen pictures in four batches an epoch; three steps see 15 of them.
      let skipped = outcome.skippedImages ?? 0
      #expect(outcome.images + skipped == (outcome.steps == 3 ? 15 : 37))
      #expect(outcome.steps == 3 || skipped >= 2)
      #expect(outcome.skippedTestImages == 1)
    }
  }

  /// Cuts the ends off pictures, and makes the index anew.
  private func damage(_ names: [String]) throws {
    for name in names {
      let file = data.appendingPathComponent(name)
      try Data(try Data(contentsOf: file).prefix(300)).write(to: file)
    }
    #expect(try place.run(["dataset", "index", data.path]).status == 0)
  }

  @Test("a batch of test pictures that are all corrupt is left out and counted")
  func corruptTestBatch() throws {
    // Sixteen in batches of five: the last has one, of the last class.
    try damage(["test/triangle/00002.png"])
    let swept = try sweep(try experiment(#", "onCorruptImage": "skip""#))
    #expect(swept.status == 0, "\(swept.standardOutput)\(swept.standardError)")
    for run in try runs() {
      let outcome = try RunFile.read(run, includingTensors: false).outcome
      #expect(outcome.skippedTestImages == 1)
      #expect(outcome.finalTestLoss?.isFinite == true)
    }
  }

  @Test("where a split's pictures are all corrupt, runs fail with one line that says so", arguments: ["train", "test"])
  func corruptSplit(split: String) throws {
    let folder = data.appendingPathComponent(split).path
    try damage(
      try FileManager.default.subpathsOfDirectory(atPath: folder).filter { $0.hasSuffix(".png") }
        .map { "\(split)/\($0)" })
    let swept = try sweep(try experiment(#", "onCorruptImage": "skip""#))
    #expect(swept.status == 1)
    let problem =
      split == "train"
      ? "the file is truncated, and no other picture of its batch can be decoded: nothing is left to train on"
      : "test images: none of the 16 can be decoded; replace the files"
    let lines = swept.standardOutput.split(separator: "\n").filter { $0.contains(problem) }
    #expect(lines.count == 1, "\(swept.standardOutput)\(swept.standardError)")
  }

  @Test("no index, another data set's settings, and the index elsewhere")
  func index() throws {
    let file = try experiment()
    let index = data.appendingPathComponent("index.tsv")
    let elsewhere = place.folder.appendingPathComponent("shapes.tsv")
    try FileManager.default.moveItem(at: index, to: elsewhere)
    let without = try sweep(file, ["--dry-run"])
    #expect(
      without.errorLines == [
        "spqat: \(index.path): no index of the pictures there; run 'spqat dataset index \(data.path)' once"
      ])
    let given = try sweep(file, ["--dry-run", "--set", "index=\(elsewhere.path)"])
    #expect(given.status == 0, "\(given.standardError)")
    #expect(given.standardOutput.contains("(16x16)"))
    let verified = try place.run(["dataset", "verify", data.path, "--index", elsewhere.path])
    #expect(verified.status == 0, "\(verified.standardError)")
    #expect(verified.standardOutput.contains("16 training and 16 test pictures in 8 classes"))
  }

  @Test("dataset index says what it read; dataset shapes does not write over anything")
  func commands() throws {
    let made = try place.run(["dataset", "index", data.path])
    #expect(made.status == 0 && made.standardOutput.hasSuffix("; 0 files read\n"), "\(made.standardOutput)")
    let over = try place.run(["dataset", "shapes", "--to", data.path])
    #expect(over.status == 2 && over.errorLines.count == 1)
    try Data("x".utf8).write(to: data.appendingPathComponent("train/disc/note.txt"))
    let refused = try place.run(["dataset", "index", data.path])
    #expect(refused.status == 2)
    #expect(refused.standardError.contains("train/disc/note.txt: not a PNG file"))
    #expect(refused.standardError.contains("1 problem(s) among 33 images"))
  }
}
