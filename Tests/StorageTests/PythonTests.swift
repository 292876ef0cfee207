import Foundation
import Storage
import Testing

@Suite("Tables in Python")
struct PythonTests {
  /// The interpreter that has h5py, pandas and tables: $SPQAT_TEST_PYTHON, or that of the virtual environment in the package.
  static let python: String? = {
    if let given = ProcessInfo.processInfo.environment["SPQAT_TEST_PYTHON"], !given.isEmpty { return given }
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let own = package.appendingPathComponent(".venv-test/bin/python3").path
    return FileManager.default.isExecutableFile(atPath: own) ? own : nil
  }()

  private static func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(python))
    process.arguments = arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, output)
  }

  static let hasPackages: Bool = {
    guard python != nil else { return false }
    return (try? run(["-c", "import h5py, pandas, tables"]))?.status == 0
  }()

  @Test(
    "h5py, pandas and PyTables read what is written",
    .enabled(
      if: hasPackages,
      "no Python with h5py, pandas and tables: `make test` makes one, or set SPQAT_TEST_PYTHON to an interpreter"))
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
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("read_tables.py")
      .path
    // Warnings are errors too: a reader that grumbles about every file is no good.
    let (status, output) = try Self.run(["-W", "error", script, path])
    #expect(status == 0 && output == "ok\n", "\(output)")
  }
}
