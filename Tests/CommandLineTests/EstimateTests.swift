import Foundation
import Testing

/// `spqat estimate`: a step on other machines.
struct EstimateTests {
  private struct Report: Decodable {
    struct Row: Decodable {
      var method: String
      var nodes: Int
      var batch: Int
      var kibSent: Double
      var msCompute: Double
      var msExchange: Double
      var msStep: Double
      var imagesPerSecond: Double
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
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(Report.self, from: Data(output.standardOutput.utf8)).estimate
  }

  @Test("one machine sends nothing, others less the more is frozen; a step's parts add up")
  func bytes() throws {
    let alone = try estimate(["--cores", "4"])
    #expect(alone.map(\.method) == ["fullPrecision", "fullQAT", "freeze"])
    #expect(alone.allSatisfy { $0.kibSent == 0 && $0.msExchange == 0 && $0.msStep > 0 })
    let few = try estimate(["--nodes", "2", "--frozen", "0.9", "--network-gbps", "1"])
    let more = try estimate(["--nodes", "2", "--frozen", "0.5", "--network-gbps", "1"])
    #expect(few[1].kibSent == more[1].kibSent && few[1].kibSent > more[2].kibSent)
    #expect(more[2].kibSent > few[2].kibSent && few[2].kibSent > 0)
    #expect(more[2].msExchange > few[2].msExchange)
    for row in few {
      #expect(abs(row.msCompute + row.msExchange - row.msStep) <= 1e-9 * row.msStep)
      #expect(abs(row.imagesPerSecond * row.msStep - 32_000) <= 1e-6)
    }
    // Rounds, not machines, are what bytes grow with.
    let eight = try estimate(["--nodes", "8", "--frozen", "0.9", "--network-gbps", "1"])
    #expect(abs(eight[1].kibSent - 3 * few[1].kibSent) <= 1e-6)
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
