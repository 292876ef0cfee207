import Foundation
import Testing

/// `SPQAT_SOAK_SECONDS=600 swift test -c release --filter SoakTests`
private let soakSeconds = ProcessInfo.processInfo.environment["SPQAT_SOAK_SECONDS"].flatMap(Double.init)

@Suite("Soak: faults at random, for as long as asked", .serialized, .enabled(if: soakSeconds != nil))
struct SoakTests {
  @Test("sweeps killed at random end with the files of an undisturbed one")
  func randomKills() throws {
    let deadline = Date(timeIntervalSinceNow: try #require(soakSeconds))
    let undisturbed = try Workplace()
    #expect(try undisturbed.sweep().status == 0)
    let files = try undisturbed.runFiles()
    var rounds = 0
    while Date() < deadline {
      rounds += 1
      let place = try Workplace()
      for _ in 0..<Int.random(in: 1...6) {
        let jobs = ["--jobs", "\(Int.random(in: 1...2))"]
        let parents = try (0..<Int.random(in: 1...2)).map { _ in
          try place.start(place.arguments("sweep", ["--checkpoint-seconds", "0"] + jobs))
        }
        usleep(UInt32.random(in: 50_000...3_000_000))
        for parent in parents { kill(parent.process.processIdentifier, Bool.random() ? SIGKILL : SIGTERM) }
        for parent in parents { _ = try parent.read() }
      }
      // Workers of killed parents may still hold a run; the sweep waits for them.
      let last = try place.sweep()
      #expect(last.status == 0, "round \(rounds): \(last.standardOutput)\(last.standardError)")
      #expect(try place.runFiles() == files)
      for file in files {
        let difference = try place.run([
          "diff", "--ignore-times", place.runs.appendingPathComponent(file).path,
          undisturbed.runs.appendingPathComponent(file).path,
        ])
        #expect(difference.status == 0, "round \(rounds): \(difference.standardOutput)")
      }
    }
    #expect(rounds > 0)
  }
}
