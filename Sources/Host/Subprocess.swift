public import Foundation
import Synchronization

/// Another program, run by this one.
public final class Subprocess {
  /// How a program ended.
  public enum Ending: Equatable, Sendable, CustomStringConvertible {
    case exited(Int32)
    case killed(signal: Int32)

    public var description: String {
      switch self {
      case .exited(let status): "exit status \(status)"
      case .killed(let signal): "killed by signal \(signal)"
      }
    }
  }

  /// What a program left.
  public struct Result: Sendable {
    /// Its exit status or the signal that killed it.
    public var ending: Ending
    /// All bytes of its standard output.
    public var output: Data
    /// Its standard error.
    public var errors: String

    /// Whether it exited with status 0.
    public var succeeded: Bool { ending == .exited(0) }
    /// The output as text.
    public var text: String { String(decoding: output, as: UTF8.self) }
  }

  /// A program that cannot be started, in one line.
  public struct StartError: Error, CustomStringConvertible {
    public var description: String

    /// - Parameter description: one line that names the program.
    public init(description: String) { self.description = description }
  }

  private let process = Process()

  /// The file of this program.
  public static var itself: String {
    Bundle.main.executableURL?.resolvingSymlinksInPath().path ?? CommandLine.arguments[0]
  }

  /// The file that `name` means: itself where it has a slash, else the first of that name on PATH; nil: none.
  public static func find(_ name: String) -> String? {
    if name.contains("/") { return name }
    return (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(name)" }
      .first { FileManager.default.isExecutableFile(atPath: $0) }
  }

  /// Starts a program that reads nothing; its standard output goes where this program's goes.
  public init(starting program: String, _ arguments: [String], errors: FileHandle) throws(StartError) {
    process.standardInput = FileHandle.nullDevice
    process.standardError = errors
    try start(program, arguments)
  }

  private init(
    _ program: String, _ arguments: [String], folder: String?, input: Pipe, output: Pipe, errors: Pipe
  ) throws(StartError) {
    process.standardInput = input
    process.standardOutput = output
    process.standardError = errors
    if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
    try start(program, arguments)
  }

  private func start(_ program: String, _ arguments: [String]) throws(StartError) {
    guard let file = Self.find(program) else { throw StartError(description: "\(program) is not on PATH") }
    process.executableURL = URL(fileURLWithPath: file)
    process.arguments = arguments
    do {
      try process.run()
    } catch {
      throw StartError(description: "\(file) cannot be started")
    }
  }

  /// The system's number of the process.
  public var identifier: Int32 { process.processIdentifier }
  /// False once it has ended, waited for or not.
  public var isRunning: Bool { process.isRunning }

  /// Asks it to end (SIGTERM).
  public func terminate() { process.terminate() }

  /// Waits for its end.
  public func wait() -> Ending {
    process.waitUntilExit()
    return process.terminationReason == .exit
      ? .exited(process.terminationStatus) : .killed(signal: process.terminationStatus)
  }

  /// Runs a program to its end. Both of its streams are read as they come, so that neither can fill up and stop it.
  ///
  /// - Parameters:
  ///   - program: a path with a slash, or a name on PATH.
  ///   - folder: its working directory; nil: this program's.
  ///   - input: given to it to read. That it ends without reading all of it is no error.
  ///   - meanwhile: called some times a second while it runs.
  public static func run(
    _ program: String, _ arguments: [String], in folder: String? = nil, input: String = "",
    meanwhile: () -> Void = {}
  ) throws(StartError) -> Result {
    let (inward, outward, errors) = (Pipe(), Pipe(), Pipe())
    let subprocess = try Subprocess(
      program, arguments, folder: folder, input: inward, output: outward, errors: errors)
    let group = DispatchGroup()
    let (output, complaints) = (Collected(), Collected())
    for (pipe, collected) in [(outward, output), (errors, complaints)] {
      let handle = pipe.fileHandleForReading
      DispatchQueue.global().async(group: group) { collected.fill(from: handle) }
    }
    if !input.isEmpty {
      signal(SIGPIPE, SIG_IGN)
      try? inward.fileHandleForWriting.write(contentsOf: Data(input.utf8))
    }
    try? inward.fileHandleForWriting.close()
    while group.wait(timeout: .now() + .milliseconds(200)) == .timedOut { meanwhile() }
    return Result(
      ending: subprocess.wait(), output: output.data, errors: String(decoding: complaints.data, as: UTF8.self))
  }
}

/// All that comes out of a pipe.
private final class Collected: Sendable {
  private let contents = Mutex(Data())

  var data: Data { contents.withLock { $0 } }

  func fill(from handle: FileHandle) {
    let read = (try? handle.readToEnd()) ?? nil
    contents.withLock { $0 = read ?? Data() }
  }
}
