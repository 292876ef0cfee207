import Foundation
import Records
import Reporting
import Testing

@Suite("Comparison with a baseline")
struct ComparisonTests {
  /// Full QAT at 80 % with every seed, SpQAT as given.
  private func runs(_ differences: [Double], frozen: Double = 0.5) -> [RunRecord] {
    [SyntheticRuns.fullPrecision()]
      + differences.enumerated().flatMap { index, difference in
        [
          SyntheticRuns.fullQAT(bits: 2, seed: index + 1, topOne: 0.8),
          SyntheticRuns.freeze(bits: 2, seed: index + 1, topOne: 0.8 + difference / 100, frozen: frozen),
        ]
      }
  }

  private func entry(_ differences: [Double], margin: Double = 0.5) throws -> Comparison.Entry {
    try #require(Comparison(runs: runs(differences), margin: margin).entries.last)
  }

  @Test(
    "verdicts follow their definitions, bounds included",
    arguments: [
      (-0.5...0.5, Comparison.Verdict.onPar), (0.1...0.3, .onPar), (-0.4 ... -0.1, .onPar), (0.2...0.6, .better),
      (0.7...0.9, .better), (-0.6 ... -0.2, .worse), (-0.2...0.6, .notEnoughSeeds), (0...0.6, .notEnoughSeeds),
      (-3...3, .notEnoughSeeds),
    ] as [(ClosedRange<Double>, Comparison.Verdict)])
  func verdict(interval: ClosedRange<Double>, expected: Comparison.Verdict) {
    #expect(Comparison.Verdict(interval: interval, margin: 0.5) == expected)
    #expect(Comparison.Verdict(interval: nil, margin: 0.5) == .notEnoughSeeds)
  }

  @Test("the interval is the t interval of the paired differences")
  func interval() throws {
    // Differences 1, 2, 3: mean 2, standard error 1/√3, t(2) = 4.3026527297.
    let entry = try entry([1, 2, 3])
    #expect(isClose(try #require(entry.difference), 2, 1e-9))
    #expect(isClose(try #require(entry.interval).lower, 2 - 4.3026527297 / 3.0.squareRoot(), 1e-8))
    #expect(isClose(try #require(entry.interval).upper, 2 + 4.3026527297 / 3.0.squareRoot(), 1e-8))
    #expect(entry.verdict == .notEnoughSeeds)
    #expect(entry.bootstrapInterval == nil)
    #expect(try self.entry([2.0, 2.1, 1.9]).verdict == .better)
    #expect(try self.entry([-2.0, -2.1, -1.9]).verdict == .worse)
    #expect(try self.entry([0.1, 0, -0.1]).verdict == .onPar)
    #expect(try self.entry([2.0, 2.1, 1.9], margin: 3).verdict == .onPar)
    #expect(try self.entry([0.1, 0.2, 0, 0.3, -0.1]).bootstrapInterval != nil)
  }

  @Test("with one seed nothing is concluded, and the output says so")
  func oneSeed() throws {
    let comparison = Comparison(runs: runs([5]))
    #expect(comparison.entries.last?.verdict == .notEnoughSeeds)
    #expect(comparison.entries.last?.interval == nil)
    #expect(comparison.text(includingPublished: false).contains("nothing can be concluded"))
    #expect(!Comparison(runs: runs([5, 4])).text(includingPublished: false).contains("nothing can be concluded"))
  }

  @Test("the shared full-precision network's variance is said to be outside the intervals")
  func sharedParent() {
    #expect(Comparison(runs: runs([1, 2])).remarks.contains { $0.contains("full-precision network") })
  }

  @Test("the Pareto front leaves out what another setting beats in both")
  func pareto() throws {
    func freeze(_ threshold: String, _ topOne: Double, _ frozen: Double) -> RunRecord {
      SyntheticRuns.freeze(
        bits: 2, seed: 1, topOne: topOne, threshold: threshold,
        axes: [AxisSetting(name: "freezing.threshold", value: threshold)], frozen: frozen)
    }
    let comparison = Comparison(runs: [
      SyntheticRuns.fullQAT(bits: 2, seed: 1, topOne: 0.8), freeze("0.1", 0.81, 0.3), freeze("0.2", 0.79, 0.2),
      freeze("0.3", 0.7, 0.9),
    ])
    let onFront = comparison.entries.map(\.isOnParetoFront)
    // Full QAT and 0.2 are beaten by 0.1.
    #expect(onFront == [false, true, false, true])
  }

  @Test("other baselines: full precision by parent, a setting by its axes")
  func baselines() throws {
    #expect(Baseline("fullQAT") == .fullQAT)
    #expect(Baseline("nonsense") == nil && Baseline("threshold=") == nil && Baseline("") == nil)
    let precise = Comparison(runs: runs([0, 1, 2]), baseline: .fullPrecision)
    // Three runs of each row, one network that they all start from.
    #expect(precise.entries.map(\.pairs) == [0, 1, 1])
    #expect(precise.entries[1].interval == nil && precise.entries[1].verdict == .notEnoughSeeds)
    #expect(isClose(try #require(precise.entries[1].difference), -12, 1e-9))
    func freeze(_ threshold: String, _ seed: Int, _ topOne: Double) -> RunRecord {
      SyntheticRuns.freeze(
        bits: 2, seed: seed, topOne: topOne, threshold: threshold,
        axes: [AxisSetting(name: "freezing.threshold", value: threshold)])
    }
    let baseline = try #require(Baseline("threshold=0.1"))
    let swept = Comparison(
      runs: [freeze("0.1", 1, 0.7), freeze("0.1", 2, 0.8), freeze("0.2", 1, 0.71), freeze("0.2", 2, 0.81)],
      baseline: baseline)
    #expect(swept.entries.map { $0.verdict == nil } == [true, false])
    #expect(isClose(try #require(swept.entries[1].difference), 1, 1e-9))
  }

  @Test("JSON has the numbers, and the published claims where asked for")
  func json() throws {
    let comparison = Comparison(runs: runs([0.1, 0, -0.1]))
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(comparison.json(includingPublished: true).utf8)) as? [String: Any])
    #expect((object["published"] as? [Any])?.count == 3)
    let entries = try #require((object["comparison"] as? [String: Any])?["entries"] as? [[String: Any]])
    #expect(entries.last?["verdict"] as? String == "on par")
    #expect(!(try comparison.json(includingPublished: false)).contains("arXiv"))
    let text = comparison.text(includingPublished: true)
    for part in ["50–70 %", "30–60 %", "20–60 %", "+1.41", "+5.05", "not available"] { #expect(text.contains(part)) }
  }
}
