import Foundation
import Statistics
import Testing

@Suite("Claims and power")
struct ClaimTests {
  private func estimate(_ value: Double, _ standardError: Double = 0.1, degrees: Double = 10) -> Estimate {
    Estimate(value: value, standardError: standardError, degreesOfFreedom: degrees)
  }

  @Test("Holm's correction, by hand")
  func holm() {
    // Sorted 0.01, 0.02, 0.03, 0.04: times 4, 3, 2, 1: 0.04, 0.06, 0.06 (raised), 0.06 (raised).
    let adjusted = Holm.adjusted([0.04, 0.01, 0.03, 0.02])
    for (value, expected) in zip(adjusted, [0.06, 0.04, 0.06, 0.06]) { #expect(isClose(value, expected, 1e-15)) }
    #expect(Holm.adjusted([0.7, 0.6]) == [1, 1])
    #expect(Holm.adjusted([0.2]) == [0.2])
    #expect(Holm.adjusted([]) == [])
  }

  @Test("a claim holds exactly where its one-sided bounds clear the margin")
  func bounds() {
    let critical = StudentT(degreesOfFreedom: 10).quantile(0.95)
    for test in Claim.Test.allCases {
      let claim = Claim(margin: 0.5, confidence: 0.95, test: test)
      let bound = -0.5 + critical * 0.1
      #expect(claim.pValue(estimate(bound + 1e-9)) < 0.05)
      #expect(claim.pValue(estimate(bound - 1e-9)) > 0.05)
      let isHeld = claim.pValue(estimate(0.5)) < 0.05
      #expect(isHeld == (test == .nonInferiority))
    }
    let equivalence = Claim(test: .equivalence)
    #expect(equivalence.pValue(estimate(0.5 - critical * 0.1 - 1e-9)) < 0.05)
    #expect(equivalence.pValue(estimate(0.5 - critical * 0.1 + 1e-9)) > 0.05)
  }

  @Test("verdicts follow their definitions")
  func verdicts() {
    func verdict(_ value: Double, _ test: Claim.Test, standardError: Double = 0.1) -> Verdict {
      Claim(test: test).verdicts([estimate(value, standardError)])[0]
    }
    #expect(verdict(0, .nonInferiority) == .onParOrBetter)
    #expect(verdict(2, .nonInferiority) == .onParOrBetter)
    #expect(verdict(-0.2, .nonInferiority) == .onParOrBetter)
    #expect(verdict(-0.45, .nonInferiority) == .worse)
    #expect(verdict(-0.45, .nonInferiority, standardError: 0.4) == .undecided)
    #expect(verdict(0, .equivalence) == .onPar)
    #expect(verdict(2, .equivalence) == .better)
    #expect(verdict(-2, .equivalence) == .worse)
    #expect(verdict(0, .equivalence, standardError: 0.4) == .undecided)
    #expect(Claim().verdicts([nil, estimate(0)]) == [.tooFewSeeds, .onParOrBetter])
    #expect(Claim().verdicts([]) == [])
  }

  @Test("many rows are judged together")
  func manyRows() {
    // p = 0.03 alone, 0.06 of two.
    let bare = estimate(-0.5 + StudentT(degreesOfFreedom: 10).quantile(0.97) * 0.2, 0.2)
    #expect(Claim().verdicts([bare]) == [.onParOrBetter])
    #expect(Claim().verdicts([bare, estimate(-0.5, 0.2)]) == [.undecided, .undecided])
    // Beside one that is far within, Holm asks of the second no more than of a single one.
    #expect(Claim().verdicts([bare, estimate(1, 0.2)]) == [.onParOrBetter, .onParOrBetter])
  }

  @Test("power agrees with SciPy's integrals")
  func power() throws {
    for expected in try Reference.load().power {
      let analysis = PowerAnalysis(
        claim: Claim(
          margin: expected.margin, confidence: 0.95, test: try #require(Claim.Test(rawValue: expected.test))),
        standardDeviation: expected.deviation, difference: expected.difference, settings: expected.settings,
        claims: expected.claims)
      #expect(isClose(analysis.power(seeds: expected.seeds), expected.power, 1e-8), "\(expected)")
    }
  }

  @Test("power at the margin is the error that the claim allows")
  func size() {
    for seeds in [2, 5, 20] {
      let claim = Claim(margin: 0.5, confidence: 0.95, test: .nonInferiority)
      let analysis = PowerAnalysis(claim: claim, standardDeviation: 0.4, difference: -0.5)
      #expect(isClose(analysis.power(seeds: seeds), 0.05, 1e-8))
    }
  }

  @Test("the seeds found are the fewest, and more are needed for more", arguments: Claim.Test.allCases)
  func seeds(test: Claim.Test) throws {
    let analysis = PowerAnalysis(claim: Claim(test: test), standardDeviation: 0.42)
    let seeds = try #require(analysis.seeds(power: 0.8))
    #expect(analysis.power(seeds: seeds) >= 0.8 && analysis.power(seeds: seeds - 1) < 0.8)
    #expect(try #require(analysis.seeds(power: 0.95)) > seeds)
    let corrected = PowerAnalysis(claim: Claim(test: test), standardDeviation: 0.42, claims: 7)
    #expect(try #require(corrected.seeds(power: 0.8)) > seeds)
    let pooled = PowerAnalysis(claim: Claim(test: test), standardDeviation: 0.42, settings: 8)
    #expect(try #require(pooled.seeds(power: 0.8)) < seeds)
    #expect(PowerAnalysis(claim: Claim(test: test), standardDeviation: 1e-3).seeds(power: 0.8) == 2)
    // No number of seeds shows what is not true, and a limit is a limit.
    #expect(PowerAnalysis(claim: Claim(test: test), standardDeviation: 0.4, difference: -0.5).seeds(power: 0.8) == nil)
    #expect(analysis.seeds(power: 0.8, limit: seeds - 1) == nil)
    let beyond = PowerAnalysis(claim: Claim(test: test), standardDeviation: 0.4, difference: 0.6).seeds(power: 0.8)
    #expect((beyond == nil) == (test == .equivalence))
  }

  @Test("the bound of a standard deviation, by hand")
  func spread() {
    // χ² with two degrees of freedom is exponential with mean 2: its 5 % quantile is −2·ln 0.95.
    let expected = 3 / (-log(0.95)).squareRoot()
    #expect(isClose(upperLimit(ofStandardDeviation: 3, degreesOfFreedom: 2, confidence: 0.95), expected, 1e-6))
    // The 5 % quantile of χ² with 14 degrees of freedom is 6.571 (NIST/SEMATECH e-Handbook 1.3.6.7.4).
    let published = (14 / 6.571).squareRoot()
    #expect(isClose(upperLimit(ofStandardDeviation: 1, degreesOfFreedom: 14, confidence: 0.95), published, 1e-3))
  }
}
