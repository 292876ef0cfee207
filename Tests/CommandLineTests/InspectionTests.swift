import Foundation
import Testing

@Suite("Inspection of runs")
struct InspectionTests {
  @Test("show, diff, evaluate and status read what a sweep wrote")
  func inspection() throws {
    let place = try Workplace()
    #expect(try place.sweep().status == 0)
    let files = try place.runFiles().map { place.runs.appendingPathComponent($0).path }
    let outputs = try files.map { try place.run(["show", $0]) }
    for (file, output) in zip(files, outputs) {
      #expect(output.status == 0)
      #expect(output.standardOutput.contains("\"totalSteps\": 8"))
      #expect(output.standardOutput.contains("to repeat it exactly"))
      #expect(output.standardOutput.contains("sweep \(place.experiment)"))
      let id = URL(fileURLWithPath: file).deletingPathExtension().lastPathComponent
      let byID = try place.run(["show", String(id.prefix(8)), "--results", place.results])
      #expect(byID.standardOutput == output.standardOutput)
      let json = try place.run(["show", file, "--json"])
      let object = try JSONSerialization.jsonObject(with: Data(json.standardOutput.utf8)) as? [String: Any]
      #expect(object?["id"] as? String == id)

      let evaluated = try place.run([
        "evaluate", file, "--datasets", Spqat.repository.appendingPathComponent("datasets").path,
      ])
      #expect(evaluated.status == 0, "\(evaluated.standardError)")
      #expect(evaluated.standardOutput.contains(", the same"), "\(evaluated.standardOutput)")
    }

    let same = try place.run(["diff", files[0], files[0]])
    #expect(same.status == 0)
    #expect(same.standardOutput == "no difference\n")
    let different = try place.run(["diff", "--ignore-times", files[0], files[1]])
    #expect(different.status == 1)
    #expect(different.standardOutput.contains("configuration"))
    #expect(different.standardOutput.contains("tensors"))

    let status = try place.run(place.arguments("status"))
    #expect(status.standardOutput.contains("3 finished, 0 running, 0 failed, 0 waiting"))
    let folder = try place.run(["status", "\(place.results)/tiny"])
    #expect(folder.standardOutput.split(separator: "\n").count == 3)
    #expect(folder.standardOutput.contains("finished, top-1"))
  }
}
