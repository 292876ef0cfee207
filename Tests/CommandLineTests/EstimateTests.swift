import Foundation
import Testing

/// `spqat estimate`: a step on other machines.
struct EstimateTests {
  private struct Report: Decodable {
    struct Row: Decodable {
      var method: String
      var nodes: Int
      var batch: Int
      var kib_sent: Double
      var ms_compute: Double
      var ms_exchange: Double
      var ms_step: Double
      var images_per_second: Double
      var hours: Double
    }
    var estimate: [Row]
  }

  private let workplace = try! Workplace()

  private func estimate(_ arguments: [String]) throws -> [Report.Row] {
    let output = try workplace.run(
      ["estimate", workplace.experiment, "--steps", "1", "--json", "--set", "batchSize=32", "--images", "320"]
        + arguments)
    #expect(output.status == 0, "\(output.standardError)")
    return try JSONDecoder().decode(Report.self, from: Data(output.standardOutput.utf8)).estimate
  }

  @Test("one machine sends nothing, others less the more is frozen; a step's parts add up")
  func bytes() throws {
    let alone = try estimate(["--cores", "4"])
    #expect(alone.map(\.method) == ["fullPrecision", "fullQAT", "freeze"])
    #expect(alone.allSatisfy { $0.kib_sent == 0 && $0.ms_exchange == 0 && $0.ms_step > 0 })
    let few = try estimate(["--nodes", "2", "--frozen", "0.9", "--network-gbps", "1"])
    let more = try estimate(["--nodes", "2", "--frozen", "0.5", "--network-gbps", "1"])
    #expect(few[1].kib_sent == more[1].kib_sent && few[1].kib_sent > more[2].kib_sent)
    #expect(more[2].kib_sent > few[2].kib_sent && few[2].kib_sent > 0)
    #expect(more[2].ms_exchange > few[2].ms_exchange)
    for row in few {
      #expect(abs(row.ms_compute + row.ms_exchange - row.ms_step) <= 1e-9 * row.ms_step)
      #expect(abs(row.images_per_second * row.ms_step - 32_000) <= 1e-6)
    }
    // Rounds, not machines, are what bytes grow with.
    let eight = try estimate(["--nodes", "8", "--frozen", "0.9", "--network-gbps", "1"])
    #expect(abs(eight[1].kib_sent - 3 * few[1].kib_sent) <= 1e-6)
  }

  @Test("what cannot be is refused in one line")
  func refusals() throws {
    for (arguments, expected) in [
      (["--nodes", "3"], "--nodes is 3; allowed: 1, 2, 4, 8, 16, 32 or 64"),
      (["--set", "batchSize=8", "--nodes", "4"], "a batch of 8 has 2 slices, which 4 machines cannot share"),
      (["--network-gbps", "0"], "--network-gbps is 0.0; allowed: above 0"), (["--cores", "0"], "--cores is 0"),
      (["--images", "0"], "--images is 0"),
    ] {
      let output = try workplace.run(["estimate", workplace.experiment] + arguments)
      #expect(output.status == 2 && output.errorLines.count == 1, "\(arguments): \(output.standardError)")
      #expect(output.standardError.contains(expected), "\(output.standardError)")
    }
  }
}
