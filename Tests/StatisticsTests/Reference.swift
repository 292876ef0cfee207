import Foundation

/// `reference.json`, which `make_reference.py` beside it wrote.
struct Reference: Decodable {
  struct StudentCase: Decodable {
    var degrees, t, cumulative: Double
  }

  struct NoncentralCase: Decodable {
    var degrees, noncentrality, t, cumulative: Double
  }

  /// Either of equal correlations (`comparisons`) or of replicate counts.
  struct DunnettCase: Decodable {
    var degrees, confidence, critical: Double
    var twoSided: Bool
    var comparisons: Int?
    var replicates: [Int]?
    var baseline: Int?
  }

  struct ModelCase: Decodable {
    /// Setting and block of each value.
    var cells: [[Int]]
    var values: [Double]
    var degrees: Int
    var deviation: Double
    var differences, standardErrors: [Double]
  }

  struct PowerCase: Decodable {
    var test: String
    var margin, deviation, difference: Double
    var seeds, settings, claims: Int
    var power: Double
  }

  var t: [StudentCase]
  var noncentralT: [NoncentralCase]
  var dunnett: [DunnettCase]
  var model: [ModelCase]
  var power: [PowerCase]

  static func load() throws -> Reference {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("reference.json")
    return try JSONDecoder().decode(Reference.self, from: Data(contentsOf: file))
  }
}

/// False for NaN.
func isClose(_ value: Double, _ expected: Double, _ tolerance: Double) -> Bool { abs(value - expected) <= tolerance }
