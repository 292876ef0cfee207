import Foundation
import Testing

@Suite("status --watch, and the version")
struct WatchTests {
  @Test("follows a sweep line by line where nobody looks, and ends with it")
  func plain() throws {
    let place = try Workplace()
    let waiting = try place.run(place.arguments("status"))
    #expect(waiting.standardOutput.contains("0 finished, 0 running, 0 failed, 3 waiting"))
    let watch = try place.start(place.arguments("status", ["--watch", "--interval", "0.1"]))
    #expect(try place.sweep().status == 0)
    let output = try watch.read()
    #expect(output.status == 0, "\(output.standardError)")
    let lines = output.standardOutput.split(separator: "\n")
    #expect(lines.last?.hasPrefix("3 finished, 0 running, 0 failed, 0 waiting") == true, "\(lines)")
    #expect(lines.count { $0.contains("finished, top-1") } == 3)
    #expect(!output.standardOutput.contains("\u{1B}"))
  }

  @Test("draws a table on a terminal that fits it, finished runs last where there is no room")
  func terminal() throws {
    let place = try Workplace()
    #expect(try place.sweep().status == 0)
    func watched(rows: Int, columns: Int) throws -> [Substring] {
      let command = ([Spqat.program.path] + place.arguments("status", ["--watch"])).map { "'\($0)'" }
      let output = try place.run(
        [],
        through:
          "TERM=xterm exec script -qec \"stty rows \(rows) cols \(columns); \(command.joined(separator: " "))\" /dev/null"
      )
      #expect(output.status == 0, "\(output.standardError)")
      return output.standardOutput.replacing("\r\n", with: "\n").replacing("\r", with: "").replacing(
        "\u{1B}[J", with: ""
      ).split(separator: "\n")
    }
    let table = try watched(rows: 24, columns: 90)
    try #require(table.count == 5, "\(table)")
    #expect(table[0].hasPrefix("run") && table[0].hasSuffix("left"))
    #expect(table[1...3].allSatisfy { $0.contains("8/8") && $0.contains(" %") && $0.contains("finished") }, "\(table)")
    #expect(table.allSatisfy { $0.count < 90 })
    let small = try watched(rows: 6, columns: 70)
    try #require(small.count == 5, "\(small)")
    #expect(small[3] == "and 1 more")
    #expect(small.allSatisfy { $0.count < 70 })
  }

  @Test("Ctrl-C ends it, and intervals that make no sense are refused")
  func ends() throws {
    let place = try Workplace()
    let watch = try place.start(place.arguments("status", ["--watch", "--interval", "3600"]))
    let output = URL(fileURLWithPath: place.folder.path).appendingPathComponent("output-1")
    let deadline = Date(timeIntervalSinceNow: 30)
    while try Data(contentsOf: output).isEmpty, Date() < deadline { usleep(10_000) }
    watch.process.interrupt()
    #expect(try watch.read().status == 130)
    let refused = try place.run(place.arguments("status", ["--watch", "--interval", "0"]))
    #expect(refused.status == 2)
    #expect(refused.errorLines == ["spqat: --interval is 0.0; allowed: 0.1 to 3600 seconds; see 'spqat --help'"])
  }

  @Test("--version names the commit, the instruction sets and the libraries")
  func version() throws {
    let lines = try Workplace().run(["--version"]).standardOutput.split(separator: "\n")
    try #require(lines.count == 4)
    #expect(
      lines[0].prefixMatch(of: /spqat [0-9]+\.[0-9]+\.[0-9]+ \(commit ([0-9a-f]{40}(, changed since)?|unknown)\)/)
        != nil)
    #expect(lines[1].contains(/algorithm version [0-9]+/))
    #expect(lines[2].hasPrefix("instruction sets here: reference, portable"))
    #expect(lines[3].contains(/HDF5 1\.[0-9.]+, libpng 1\.[0-9.]+, Swift 6\.[0-9]/))
  }
}
