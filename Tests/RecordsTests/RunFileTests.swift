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
      id: "1", kind: .fullPrecision, recipe: "lts", bits: nil, label: "", axes: [], configuration: "{}",
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
    #expect(try read.json().contains("\"trainLoss\" : \"nan\""))
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

  @Test("Records encode as JSON without tensors and decode again")
  func json() throws {
    var record = RunRecord.sample
    let text = try record.json()
    record.tensors = []
    #expect(!text.contains("tensors"))
    #expect(try JSONDecoder().decode(RunRecord.self, from: Data(text.utf8)) == record)
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
      } == "run.h5: /@kind: is 'pruned', not one of fullPrecision, fullQAT, freeze")
  }
}
