import Foundation
import Records
import Reporting
import Statistics
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

  private func entry(_ differences: [Double], _ claim: Claim = Claim(test: .equivalence)) throws -> Comparison.Entry {
    try #require(Comparison(runs: runs(differences), claim: SettledClaim(claim)).entries.last)
  }

  @Test("the paired interval is the t interval of the paired differences, and the pooled one of two settings too")
  func interval() throws {
    // Differences 1, 2, 3: mean 2, standard error 1/√3, t(2) = 4.3026527297.
    let entry = try entry([1, 2, 3])
    #expect(isClose(try #require(entry.difference), 2, 1e-9))
    let half = 4.3026527297 / 3.0.squareRoot()
    for interval in [try #require(entry.interval), try #require(entry.pooled).interval] {
      #expect(isClose(interval.lower, 2 - half, 1e-8) && isClose(interval.upper, 2 + half, 1e-8))
    }
    #expect(entry.pooled?.degreesOfFreedom == 2)
    #expect(entry.verdict == .undecided)
    #expect(entry.bootstrapInterval == nil)
    #expect(try self.entry([2.0, 2.1, 1.9]).verdict == .better)
    #expect(try self.entry([-2.0, -2.1, -1.9]).verdict == .worse)
    #expect(try self.entry([0.1, 0, -0.1]).verdict == .onPar)
    #expect(try self.entry([2.0, 2.1, 1.9], Claim(margin: 3, test: .equivalence)).verdict == .onPar)
    #expect(try self.entry([2.0, 2.1, 1.9], Claim(test: .nonInferiority)).verdict == .onParOrBetter)
    #expect(try self.entry([0.1, 0.2, 0, 0.3, -0.1]).bootstrapInterval != nil)
    let half90 = 2.919985580353725 / 3.0.squareRoot()
    let lower = try #require(try self.entry([1, 2, 3], Claim(confidence: 0.9)).interval).lower
    #expect(isClose(lower, 2 - half90, 1e-8))
  }

  @Test("shadow runs are full QAT to the bit: not compared, and no part of the pooled spread")
  func shadows() throws {
    let runs = runs([1, 2, 3])
    let shadows = runs.filter { $0.kind == .fullQAT }.map { run in
      var shadow = run
      shadow.kind = .shadow
      shadow.id = "s" + run.id.dropFirst()
      return shadow
    }
    let comparison = Comparison(runs: runs + shadows)
    let alone = Comparison(runs: runs)
    #expect(comparison.entries.count == alone.entries.count + 1)
    #expect(comparison.entries.compactMap(\.pooled) == alone.entries.compactMap(\.pooled))
    #expect(comparison.entries.count { $0.verdict != nil } == 1)
    #expect(comparison.remarks.contains { $0.hasPrefix("Shadow runs equal full QAT") })
    let only = Comparison(runs: runs.filter { $0.kind != .freeze } + shadows)
    #expect(only.remarks.first == "Nothing to compare: beside full QAT there are only shadow runs.")
  }

  @Test("the spread is pooled over the settings of a family, and rows are judged together")
  func pooled() throws {
    // The freeze-start sweep of results/reference: full QAT, then starts 0, 20, 50 and 80 %.
    let values = [
      "0%": [65.44, 65.56, 65.73], "20%": [65.92, 66.35, 65.68], "50%": [66.33, 65.94, 66.45],
      "80%": [66.5, 66.34, 65.99],
    ]
    var runs = [66.37, 65.75, 66.09].enumerated().map { seed, value in
      SyntheticRuns.fullQAT(bits: 2, seed: seed + 1, topOne: value / 100)
    }
    for (start, values) in values {
      runs += values.enumerated().map { seed, value in
        SyntheticRuns.freeze(
          bits: 2, seed: seed + 1, topOne: value / 100, axes: [AxisSetting(name: "freezing.start", value: start)])
      }
    }
    let comparison = Comparison(runs: runs)
    let rows = comparison.entries.filter { $0.pooled != nil }
    #expect(rows.map(\.axisValue) == ["0%", "20%", "50%", "80%"])
    for row in rows {
      let pooled = try #require(row.pooled)
      #expect(pooled.degreesOfFreedom == 8)
      // The standard error of NumPy's two-way residuals, √(2·0.0865933/3).
      #expect(isClose(pooled.standardError, 0.2402683684734384, 1e-9))
      #expect(isClose(pooled.difference, try #require(row.difference), 1e-9))
      // Four comparisons with 8 degrees of freedom (reference.json of StatisticsTests).
      let half = (pooled.simultaneousInterval.upper - pooled.simultaneousInterval.lower) / 2
      #expect(isClose(half / pooled.standardError, 3.022702150091854, 1e-5))
    }
    #expect(isClose(try #require(rows[1].pooled).interval.lower, -0.6407265, 1e-6))
    let text = comparison.text(includingPublished: false)
    #expect(text.contains("Simultaneous") && text.contains("Holm") && text.contains("8 degrees of freedom"))
    #expect(text.contains("chosen afterwards"))
  }

  @Test("a claim that was written down before training is not called chosen afterwards")
  func origins() {
    func remarks(_ origin: SettledClaim.Origin) -> String {
      Comparison(runs: runs([1, 2]), claim: SettledClaim(Claim(margin: 0.7), origin: origin)).remarks.joined()
    }
    #expect(remarks(.beforeTraining).contains("written down before"))
    #expect(!remarks(.beforeTraining).contains("afterwards"))
    #expect(remarks(.duringTraining(runs: 3)).contains("when 3 of the runs had ended"))
    #expect(remarks(.afterwards).contains("chosen afterwards") && remarks(.afterwards).contains("0.7 points"))
    let settled = SettledClaim(Claim(margin: 0.7), origin: .beforeTraining)
    #expect(settled.replacing(margin: 0.7, confidence: nil, test: nil) == settled)
    #expect(settled.replacing(margin: nil, confidence: 0.9, test: nil).isChosenAfterwards)
  }

  @Test("without spread nothing is certain: intervals are no narrower than a test image")
  func zeroSpread() throws {
    // Full QAT 80 of 100 images, SpQAT 79, with every seed.
    let comparison = Comparison(
      runs: (1...3).flatMap { seed in
        [RunKind.fullQAT, .freeze].map { kind in
          var run =
            kind == .fullQAT
            ? SyntheticRuns.fullQAT(bits: 2, seed: seed, topOne: 0.8)
            : SyntheticRuns.freeze(bits: 2, seed: seed, topOne: 0.79)
          run.epochs = []
          run.outcome.bestTopOne = run.outcome.finalTopOne
          return run
        }
      })
    let entry = try #require(comparison.entries.last)
    for interval in [try #require(entry.interval), try #require(entry.pooled).interval] {
      #expect(interval.upper - interval.lower >= 1)
      #expect(interval.lower < -1 && interval.upper > -1)
    }
    #expect(entry.verdict == .undecided)
  }

  @Test("with one seed nothing is concluded, and the output says so")
  func oneSeed() throws {
    let comparison = Comparison(runs: runs([5]))
    #expect(comparison.entries.last?.verdict == .tooFewSeeds)
    #expect(comparison.entries.last?.interval == nil && comparison.entries.last?.pooled == nil)
    #expect(comparison.text(includingPublished: false).contains("nothing can be concluded"))
    #expect(!Comparison(runs: runs([5, 4])).text(includingPublished: false).contains("nothing can be concluded"))
  }

  @Test("undecided rows say how many seeds would decide")
  func seedsNeeded() throws {
    let comparison = Comparison(runs: runs([-0.6, 0.1, 0.4]))
    #expect(comparison.entries.last?.verdict == .undecided)
    // Around -1/30 the squares are 0.3211 + 0.0178 + 0.1878 = 0.5267, half of which is the variance.
    let needed = try #require(
      PowerAnalysis(claim: Claim(), standardDeviation: 0.513160144028667).seeds(power: 0.8))
    #expect(comparison.remarks.contains { $0.contains("\(needed) seeds show the claim") })
  }

  @Test("what of the variation between full-precision networks is in the intervals is said")
  func parents() {
    #expect(Comparison(runs: runs([1, 2])).remarks.contains { $0.contains("same full-precision network") })
  }

  @Test(
    "runs that start from several networks are pooled, paired by seed and network, and the text says what that holds")
  func severalParents() throws {
    let networks = ["aaaaaaaaaaaa", "bbbbbbbbbbbb"]
    func runs(_ pairs: [(seed: Int, network: Int, difference: Double)]) -> [RunRecord] {
      networks.enumerated().map { SyntheticRuns.fullPrecision(topOne: 0.9, seed: $0 + 1, id: $1) }
        + pairs.flatMap { pair in
          // The second network is three points better.
          let base = 0.8 + 0.03 * Double(pair.network)
          return [
            SyntheticRuns.fullQAT(bits: 2, seed: pair.seed, topOne: base, parent: networks[pair.network]),
            SyntheticRuns.freeze(
              bits: 2, seed: pair.seed, topOne: base + pair.difference / 100, parent: networks[pair.network]),
          ]
        }
    }
    // Seeds 1 and 2 from both networks: four pairs.
    let crossed = Comparison(runs: runs([(1, 0, 1), (2, 0, 2), (1, 1, 3), (2, 1, 4)]))
    #expect(crossed.entries.map(\.bits) == ["32/32", "2/2", "2/2"])
    let entry = try #require(crossed.entries.last)
    #expect(entry.pairs == 4)
    #expect(isClose(try #require(entry.pooled).difference, 2.5, 1e-9))
    // Differences 1, 2, 3, 4: variance 5/3, of their mean 5/12. The networks' own three points are not in it.
    #expect(isClose(try #require(entry.pooled).standardError, (5 / 12.0).squareRoot(), 1e-9))
    #expect(
      crossed.remarks.contains { $0.contains("2 full-precision networks, and runs are paired by network and seed") })
    #expect(!crossed.remarks.contains { $0.contains("same full-precision network") })
    let own = Comparison(runs: runs([(1, 0, 1), (2, 1, 2)]))
    #expect(own.entries.last?.pairs == 2)
    #expect(own.remarks.contains { $0.contains("a full-precision network of its own (2)") })
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
    #expect(precise.entries[1].interval == nil && precise.entries[1].verdict == .tooFewSeeds)
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
    let comparison = Comparison(runs: runs([0.1, 0, -0.1]), claim: SettledClaim(Claim(test: .equivalence)))
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

extension Comparison.Entry {
  /// On the sweep's only axis.
  fileprivate var axisValue: String { axes.last?.value ?? "" }
}
