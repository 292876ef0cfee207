import Foundation
import Testing

/// `SPQAT_SOAK_SECONDS=600 swift test --filter SoakTests`, in release or, with -Xcc -O2, in debug; with SPQAT_SOAK_KILLS it ends after that many kills.
private let soakSeconds = number("SPQAT_SOAK_SECONDS")
private let soakKills = number("SPQAT_SOAK_KILLS")

private func number(_ variable: String) -> Double? {
  ProcessInfo.processInfo.environment[variable].flatMap(Double.init)
}

@Suite("Soak: faults at random, for as long as asked", .serialized, .enabled(if: soakSeconds != nil))
struct SoakTests {
  /// What was done, for the line at the end.
  private struct Counts: CustomStringConvertible {
    var rounds = 0
    /// Signals that met a sweep at work.
    var kills: [Int32: Int] = [SIGKILL: 0, SIGTERM: 0]
    /// Runs that killed sweeps had finished, and those of the last, undisturbed one.
    var finishedBefore = 0
    var finished = 0
    /// Run files compared with those of a sweep that nobody killed.
    var comparisons = 0

    var allKills: Int { kills.values.reduce(0, +) }

    var description: String {
      "\(rounds) rounds, \(allKills) kills (\(kills[SIGKILL]!) SIGKILL, \(kills[SIGTERM]!) SIGTERM), \(finished) runs "
        + "finished, \(finishedBefore) of them by sweeps that were killed, \(comparisons) run files equal to those of an "
        + "undisturbed sweep"
    }
  }

  @Test("sweeps killed at random end with the files of an undisturbed one")
  func randomKills() throws {
    let begun = Date()
    let deadline = begun.addingTimeInterval(try #require(soakSeconds))
    let members = #""axes": [{"method": ["fullQAT", "freeze"]}]"#
    let undisturbed = try Workplace(members, imagesPerClass: 2)
    #expect(try undisturbed.sweep().status == 0)
    let duration = -begun.timeIntervalSinceNow
    let files = try undisturbed.runFiles()
    var counts = Counts()
    while Date() < deadline, Double(counts.allKills) < soakKills ?? .infinity {
      counts.rounds += 1
      let place = try Workplace(members, imagesPerClass: 2)
      for _ in 0..<Int.random(in: 1...6) {
        let jobs = ["--jobs", "\(Int.random(in: 1...2))"]
        let parents = try (0..<Int.random(in: 1...2)).map { _ in
          try place.start(place.arguments("sweep", ["--checkpoint-seconds", "0"] + jobs))
        }
        usleep(UInt32(Double.random(in: 0.02...max(0.1, duration)) * 1e6))
        for parent in parents where parent.process.isRunning {
          let signal = Bool.random() ? SIGKILL : SIGTERM
          if kill(parent.process.processIdentifier, signal) == 0 { counts.kills[signal, default: 0] += 1 }
        }
        for parent in parents { _ = try parent.read() }
      }
      counts.finishedBefore += (try? place.runFiles().count) ?? 0
      // Workers of killed parents may still hold a run; the sweep waits for them.
      let last = try place.sweep()
      #expect(last.status == 0, "round \(counts.rounds): \(last.standardOutput)\(last.standardError)")
      #expect(try place.runFiles() == files)
      counts.finished += files.count
      for file in files {
        let difference = try place.run([
          "diff", "--ignore-times", place.runs.appendingPathComponent(file).path,
          undisturbed.runs.appendingPathComponent(file).path,
        ])
        #expect(difference.status == 0, "round \(counts.rounds): \(difference.standardOutput)")
        if difference.status == 0 { counts.comparisons += 1 }
      }
      // A worker of a killed parent may have filed its run and not yet removed the checkpoint.
      var left: [String] = []
      for _ in 0..<100 {
        left = (FileManager.default.enumerator(atPath: place.results)?.compactMap { $0 as? String } ?? [])
          .filter { $0.hasSuffix(".tmp") || $0.contains("checkpoints/") }
        if left.isEmpty { break }
        usleep(50_000)
      }
      #expect(left == [], "round \(counts.rounds)")
    }
    print("soak: \(counts), in \(Int(-begun.timeIntervalSinceNow)) s")
    #expect(counts.allKills > 0)
  }
}
