import Foundation
import Testing

@Suite("Memory", .serialized)
struct MemoryTests {
  @Test(
    "A process that trains 50 runs needs no more memory at the end than after the first five",
    .enabled(if: FileManager.default.fileExists(atPath: "/proc/self/status"), "this system has no /proc"))
  func flat() throws {
    let place = try Workplace()
    let seeds = (1...25).map(String.init).joined(separator: ", ")
    let experiment = try place.write(
      "fifty", #""seeds": [\#(seeds)], "axes": [{"method": ["fullQAT", "freeze"]}]"#)
    let sweep = try place.start(place.arguments("sweep", experiment: experiment))

    // Greatest resident memory in KiB while so many runs were finished.
    var resident: [Int: Int] = [:]
    while sweep.process.isRunning {
      let finished = place.runCount(of: "fifty")
      if let memory = residentMemory(of: sweep.process.processIdentifier) {
        resident[finished] = max(resident[finished] ?? 0, memory)
      }
      usleep(20_000)
    }
    let output = try sweep.read()
    #expect(output.status == 0, "\(output.standardError)")
    #expect(output.standardOutput.contains("51 trained"))
    let early = try #require(resident.filter { 3...5 ~= $0.key }.values.max())
    let late = try #require(resident.filter { 46...50 ~= $0.key }.values.max())
    // The heap's fragments grow by 20 KiB a run, and by some MiB at once on a busy machine. A single tensor that stays behind
    // is 300 KiB a run; a run's parameters, optimizer and activations together are some MiB.
    #expect(late <= early + 45 * 256, "\(early) KiB while runs 4 to 6 trained, \(late) KiB while runs 47 to 51 did")
  }

  /// KiB; nil once the process has ended.
  private func residentMemory(of process: pid_t) -> Int? {
    let status = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
    return status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
      .flatMap { Int($0.split(separator: " ").dropLast().last ?? "") }
  }
}

extension Workplace {
  /// How many runs of an experiment have their file.
  fileprivate func runCount(of experiment: String) -> Int {
    ((try? FileManager.default.contentsOfDirectory(atPath: "\(results)/\(experiment)/runs")) ?? [])
      .count { $0.hasSuffix(".h5") }
  }
}
