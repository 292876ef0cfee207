import Foundation
import Testing

/// `spqat bench gradients`: integers beside floats on a run's own batches.
struct BenchGradientsTests {
  private struct Report: Decodable {
    struct Row: Decodable {
      var run: String
      var layer: String
      var moments: Int
      var relativeErrorMedian: Double
      var relativeErrorLargest: Double
      var stepOfLargest: Int
      var elementErrorLargest: Double
    }
    var gradients: [Row]
  }

  private let workplace = try! Workplace()

  private func compare(_ more: [String] = []) throws -> Spqat.Output {
    try workplace.run(["bench"] + workplace.arguments("gradients", more))
  }

  @Test("every quantized layer of every run is compared, once its full-precision network is there")
  func compares() throws {
    let missing = try compare()
    #expect(missing.status == 2)
    #expect(missing.standardError.contains("train it first: 'spqat sweep' with --only "), "\(missing.standardError)")

    #expect(try workplace.sweep(["--only", "fullPrecision"]).status == 0)
    let output = try compare(["--moments", "3", "--json"])
    #expect(output.status == 0, "\(output.standardError)")
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let rows = try decoder.decode(Report.self, from: Data(output.standardOutput.utf8)).gradients
    #expect(!rows.isEmpty && !rows.contains { $0.layer == "conv1" })
    for row in rows {
      #expect(row.moments == 3 && row.stepOfLargest >= 1)
      #expect(row.relativeErrorMedian > 0 && row.relativeErrorMedian <= row.relativeErrorLargest)
      #expect(row.relativeErrorLargest <= 1e4 && row.elementErrorLargest <= 1e4)
    }
  }

  @Test("nothing to compare, or no moment for it, is refused in one line")
  func refuses() throws {
    let integers = try compare(["--set", "gradients=\"int16\""])
    #expect(integers.status == 2)
    #expect(integers.standardError.contains("has no quantized run with gradients in float32"))
    let moments = try compare(["--moments", "0"])
    #expect(moments.status == 2 && moments.standardError.contains("--moments is 0; allowed: 1 to 10000"))
  }
}
