import Foundation
public import Records
public import Statistics

/// How many seeds a claim needs, at a spread that was measured or is supposed.
public struct PowerTable: Encodable, Sendable {
  /// The powers that are asked for.
  public static let powers = [0.8, 0.9, 0.95]

  /// One way of testing.
  public struct Row: Encodable, Equatable, Sendable {
    /// Non-inferiority or equivalence.
    public var test: Claim.Test
    /// Settings over which the spread is pooled, the baseline included; 2 for the plain paired test.
    public var settings: Int
    /// Claims that are to hold together.
    public var claims: Int
    /// For each of `powers`; nil where no number of seeds is enough.
    public var seeds: [Int?]
    /// Of the seeds that there are; nil where there are none or one.
    public var presentPower: Double?
  }

  /// Where the spread comes from, for readers.
  public let source: String
  /// Of a difference paired by seed, in points.
  public let standardDeviation: Double
  /// What it may well be, given how few runs it comes from: its one-sided 95 % bound; nil for one that was given.
  public let standardDeviationLimit: Double?
  /// In points.
  public let margin: Double
  /// 1 − α, before the correction for several claims.
  public let confidence: Double
  /// The true difference for which the claim should be shown, in points.
  public let difference: Double
  /// The most pairs that a setting has; nil for a spread that was given.
  public let presentSeeds: Int?
  /// By test, then by where the spread comes from, then by the number of claims.
  public let rows: [Row]

  /// - Parameters:
  ///   - test: nil for both.
  ///   - standardDeviation: of a difference paired by seed, above 0.
  ///   - settings: over which the spread is pooled, the baseline included.
  ///   - claims: that are to hold together.
  public init(
    claim: Claim, test: Claim.Test?, standardDeviation: Double, difference: Double = 0, settings: Int = 2,
    claims: Int = 1, source: String = "given", degreesOfFreedom: Int? = nil, presentSeeds: Int? = nil
  ) {
    self.source = source
    self.standardDeviation = standardDeviation
    standardDeviationLimit = degreesOfFreedom.map {
      upperLimit(ofStandardDeviation: standardDeviation, degreesOfFreedom: Double($0), confidence: 0.95)
    }
    margin = claim.margin
    confidence = claim.confidence
    self.difference = difference
    self.presentSeeds = presentSeeds
    var rows: [Row] = []
    for test in test.map({ [$0] }) ?? Claim.Test.allCases {
      for settings in Set([2, settings]).sorted() {
        for claims in Set([1, claims]).sorted() {
          let analysis = PowerAnalysis(
            claim: Claim(margin: claim.margin, confidence: claim.confidence, test: test),
            standardDeviation: standardDeviation, difference: difference, settings: settings, claims: claims)
          rows.append(
            Row(
              test: test, settings: settings, claims: claims, seeds: Self.powers.map { analysis.seeds(power: $0) },
              presentPower: presentSeeds.flatMap { $0 >= 2 ? analysis.power(seeds: $0) : nil }))
        }
      }
    }
    self.rows = rows
  }

  /// A table for each baseline that settings of these runs are compared with.
  public static func tables(
    runs: [RunRecord], claim: Claim, test: Claim.Test?, difference: Double = 0
  ) -> [PowerTable] {
    let summaries = SettingSummary.summaries(of: runs)
    let families = ComparedFamily.families(summaries, resolution: 0)
    let claims = families.reduce(0) { sum, family in
      sum + family.rows.indices.count { family.differences.estimate($0) != nil }
    }
    return families.compactMap { family in
      guard let deviation = family.differences.standardDeviation, deviation > 0 else { return nil }
      return PowerTable(
        claim: claim, test: test, standardDeviation: deviation, difference: difference,
        settings: family.differences.settings, claims: claims,
        source:
          "\(family.baseline.bits.map { "W\($0.weights)/A\($0.activations), " } ?? "")\(family.differences.settings) "
          + "settings, \(family.differences.degreesOfFreedom) degrees of freedom",
        degreesOfFreedom: family.differences.degreesOfFreedom, presentSeeds: family.differences.pairs)
    }
  }

  /// For readers: what is supposed, and the seeds of each way of testing.
  public var text: String {
    var text = String(format: "Spread of a difference paired by seed: %.3f points (%@)\n", standardDeviation, source)
    if let standardDeviationLimit {
      text += String(format: "It may be as large as %.3f (95 %%): plan with some reserve.\n", standardDeviationLimit)
    }
    text +=
      "Seeds that show the claim, margin \(short(margin)) points at \(percentText(confidence)), if the true difference is "
    text += "\(short(difference)):\n"
    var headings = ["Test", "Spread from", "Claims"] + Self.powers.map { "power \(percentText($0))" }
    if let presentSeeds { headings.append("power of \(presentSeeds) seeds") }
    let cells = rows.map { row in
      var cells = [row.test == .nonInferiority ? "on par or better" : "on par"]
      cells.append(row.settings == 2 ? "pairs alone" : "\(row.settings) settings")
      cells.append("\(row.claims)")
      for seeds in row.seeds { cells.append(seeds.map { "\($0)" } ?? "never") }
      if presentSeeds != nil { cells.append(row.presentPower.map { String(format: "%.0f %%", 100 * $0) } ?? "–") }
      return cells
    }
    return text + inColumns([headings] + cells)
  }
}
