import Foundation
import Testing

/// Run files without tensors: what results are archived and compared as.
struct SmallRunFilesTests {
  private let place = try! Workplace()

  private func size(_ path: String) throws -> Int {
    try #require(FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
  }

  @Test("small files make the same table and count as finished, but give no weights")
  func smallFiles() throws {
    #expect(try place.sweep().status == 0)
    let small = place.folder.appendingPathComponent("small").path
    let output = try place.run(["export", "\(place.results)/tiny", "--format", "hdf5", "--output", small])
    #expect(output.status == 0, "\(output.standardError)")
    let names = try place.runFiles()
    #expect(output.standardOutput.split(separator: "\n").map(String.init).sorted() == names.map { "\(small)/\($0)" })
    for name in names {
      #expect(try 2 * size("\(small)/\(name)") < size(place.runs.appendingPathComponent(name).path))
    }

    // In the place of the whole ones.
    let copy = place.folder.appendingPathComponent("copy/tiny")
    try FileManager.default.createDirectory(at: copy, withIntermediateDirectories: true)
    try FileManager.default.moveItem(atPath: small, toPath: copy.appendingPathComponent("runs").path)
    let copies = place.folder.appendingPathComponent("copy").path
    let again = try place.sweep(results: copies)
    #expect(again.status == 0, "\(again.standardError)")
    #expect(
      try String(contentsOfFile: "\(copies)/tiny.csv", encoding: .utf8)
        == String(contentsOfFile: "\(place.results)/tiny.csv", encoding: .utf8))
    let run = "\(copies)/tiny/runs/\(names[0])"
    let evaluated = try place.run(["evaluate", run])
    #expect(evaluated.status == 2)
    #expect(
      evaluated.errorLines == [
        "spqat: \(run): has no final weights, since it was exported without tensors; give the whole file"
      ])
    // Another run cannot start from a small parent.
    let child = try place.sweep(["--set", "duration=\"9it\""], results: copies)
    #expect(child.status == 1)
    #expect(child.standardError.contains("to start from, since it was exported without tensors"))
  }

  @Test("a run's own file is not replaced by the small one")
  func ownFile() throws {
    #expect(try place.sweep(["--only", "fullPrecision"]).status == 0)
    let file = place.runs.appendingPathComponent(try place.runFiles()[0]).path
    let before = try size(file)
    for output in [file, String(file.dropLast(3))] {
      let refused = try place.run(["export", file, "--format", "hdf5", "--output", output])
      #expect(refused.status == 2)
      #expect(
        refused.errorLines == [
          "spqat: \(file): is the run's own file, whose tensors would be lost; give another --output"
        ])
    }
    let folder = try place.run([
      "export", "\(place.results)/tiny", "--format", "hdf5", "--output", place.runs.path,
    ])
    #expect(folder.status == 2)
    #expect(try size(file) == before)
  }
}
