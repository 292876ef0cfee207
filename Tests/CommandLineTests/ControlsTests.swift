import Foundation
import Records
import Testing

/// Controls, from the experiment's file to the table, on the committed images.
struct ControlsTests {
  private static let members = #"""
    "method": "freeze", "seeds": [1],
    "axes": [
      {"freezing.criterion": ["distance", "random", "clock", "levelChange"]}, {"freezing.stop": ["match"]},
      {"freezing.steps": [2]}
    ]
    """#

  private func decisions(_ place: Workplace) throws -> [String: [Int32]] {
    var decisions: [String: [Int32]] = [:]
    for file in try place.runFiles() {
      let record = try RunFile.read(
        place.runs.appendingPathComponent(file).path, includingTensors: false, includingObservation: true)
      let criterion = record.settings.text("freezing.criterion") ?? "distance"
      if record.kind == .freeze { decisions[criterion] = try #require(record.observation?.decisions).steps }
    }
    return decisions
  }

  @Test("a sweep trains what they are paired with first, with the same result on any number of threads and jobs")
  func sweep() throws {
    let place = try Workplace(Self.members)
    let plan = try place.sweep(["--dry-run"])
    #expect(plan.standardOutput.components(separatedBy: "paired with").count == 3, "\(plan.standardOutput)")
    let output = try place.sweep(["--only", "criterion=random"])
    #expect(output.standardOutput.contains("3 trained"), "\(output.standardOutput)\(output.standardError)")
    #expect(try place.sweep().status == 0)
    let mine = try decisions(place)
    #expect(mine.count == 4 && mine.values.allSatisfy { $0.contains { $0 > 0 } })
    #expect(mine["random"]?.sorted() == mine["distance"]?.sorted() && mine["random"] != mine["distance"])
    // What a paired run takes from the other is of no matter to its evaluation.
    let sample = Spqat.repository.appendingPathComponent("datasets/sample").path
    for file in try place.runFiles() {
      let output = try place.run(["evaluate", place.runs.appendingPathComponent(file).path, "--data", sample])
      #expect(output.status == 0 && output.standardOutput.contains(", the same"), "\(output.standardError)")
    }
    let other = try Workplace(Self.members)
    #expect(try other.sweep(["--jobs", "2"]).status == 0)
    #expect(try decisions(other) == mine)
    let table = try String(contentsOfFile: "\(place.results)/tiny.md", encoding: .utf8)
    for row in ["SpQAT", "random freezing", "clock freezing", "levelChange freezing"] {
      #expect(table.contains(row), "\(table)")
    }
  }

  @Test("a run without a record of its freezing can be no pair, which the control says")
  func oldPair() throws {
    let place = try Workplace(Self.members)
    #expect(try place.sweep(["--only", "criterion=distance"]).status == 0)
    for file in try place.runFiles() {
      let path = place.runs.appendingPathComponent(file).path
      try RunFile.write(RunFile.read(path, includingTensors: true), to: path)
    }
    let output = try place.sweep(["--only", "criterion=random"])
    #expect(output.status == 1)
    #expect(
      output.standardOutput.contains(
        "does not say when its weights froze, which a run that is paired with it has to know"),
      "\(output.standardOutput)")
  }
}
