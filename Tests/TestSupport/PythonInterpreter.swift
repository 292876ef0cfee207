import Foundation

/// The Python that tests read results with: $SPQAT_TEST_PYTHON, or that of the virtual environment in the package.
public enum PythonInterpreter {
  public struct Missing: Error {}

  private static let path: String? = {
    if let given = ProcessInfo.processInfo.environment["SPQAT_TEST_PYTHON"], !given.isEmpty { return given }
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let own = package.appendingPathComponent(".venv-test/bin/python3").path
    return FileManager.default.isExecutableFile(atPath: own) ? own : nil
  }()

  /// Whether there is an interpreter that can import these, such as "h5py, pandas".
  public static func has(_ modules: String) -> Bool { (try? run(["-c", "import \(modules)"]))?.status == 0 }

  /// Runs it to its end.
  /// - Returns: its exit status, and what it wrote to standard output and standard error.
  public static func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
    guard let path else { throw Missing() }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, output)
  }
}
