import Foundation
import Testing

@Suite("Sweeps with TensorBoard", .serialized)
struct TensorBoardTests {
  /// The event files below a folder by their paths within it.
  private func files(_ folder: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: folder) where path.contains("tfevents") {
      files[path] = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(path)"))
    }
    return files
  }

  // Several epochs of five steps.
  private let longer = ["--set", "duration=\"15it\"", "--set", "pretraining.duration=\"15it\""]

  @Test("write while runs train what an export writes afterwards", arguments: [[], ["--jobs", "2"]])
  func live(more: [String]) throws {
    let place = try Workplace()
    let live = place.folder.appendingPathComponent("a b/live").path
    let output = try place.sweep(longer + more + ["--tensorboard", live])
    #expect(output.status == 0, "\(output.standardError)")
    let written = try files(live)
    #expect(written.count == 3 && written.values.allSatisfy { $0.count > 1000 })
    let ids = try place.runFiles().map { String($0.dropLast(3)) }
    for id in ids { #expect(written.keys.contains { $0.hasSuffix("-\(id)/events.out.tfevents.spqat") }) }
    #expect(written.keys.contains { $0.hasPrefix("W2A2_freeze_") }, "\(written.keys)")

    let folder = "\(place.results)/tiny"
    let exported = place.folder.appendingPathComponent("exported").path
    let all = try place.run(["export", folder, "--format", "tensorboard", "--output", exported])
    #expect(all.status == 0, "\(all.standardError)")
    #expect(all.standardOutput.split(separator: "\n").count == 3)
    #expect(try files(exported) == written)
    let one = try place.run([
      "export", ids[0], "--results", place.results, "--format", "tensorboard", "--output", exported + "-one",
    ])
    #expect(one.status == 0 && one.standardOutput.hasPrefix(exported + "-one/"))
    #expect(try files(exported + "-one") == written.filter { $0.key.contains(ids[0]) })
  }

  @Test("a sweep that is killed and run again has no point twice", arguments: [[], ["--jobs", "2"]])
  func killed(more: [String]) throws {
    let place = try Workplace()
    let live = place.folder.appendingPathComponent("live").path
    let arguments = place.arguments("sweep", longer + more + ["--tensorboard", live, "--checkpoint-seconds", "0"])
    for milliseconds in [400, 600, 800] {
      let (process, read) = try place.start(arguments)
      usleep(UInt32(milliseconds) * 1000)
      kill(process.processIdentifier, SIGKILL)
      _ = try read()
    }
    let last = try place.run(arguments)
    #expect(last.status == 0, "\(last.standardError)")
    let exported = place.folder.appendingPathComponent("exported").path
    #expect(
      try place.run(["export", "\(place.results)/tiny", "--format", "tensorboard", "--output", exported]).status == 0)
    #expect(try files(live) == files(exported))
  }

  @Test("a folder that cannot be used costs no run, and is named in a line each")
  func unusable() throws {
    let place = try Workplace()
    let output = try place.sweep(["--tensorboard", place.experiment])
    #expect(output.status == 0, "\(output.standardError)")
    #expect(output.standardOutput.contains("3 trained, 0 already finished, 0 failed, 0 left"))
    let warnings = output.errorLines.filter { $0.hasPrefix("warning: ") }
    #expect(warnings.count == 3)
    #expect(
      warnings.allSatisfy {
        $0.hasPrefix("warning: \(place.experiment)/")
          && $0.hasSuffix(
            ": cannot be made; choose another folder for TensorBoard; the run goes on without TensorBoard, and "
              + "'spqat export --format tensorboard' makes up for it")
      }, "\(warnings)")
  }
}
