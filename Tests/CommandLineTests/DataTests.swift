import Datasets
import Foundation
import Records
import Testing

@Suite("Data that no network can be trained on")
struct DataTests {
  /// A tree of `images` images a class and split, each of its class's colour.
  private func tree(
    _ place: Workplace, _ name: String, classes: [String] = ["a", "b"], width: Int = 8, height: Int = 8, images: Int = 4
  ) throws -> String {
    let root = place.folder.appendingPathComponent(name)
    for split in ["train", "test"] {
      for (label, name) in classes.enumerated() {
        let folder = root.appendingPathComponent("\(split)/\(name)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for number in 0..<images {
          let pixels = (0..<width * height * 3).map { UInt8(($0 * (label + 1) + number) % 256) }
          let png = try PNG.encode(pixels, size: PixelSize(width: width, height: height), channels: 3)
          try Data(png).write(to: folder.appendingPathComponent("\(number).png"))
        }
      }
    }
    return root.path
  }

  private func experiment(_ place: Workplace, _ data: String, _ more: String = "") throws -> String {
    let file = place.folder.appendingPathComponent("own.json").path
    let text = """
      {"name": "own", "dataset": "\(data)", "model": "resnet8", "bits": {"weights": 2, "activations": 2},
       "method": "fullQAT", "duration": "4it", "batchSize": 4, "pretraining": {"duration": "4it", "batchSize": 4}\(more)}
      """
    try Data(text.utf8).write(to: URL(fileURLWithPath: file))
    return file
  }

  @Test("images need not be square, nor large", arguments: [(16, 8), (3, 8)])
  func anySize(width: Int, height: Int) throws {
    let place = try Workplace()
    let file = try experiment(place, try tree(place, "tree", width: width, height: height))
    let output = try place.run(place.arguments("sweep", experiment: file))
    #expect(output.status == 0, "\(output.standardError)")
  }

  @Test(
    "is refused in one line by every command, before anything is trained",
    arguments: [(["only"], 8, 8, ": dataset: tree: found one class, allowed: 2 or more")])
  func refused(classes: [String], width: Int, height: Int, part: String) throws {
    let place = try Workplace()
    let data = try tree(place, "tree", classes: classes, width: width, height: height)
    let file = try experiment(place, data)
    for more in [
      ["sweep", "--dry-run"], ["sweep"], ["status"], ["run"], ["sweep", "--launcher", "slurm", "--dry-run"],
    ] {
      let output = try place.run(place.arguments(more[0], Array(more.dropFirst()), experiment: file))
      #expect(output.status == 2)
      let lines = output.errorLines.filter { !$0.hasPrefix("decoding images") }
      #expect(lines.count == 1, "\(output.standardError)")
      #expect(lines.first?.contains(part) == true, "\(output.standardError)")
      #expect(output.standardOutput.isEmpty)
    }
    #expect(!FileManager.default.fileExists(atPath: "\(place.results)/own"))
  }

  @Test("a batch larger than the data takes the memory that the data need")
  func largeBatch() throws {
    let place = try Workplace()
    let file = try experiment(place, try tree(place, "tree"), #", "dropLastPartialBatch": false"#)
    let arguments = place.arguments("sweep", ["--set", "batchSize=65536"], experiment: file)
    let output = try place.run(arguments, through: "ulimit -v 6000000")
    #expect(output.status == 0, "\(output.standardError)")
    let small = place.folder.appendingPathComponent("small").path
    #expect(
      try place.run(place.arguments("sweep", ["--set", "batchSize=8"], experiment: file, results: small)).status == 0)
    func topOne(_ results: String) throws -> [Double?] {
      let folder = "\(results)/own/runs"
      return try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        .map { try RunFile.read("\(folder)/\($0)", includingTensors: false).outcome.finalTestLoss }
    }
    // Both batches hold all images.
    #expect(Set(try topOne(place.results)) == Set(try topOne(small)))
  }

  @Test("memory that cannot be had is one line")
  func outOfMemory() throws {
    let place = try Workplace()
    let more = ["--set", "model=\"resnet56\"", "--set", "batchSize=300", "--set", "subset=300"]
    let output = try place.run(
      place.arguments("sweep", more + ["--set", "pretraining.batchSize=300"]), through: "ulimit -v 1000000")
    #expect(output.status == 2, "\(output.standardError)")
    let lines = output.errorLines.filter { !$0.hasPrefix("decoding images") }
    #expect(lines.count == 1, "\(output.standardError)")
    #expect(lines.first?.hasPrefix("spqat: out of memory: ") == true)
  }

  @Test("evaluate of a run that was edited is refused before it asks for the memory of a larger network")
  func editedNetwork() throws {
    let place = try Workplace(#""recipe": "lts", "axes": [{"method": ["fullQAT"]}]"#, imagesPerClass: 2)
    #expect(try place.sweep().status == 0)
    func refusal(_ edit: (inout RunRecord) -> Void) throws -> String {
      let records = try place.runFiles().map {
        try RunFile.read(place.runs.appendingPathComponent($0).path, includingTensors: true)
      }
      var record = try #require(records.first { $0.kind == .fullQAT })
      edit(&record)
      try RunFile.write(record, to: place.folder.appendingPathComponent("edited.h5").path)
      let output = try place.run([
        "evaluate", place.folder.appendingPathComponent("edited.h5").path, "--data",
        place.folder.appendingPathComponent("datasets/sample").path,
      ])
      #expect(output.status == 2)
      let lines = output.errorLines.filter { !$0.hasPrefix("decoding images") }
      #expect(lines.count == 1, "\(output.standardError)")
      return String(lines.first ?? "")
    }
    let wide = try refusal {
      $0.configuration.replace("\"model.shortcut\":", with: "\"model.width\": 65536,\n  \"model.shortcut\":")
    }
    #expect(wide.contains("parameters, its tensors ") && wide.hasSuffix(" numbers; one of them was edited"), "\(wide)")
    let empty = try refusal { record in
      for (index, tensor) in record.tensors.enumerated() where tensor.name.hasSuffix(".lW") {
        record.tensors[index].elements = .float([1e6])
      }
    }
    #expect(empty.contains(" range of ") && empty.contains(" is empty: "), "\(empty)")
  }

  @Test("evaluate finds data given by a path, and tells classes by their names")
  func evaluate() throws {
    let place = try Workplace()
    let data = try tree(place, "tree")
    let file = try experiment(place, data)
    #expect(try place.run(place.arguments("sweep", experiment: file)).status == 0)
    let runs = "\(place.results)/own/runs"
    let run = try "\(runs)/\(#require(FileManager.default.contentsOfDirectory(atPath: runs).first))"
    #expect(try RunFile.read(run, includingTensors: false).classNames == ["a", "b"])
    let recorded = try place.run(["evaluate", run])
    #expect(recorded.status == 0, "\(recorded.standardError)")
    #expect(recorded.standardOutput.contains(", the same"))

    // The second class alone, beside one without images that sorts before it.
    let other = place.folder.appendingPathComponent("other")
    for split in ["train", "test"] {
      try FileManager.default.createDirectory(
        at: other.appendingPathComponent(split), withIntermediateDirectories: true)
      for name in ["b", "z"] {
        try FileManager.default.copyItem(
          at: URL(fileURLWithPath: "\(data)/\(split)/\(name == "b" ? "b" : "a")"),
          to: other.appendingPathComponent("\(split)/\(name)"))
      }
    }
    let unknown = try place.run(["evaluate", run, "--data", other.path])
    #expect(unknown.status == 2)
    #expect(unknown.standardError.contains("the class z is not among the 2 of the network (a, b)"))

    try FileManager.default.removeItem(atPath: data)
    let gone = try place.run(["evaluate", run])
    #expect(
      gone.errorLines == ["spqat: \(run): was trained on tree, which is not at \(data); give its folder with --data"])
    _ = try tree(place, "tree", images: 5)
    let changed = try place.run(["evaluate", run])
    #expect(changed.status == 2)
    #expect(changed.standardError.contains("holds other images"))
    let given = try place.run(["evaluate", run, "--data", data])
    #expect(given.status == 0)
    #expect(given.standardOutput.contains("recorded, on other images"))
  }
}
