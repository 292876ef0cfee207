import Foundation
import Testing

/// `compare` and `power` on the committed results of the CIFAR-10 sweeps, whose tables list every run.
@Suite("Comparing committed results")
struct ComparisonCommandTests {
  private let place: Workplace
  private let tables: [String]

  init() throws {
    place = try Workplace()
    tables = ["cifar10-freeze-start", "cifar10-threshold"].map { name in
      Spqat.repository.appendingPathComponent("results/reference/\(name)/\(name).h5").path
    }
  }

  private func rows(_ arguments: [String]) throws -> [[String: Any]] {
    let output = try place.run(arguments + ["--json"])
    #expect(output.status == 0, "\(output.standardError)")
    let object = try JSONSerialization.jsonObject(with: Data(output.standardOutput.utf8)) as? [String: Any]
    let comparison = try #require(object?["comparison"] as? [String: Any])
    return try #require(comparison["entries"] as? [[String: Any]])
  }

  private func setting(_ row: [String: Any]) -> String {
    ((row["axes"] as? [[String: Any]]) ?? []).map { "\($0["value"] ?? "")" }.joined(separator: " ")
  }

  @Test("both sweeps together give the pooled intervals that were worked out for them")
  func pooled() throws {
    let rows = try rows(["compare"] + tables)
    // Full precision and full QAT; four starts and three thresholds, the fourth being start 20 %.
    #expect(rows.count == 9)
    func text(_ name: String) throws -> String {
      let row = try #require(rows.first { setting($0) == name })
      let pooled = try #require(row["pooled"] as? [String: Any])
      let interval = try #require(pooled["interval"] as? [String: Double])
      #expect(pooled["degreesOfFreedom"] as? Int == 14)
      #expect(row["pairs"] as? Int == 3)
      return String(
        format: "%+.2f [%+.2f, %+.2f]", try #require(pooled["difference"] as? Double), interval["lower"] ?? .nan,
        interval["upper"] ?? .nan)
    }
    #expect(try text("linear 20%") == "-0.09 [-0.54, +0.37]")
    #expect(try text("linear 0%") == "-0.49 [-0.95, -0.04]")
  }

  @Test("the order of the files changes no number")
  func order() throws {
    func numbers(_ tables: [String]) throws -> [String] {
      try rows(["compare"] + tables).compactMap { row in
        (row["pooled"] as? [String: Any]).map { "\((row["runs"] as? [String]) ?? []) \($0["standardError"] ?? "")" }
      }.sorted()
    }
    #expect(try numbers(tables) == numbers(tables.reversed()))
  }

  @Test("one sweep alone pools its own settings, as text")
  func alone() throws {
    let output = try place.run(["compare", tables[0]])
    #expect(output.status == 0)
    #expect(output.standardError == "")
    #expect(output.standardOutput.contains("5 settings, 8 degrees of freedom"))
    let row = try #require(output.standardOutput.split(separator: "\n").first { $0.contains("start=20%") })
    // The paired interval that the committed comparison has.
    #expect(row.contains("[-1.56, +1.39]") && row.contains("[-0.64, +0.47]"))
  }

  @Test("a file that is no table is refused in one line")
  func noTable() throws {
    let run = Spqat.repository.appendingPathComponent("results/reference/cifar10-table2-quick/runs/e518a7b99ad9.h5")
      .path
    let output = try place.run(["compare", run])
    #expect(output.status == 2)
    #expect(output.errorLines.count == 1)
    #expect(output.standardError.contains("expected 'spqat-table'"))
  }

  @Test("power plans from committed results, or from a spread")
  func power() throws {
    let output = try place.run(["power"] + tables)
    #expect(output.status == 0, "\(output.standardError)")
    #expect(output.standardOutput.contains("0.366 points (W2/A2, 8 settings, 14 degrees of freedom)"))
    #expect(output.standardOutput.contains("power of 3 seeds"))
    let given = try place.run([
      "power", "--sd", "0.366", "--margin", "0.5", "--test", "equivalence", "--settings", "8", "--claims", "7",
      "--json",
    ])
    let object = try JSONSerialization.jsonObject(with: Data(given.standardOutput.utf8)) as? [String: Any]
    let table = try #require((object?["power"] as? [[String: Any]])?.first)
    let rows = try #require(table["rows"] as? [[String: Any]])
    #expect(rows.count == 4)
    let seeds = try rows.map { try #require(($0["seeds"] as? [Int])?.first) }
    // More claims need more seeds, and a pooled spread fewer.
    #expect(seeds[0] < seeds[1] && seeds[2] < seeds[3] && seeds[2] <= seeds[0] && seeds[3] < seeds[1])
  }
}
