import Foundation
import Records
import Storage
import Tables
import TestSupport
import Testing

@Suite("Run files")
struct RunFileTests {
  @Test("A record comes back as written, with its tensors or without")
  func roundTrip() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("run.h5")
    try RunFile.write(.sample, to: path)
    #expect(try RunFile.read(path, includingTensors: true) == .sample)
    var withoutTensors = RunRecord.sample
    withoutTensors.tensors = []
    #expect(try RunFile.read(path, includingTensors: false) == withoutTensors)
  }

  @Test("A run that has just begun comes back, with nothing in its tables")
  func empty() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("run.h5")
    let record = RunRecord(
      id: "1", kind: .fullPrecision, recipe: RecipeName(rawValue: "lts"), bits: nil, label: "", axes: [],
      configuration: "{}",
      provenance: Provenance())
    try RunFile.write(record, to: path)
    #expect(try RunFile.read(path, includingTensors: true) == record)
  }

  @Test("A diverged run keeps its NaN and its message")
  func diverged() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("run.h5")
    var record = RunRecord.sample
    record.epochs[2].trainLoss = .nan
    record.outcome = RunOutcome()
    record.outcome.status = .diverged
    record.outcome.message = "the loss of step 207 is NaN"
    try RunFile.write(record, to: path)
    let read = try RunFile.read(path, includingTensors: false)
    #expect(read.epochs[2].trainLoss.isNaN && read.epochs[1] == record.epochs[1])
    #expect(read.outcome == record.outcome)
    #expect(try read.json().contains("\"train_loss\" : \"nan\""))
  }

  @Test("The same record gives the same bytes, whatever the order of its tensors")
  func deterministic() throws {
    let folder = try TemporaryFolder()
    var shuffled = RunRecord.sample
    shuffled.tensors.reverse()
    try RunFile.write(.sample, to: folder.file("a.h5"))
    Thread.sleep(forTimeInterval: 1.1)
    try RunFile.write(shuffled, to: folder.file("b.h5"))
    let (first, second) = (folder.file("a.h5"), folder.file("b.h5"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: first)) == Data(contentsOf: URL(fileURLWithPath: second)))
    var later = RunRecord.sample
    later.provenance.ended = "2026-01-02T04:04:06Z"
    try RunFile.write(later, to: folder.file("b.h5"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: first)) != Data(contentsOf: URL(fileURLWithPath: second)))
  }

  @Test("JSON has the names of the run's file, the configuration as an object, and no tensors")
  func json() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("run.h5")
    try RunFile.write(.sample, to: path)
    let root = try HDF5File.open(path).root
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(RunRecord.sample.json().utf8)) as? [String: Any])
    #expect(object["tensors"] == nil)
    #expect((object["configuration"] as? [String: Any])?["bits"] as? Int == 2)
    for group in ["provenance", "outcome"] {
      let names = try #require(object[group] as? [String: Any]).keys.sorted()
      #expect(try names == root.attributeNames(on: group).sorted(), "\(group)")
    }
    for table in ["epochs", "layers", "layer_epochs"] {
      let rows = try #require(object[table] as? [[String: Any]])
      #expect(try rows[0].keys.sorted() == root.readTable(table).columns.map(\.name).sorted(), "\(table)")
      #expect(try rows.count == root.readTable(table).rowCount)
    }
    for name in ["id", "kind", "recipe", "bits", "activation_bits", "label"] {
      #expect(object[name] != nil, "\(name)")
      #expect(try root.hasAttribute(name), "\(name)")
    }
  }

  @Test("Final tensors say what they hold and what their dimensions are")
  func tensorAttributes() throws {
    let folder = try TemporaryFolder()
    try RunFile.write(.sample, to: folder.file("run.h5"))
    let final = try HDF5File.open(folder.file("run.h5")).root.group("final")
    #expect(try final.stringAttribute("description", on: "conv1.level") == "Quantization level of each weight")
    #expect(
      try final.stringAttributes("dimensions", on: "conv1.weight")
        == ["output channel", "input channel", "row", "column"])
    #expect(try final.stringAttributes("dimensions", on: "conv1.weight_scale") == [])
  }

  @Test("A file without the bits of activations, as earlier programs wrote, has them from its configuration")
  func olderFiles() throws {
    #expect(try bits(configuration: "{\"quantization.activationBits\": 4}") == BitWidths(weights: 2, activations: 4))
    #expect(try bits(configuration: "{}") == BitWidths(weights: 2, activations: 2))
  }

  private func bits(configuration: String) throws -> BitWidths? {
    let folder = try TemporaryFolder()
    let path = folder.file("run.h5")
    try RunFile.write(.sample, to: folder.file("new.h5"))
    let new = try HDF5File.open(folder.file("new.h5")).root
    try HDF5File.writeAtomically(to: path) { root in
      try RunFile.format.stamp(root)
      for name in ["id", "kind", "recipe", "label"] {
        try root.setAttribute(name, to: new.stringAttribute(name))
      }
      try root.setAttribute("bits", to: 2)
      for name in ["axis_names", "axis_values"] { try root.setAttribute(name, to: new.stringAttributes(name)) }
      try root.write(configuration, to: "configuration")
      for name in ["provenance", "outcome"] { try copyAttributes(of: name, from: new, to: root.createGroup(name)) }
      for name in ["epochs", "layers", "layer_epochs"] { try root.write(new.readTable(name), to: name) }
      _ = try root.createGroup("final")
    }
    return try RunFile.read(path, includingTensors: true).bits
  }

  private func copyAttributes(of name: String, from root: HDF5Group, to group: HDF5Group) throws {
    for attribute in try root.attributeNames(on: name) {
      if let text = try? root.stringAttribute(attribute, on: name) {
        try group.setAttribute(attribute, to: text)
      } else if let integer = try? root.attribute(attribute, as: Int.self, on: name) {
        try group.setAttribute(attribute, to: integer)
      } else {
        try group.setAttribute(attribute, to: root.attribute(attribute, as: Double.self, on: name))
      }
    }
  }

  @Test("Numbers that no run can have are refused with their place")
  func impossible() throws {
    func message(_ change: (inout RunRecord) -> Void) throws -> String {
      let folder = try TemporaryFolder()
      var record = RunRecord.sample
      change(&record)
      try RunFile.write(record, to: folder.file("run.h5"))
      do {
        _ = try RunFile.read(folder.file("run.h5"), includingTensors: true)
        return "no error"
      } catch {
        return "\(error)".replacingOccurrences(of: folder.path + "/", with: "")
      }
    }
    #expect(
      try message { $0.outcome.finalTopOne = .infinity }
        == "run.h5: /outcome@final_top1: is inf; allowed: 0 to 1")
    #expect(
      try message { $0.epochs[1].testTopOne = -.infinity }
        == "run.h5: /epochs: column 'test_top1' is -inf; allowed: 0 to 1 (row 2)")
    #expect(try message { $0.outcome.steps = -1 } == "run.h5: /outcome@steps: is -1; allowed: 0 or more")
    #expect(
      try message { $0.epochs[0].seconds.data = .infinity }
        == "run.h5: /epochs: column 'seconds_data' is inf; allowed: 0 to any finite number (row 1)")
    #expect(
      try message { $0.tensors[0].name = "__metadata__" }
        == "run.h5: /final/__metadata__: is no name of a tensor; rename it")
    #expect(try message { $0.configuration = "[]" } == "run.h5: /configuration: is not a JSON object of settings")
  }

  @Test("Every column and attribute of the format has a name of its own and a description")
  func descriptions() {
    for table in [RunRecord.sample.epochTable, RunRecord.sample.layerTable, RunRecord.sample.layerEpochTable] {
      for column in table.columns {
        #expect(!column.description.isEmpty, "\(column.name)")
        #expect(column.name.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "_" }, "\(column.name)")
        #expect(column.unit == "s" || !column.name.hasPrefix("seconds"), "\(column.name)")
      }
    }
  }

  /// The error of reading a file that `write` fills, without the folder's path.
  private func message(_ write: (HDF5Group) throws -> Void) throws -> String {
    let folder = try TemporaryFolder()
    let path = folder.file("run.h5")
    try HDF5File.writeAtomically(to: path, write)
    do {
      _ = try RunFile.read(path, includingTensors: true)
      return "no error"
    } catch {
      return "\(error)".replacingOccurrences(of: folder.path + "/", with: "")
    }
  }

  @Test("Files of other programs, of other kinds and of newer versions are refused")
  func foreign() throws {
    #expect(
      try message { try $0.write([1], to: "x") }
        == "run.h5: an HDF5 file of another program: expected format 'spqat-run', found none")
    #expect(
      try message { try FileFormat(name: "qat-reference-trace", version: 1).stamp($0) }
        == "run.h5: an HDF5 file of format 'qat-reference-trace', expected 'spqat-run'")
    #expect(
      try message { try FileFormat(name: "spqat-run", version: RunFile.format.version + 1).stamp($0) }
        == "run.h5: format 'spqat-run' version 2, newer than version 1, the last that this program knows: "
        + "use a newer program")
    #expect(
      try message { try RunFile.format.stamp($0) }
        == "run.h5: /@axis_names: no such attribute; there are format, version")
    #expect(
      try message {
        try RunFile.format.stamp($0)
        for name in ["axis_names", "axis_values"] { try $0.setAttribute(name, to: [String]()) }
        try $0.setAttribute("bits", to: 2)
        try $0.setAttribute("id", to: "1")
        try $0.setAttribute("kind", to: "pruned")
      } == "run.h5: /@kind: is 'pruned', not one of fullPrecision, fullQAT, freeze, shadow")
  }
}
