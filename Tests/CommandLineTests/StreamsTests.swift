import Foundation
import Testing

@Suite("Streams that are closed, full or not read")
struct StreamsTests {
  @Test(
    "what is written for people ends no training",
    arguments: [
      "exec 2>&-", "exec 0<&- 1>/dev/null 2>&-", "exec 2>/dev/full",
      "p=$(mktemp -u); mkfifo \"$p\"; : <\"$p\" & exec 2>\"$p\"; rm \"$p\"; wait",
    ])
  func standardError(redirection: String) throws {
    let place = try Workplace()
    let output = try place.run(place.arguments("sweep", ["--checkpoint-seconds", "0"]), through: redirection)
    #expect(output.status == 0)
    #expect(try place.runFiles().count == 3)
    // Nothing else was opened in the stream's place, to be written to as it.
    let locks = URL(fileURLWithPath: place.results).appendingPathComponent("tiny/locks")
    for file in try FileManager.default.contentsOfDirectory(at: locks, includingPropertiesForKeys: nil) {
      #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(contentsOf: file)) }
    }
  }

  @Test("errors keep their exit status where nobody can read them")
  func errorsUnread() throws {
    #expect(try Workplace().run(["validate", "missing.json"], through: "exec 2>&-").status == 2)
  }

  @Test("output that is lost is one line and exit status 2", arguments: ["exec >/dev/full", "exec >&-"])
  func standardOutput(redirection: String) throws {
    let place = try Workplace()
    #expect(try place.sweep().status == 0)
    let file = try place.runs.appendingPathComponent(#require(place.runFiles().first)).path
    for arguments in [
      ["--help"], ["validate", place.experiment], place.arguments("status"), ["show", file, "--json"],
      ["diff", file, file], ["compare", "\(place.results)/tiny"], ["table", "\(place.results)/tiny"],
      place.arguments("sweep", ["--dry-run"]), place.arguments("sweep", ["--limit", "0"]),
    ] {
      let output = try place.run(arguments, through: redirection)
      #expect(output.status == 2, "\(arguments)")
      let lines = output.errorLines.filter { !$0.hasPrefix("decoding images") }
      #expect(lines.count == 1, "\(arguments): \(output.standardError)")
      #expect(lines.first?.hasPrefix("spqat: standard output cannot be written: ") == true)
    }
  }

  @Test("commands that print nothing do not mind a closed output")
  func nothingPrinted() throws {
    let output = try Workplace().run(["validate", "missing.json"], through: "exec >&-")
    #expect(output.errorLines.count == 1)
    #expect(output.standardError.hasPrefix("spqat: missing.json: no such file"))
  }

  @Test(
    "a terminal shows one line at a time; one without escape sequences gets none",
    .enabled(if: access("/dev/ptmx", R_OK | W_OK) == 0, "needs Linux's pseudo-terminals"), arguments: ["xterm", "dumb"])
  func terminal(kind: String) throws {
    let place = try Workplace()
    let terminal = try Terminal()
    let process = Process()
    process.executableURL = Spqat.program
    process.arguments = place.arguments("sweep")
    process.environment = ProcessInfo.processInfo.environment.merging(["TERM": kind]) { $1 }
    process.standardOutput = FileHandle.nullDevice
    process.standardError = terminal.slave
    try process.run()
    let text = try terminal.read()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    #expect(text.contains("400/400\r\n"), "the last state of a progress line stays, and the next line is its own")
    #expect(text.contains("\u{1B}") == (kind == "xterm"))
  }

  /// A pseudo-terminal.
  private final class Terminal {
    let slave: FileHandle
    private let master: FileHandle

    init() throws {
      let descriptor = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
      // What unlockpt and ptsname do; Swift's Glibc has neither.
      let (unlock, getNumber): (UInt, UInt) = (0x4004_5431, 0x8004_5430)
      var (locked, number): (CInt, CInt) = (0, 0)
      #expect(descriptor >= 0 && ioctl(descriptor, unlock, &locked) == 0 && ioctl(descriptor, getNumber, &number) == 0)
      master = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
      slave = FileHandle(
        fileDescriptor: open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_CLOEXEC), closeOnDealloc: true)
    }

    /// All that is written until everybody has closed the terminal; to be called once the program has started.
    func read() throws -> String {
      try slave.close()
      var bytes: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 4096)
      while true {
        // Fails (EIO) once the terminal has no user.
        let count = Foundation.read(master.fileDescriptor, &buffer, buffer.count)
        guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
        bytes += buffer[..<count]
      }
    }
  }
}
