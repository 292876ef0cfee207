import Foundation
import Records
import Testing

@Suite("Weights from files")
struct WeightsTests {
  private static let datasets = Spqat.repository.appendingPathComponent("datasets").path

  /// A small experiment like that of `Workplace`, which starts from a file instead of a network of its own.
  private func experiment(_ place: Workplace, weights: String) throws -> String {
    let file = place.folder.appendingPathComponent("other.json")
    let text = """
      {"name": "other", "model": "resnet8", "dataset": "sample", "subset": 40, "batchSize": 8, "duration": "8it",
       "method": "fullQAT", "bits": {"weights": 2, "activations": 2}, "pretraining": {"weights": "\(weights)"}}
      """
    try Data(text.utf8).write(to: file)
    return file.path
  }

  private func records(_ place: Workplace, _ name: String) throws -> [RunRecord] {
    let folder = "\(place.results)/\(name)/runs"
    return try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".h5") }.map {
      try RunFile.read("\(folder)/\($0)", includingTensors: true)
    }
  }

  @Test("a run from an exported network equals one from the network itself, and the file is part of its id")
  func sameBits() throws {
    let place = try Workplace()
    #expect(try place.sweep().status == 0)
    let runs = try records(place, "tiny")
    let parent = try #require(runs.first { $0.kind == .fullPrecision })
    let fullQAT = try #require(runs.first { $0.kind == .fullQAT })
    let weights = place.folder.appendingPathComponent("w.safetensors").path
    let exported = try place.run(
      ["export", parent.id, "--format", "safetensors", "--results", place.results, "--output", weights])
    #expect(exported.standardOutput == "\(weights)\n")

    let other = try experiment(place, weights: weights)
    let output = try place.run(place.arguments("sweep", experiment: other))
    #expect(output.status == 0, "\(output.standardError)")
    let run = try #require(try records(place, "other").first)
    #expect(try records(place, "other").count == 1)
    #expect(run.tensors == fullQAT.tensors)
    #expect(run.id != fullQAT.id)
    #expect(run.provenance.parentRunID == nil)
    #expect(run.provenance.weightsPath == weights)
    let hash = try #require(run.provenance.weightsHash)
    #expect(run.configuration.contains("\"pretraining.weights\": \"\(hash)\""))
    let shown = try place.run(["show", run.id, "--results", place.results])
    #expect(shown.standardOutput.contains("starts from: \(weights), SHA-256 \(hash)"))
    let evaluated = try place.run(["evaluate", run.id, "--results", place.results, "--datasets", Self.datasets])
    #expect(evaluated.standardOutput.contains(", the same"), "\(evaluated.standardOutput) \(evaluated.standardError)")

    // Evaluated by itself, the file gives what its own run recorded.
    let recorded = try place.run(["evaluate", parent.id, "--results", place.results, "--datasets", Self.datasets])
    let imported = try place.run(["evaluate", weights, "--model", "resnet8", "--data", "\(Self.datasets)/sample"])
    #expect(imported.status == 0, "\(imported.standardError)")
    let lines = [recorded, imported].map { $0.standardOutput.split(separator: "\n") }
    #expect(lines[0].count > 1 && lines[0][1] == lines[1][1], "\(lines)")

    let account = try place.run(["weights", "import", weights, "--model", "resnet8", "--out", "\(weights).again"])
    #expect(account.status == 0, "\(account.standardError)")
    #expect(account.standardOutput.contains("SHA-256 \(hash.prefix(12))"))
    let again = try place.run(["evaluate", "\(weights).again.safetensors", "--data", "\(Self.datasets)/sample"])
    #expect(again.standardOutput.split(separator: "\n").dropFirst() == lines[1].dropFirst())

    // Cut short, it is refused before anything is trained.
    let bytes = try Data(contentsOf: URL(fileURLWithPath: weights))
    try bytes.dropLast().write(to: URL(fileURLWithPath: weights))
    let refused = try place.run(place.arguments("sweep", experiment: other))
    #expect(refused.status == 2)
    #expect(refused.errorLines.count == 1)
    #expect(
      refused.standardError.hasPrefix("spqat: \(other): pretraining.weights: \(weights): its tensors need"),
      "\(refused.standardError)")
  }

  @Test(
    "what is missing on the command line is said in one line",
    arguments: [
      (["evaluate", "FILE", "--data", "SAMPLE"], "FILE: does not say which network it holds; give it with --model"),
      (["evaluate", "FILE", "--model", "resnet20"], "FILE: does not fit resnet20: "),
      (["weights", "import", "FILE", "--model", "resnet20"], "FILE: does not fit resnet20: "),
      (["weights", "import", "missing", "--model", "resnet20"], "missing: no such file"),
      (["weights", "import", "FILE", "--model", "resnet20", "--classes", "1"], "--classes is 1; allowed: 2 to 65536"),
      (["weights", "import", "SAMPLE", "--model", "resnet20"], "SAMPLE: is a folder, not a safetensors file"),
      (["evaluate", "abc", "--model", "resnet20"], "--model: is for safetensors files; a run knows its own"),
    ])
  func mistakes(arguments: [String], message: String) throws {
    let place = try Workplace()
    let file = place.folder.appendingPathComponent("empty.safetensors").path
    try Data([2, 0, 0, 0, 0, 0, 0, 0] + Array("{}".utf8)).write(to: URL(fileURLWithPath: file))
    func filled(_ text: String) -> String {
      text.replacingOccurrences(of: "FILE", with: file).replacingOccurrences(
        of: "SAMPLE", with: "\(Self.datasets)/sample")
    }
    let output = try place.run(arguments.map(filled))
    #expect(output.status == 2)
    #expect(output.errorLines.count == 1)
    #expect(output.standardError.hasPrefix("spqat: " + filled(message)), "\(output.standardError)")
  }
}
