import Foundation
import Storage
import Tables
import TestSupport
import Testing

@Suite("Tables in Python")
struct PythonTests {
  static let hasPackages = PythonInterpreter.has("h5py, pandas, tables")

  private static func script(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(name).path
  }

  static let missingPackages: Comment =
    "no Python with h5py, pandas and tables: `make test` makes one, or set SPQAT_TEST_PYTHON to an interpreter"

  @Test("h5py, pandas and PyTables read what is written", .enabled(if: hasPackages, missingPackages))
  func readTables() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("tables.h5")
    try HDF5File.writeAtomically(to: path) { root in
      try root.write(TableTests.sample, to: "run/epochs", plottedAgainst: "epoch")
      try root.write(Table(columns: [.init("n", .integers([])), .init("text", .strings([]))]), to: "run/empty")
      try root.write([Float(1), 2, 3, 4, 5, 6], shape: [2, 1, 3], to: "values/float32")
      try root.write(scalar: -5, to: "values/int64")
      try root.write("é – λ", to: "values/text")
      try root.write([Double.nan], to: "values/nan")
      try root.setAttribute("text", to: "é – λ")
      try root.setAttribute("number", to: 0.5)
    }
    // Warnings are errors too: a reader that grumbles about every file is no good.
    let (status, output) = try PythonInterpreter.run(["-W", "error", Self.script("read_tables.py"), path])
    #expect(status == 0 && output == "ok\n", "\(output)")
  }

  @Test("What h5py writes is read", .enabled(if: hasPackages, missingPackages))
  func readForeign() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("foreign.h5")
    let (status, output) = try PythonInterpreter.run([Self.script("write_foreign.py"), path])
    try #require(status == 0, "\(output)")
    let root = try HDF5File.open(path).root
    #expect(try root.stringAttribute("text") == "é – λ")
    #expect(try root.stringAttribute("bytes") == "plain")
    #expect(try root.attribute("integer") == -7)
    #expect(try root.attribute("real") == 0.25)
    #expect(try root.attributes("none", as: Float.self) == [])
    #expect(try root.readStrings("fixed") == ["conv1", "layer1.0.conv1"])
    #expect(try root.readStrings("variable") == ["", "é", "three"])
    #expect(try root.read("big_endian", shape: [2, 3]) == [0, 1, 2, 3, 4, 5])
    #expect(try root.read("half") == [Float(0.5), -2])
    #expect(try root.read("packed") == (0..<20000).map(Double.init))
    #expect(try root.readScalar("scalar") == Float(1.5))
    #expect(try root.readScalar("link") == Float(1.5))
    #expect(try root.scalarKind("scalar") == .float32 && root.scalarKind("fixed") == nil)
    #expect(try !root.contains("dangling"))
    #expect(
      try root.readTable("table")
        == Table(columns: [
          .init("n", .integers([1, 2])), .init("x", .floats([0.5, 0.25])), .init("y", .doubles([2.5, -1])),
          .init("flag", .booleans([true, false])), .init("name", .strings(["a", "bc"])),
        ]))
    #expect {
      try root.readTable("nested")
    } throws: {
      "\($0)" == "\(path): /nested: column 'a' holds a table, which tables here do not have"
    }
    #expect {
      try root.read("complex", as: Float.self)
    } throws: {
      "\($0)".hasPrefix("\(path): /complex: holds ")
    }
  }
}
