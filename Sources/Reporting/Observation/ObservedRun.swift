import LotteryTicket
import Records

/// What the recorded levels of one run say, reduced to what tables and figures show.
struct ObservedRun: Sendable {
  /// Shares of weights at a step; all in [0, 1].
  struct Shares: Sendable {
    /// A training forward, from 1.
    let step: Int
    /// step / all steps.
    let progress: Double
    /// S(t).
    let settled: Double
    /// Frozen, or in a shadow run what would have been; nil where no criterion decides.
    let decided: Double?
    /// R(t); nil between the recorded moments, as `chance`.
    let reached: Double?
    /// C(t).
    let chance: Double?
  }

  /// Shares of weights by bin of D/u, up to one spacing.
  struct Distances: Sendable {
    /// In the run's first step.
    let start: [Double]
    /// Of the decided weights, in the step of the decision; nil where none was decided upon.
    let decision: [Double]?
    /// In the run's last step.
    let end: [Double]
  }

  /// Without its recorded levels.
  let run: RunRecord
  /// Of all weights that may freeze.
  let shares: [Shares]
  /// The same for each layer that has some, from the input.
  let layers: [(layer: String, shares: [Shares])]
  /// How D̄ (D, where no criterion keeps an average) tells ending weights from others, by step. In a run that freezes these are
  /// the weights that had not frozen by then; the others cannot leave their level.
  let discriminations: [(step: Int, discrimination: Discrimination)]
  let distances: Distances
  /// By the full QAT of the same seed and parent; a shadow run by itself. nil where that is missing, or nothing was decided.
  let identification: Identification?

  /// - Parameter reference: of full QAT with the same seed and parent, and as many weights.
  init(_ run: RunRecord, _ record: ObservationRecord, reference: ObservationRecord?) {
    self.run = run
    let total = record.moments.last ?? 0
    let steps = Set(record.moments + (1...40).map { max(1, total * $0 / 40) }).sorted()
    func shares(_ range: Range<Int>, _ tally: LevelTally) -> [Shares] {
      let settled = settledShares(record.settlingSteps[range], at: steps) ?? []
      let decided = record.decisions.flatMap { decidedShares($0.steps[range], at: steps) }
      return settled.indices.map { index in
        let moment = record.moments.firstIndex(of: steps[index])
        return Shares(
          step: steps[index], progress: Double(steps[index]) / Double(total), settled: settled[index],
          decided: decided?[index], reached: moment.flatMap(tally.reachedShare), chance: moment.flatMap(tally.chance))
      }
    }
    var whole = LevelTally(moments: record.moments.count)
    layers = run.freezableRanges.map { layer, range in
      let count = record.moments.count
      let tally = LevelTally(
        record.levels[range.lowerBound * count..<range.upperBound * count], moments: count)
      whole += tally
      return (layer, shares(range, tally))
    }
    self.shares = shares(0..<record.weights, whole)
    let histograms = record.meanDistances ?? record.distances
    let isFree = run.kind.trainsEveryWeight
    discriminations = histograms.steps.enumerated().map { moment, step in
      (step, Discrimination(histograms, moment: moment, includingDecided: isFree))
    }
    let last = max(0, record.distances.steps.count - 1)
    distances = Distances(
      start: Self.distribution(record.distances, moment: 0),
      decision: record.decisions.flatMap { Self.distribution($0.distances.map(Int.init)) },
      end: Self.distribution(record.distances, moment: last))
    identification = reference.flatMap { Identification(record, reference: $0) }
  }

  /// The mean area under the ROC curve over the recorded steps but the first, where averages have only begun, and the last, where
  /// every weight has its final level.
  var areaUnderCurve: Double? {
    let areas = discriminations.dropFirst().dropLast().compactMap(\.discrimination.areaUnderCurve)
    return areas.isEmpty ? nil : areas.reduce(0, +) / Double(areas.count)
  }

  /// S at the last of the given steps that is not after this share of the run.
  func settled(at progress: Double) -> Double? { shares.last { $0.progress <= progress + 1e-9 }?.settled }

  /// The recorded moment nearest to the middle of the run, its ends apart.
  var middle: Shares? {
    shares.filter { $0.reached != nil && $0.step > 1 && $0.progress < 1 }.min {
      abs($0.progress - 0.5) < abs($1.progress - 0.5)
    }
  }

  private static func distribution(_ histograms: DistanceHistograms, moment: Int) -> [Double] {
    guard !histograms.steps.isEmpty else { return [] }
    let size = histograms.counts.count / histograms.steps.count
    var bins = [Int](repeating: 0, count: DistanceBins.count)
    for (offset, count) in histograms.counts[moment * size..<(moment + 1) * size].enumerated() {
      bins[offset / 4 % DistanceBins.count] += Int(count)
    }
    return distribution(bins) ?? []
  }

  /// - Parameter counts: of layers one after another, a row of bins each.
  private static func distribution(_ counts: [Int]) -> [Double]? {
    var bins = [Int](repeating: 0, count: DistanceBins.count)
    for (offset, count) in counts.enumerated() { bins[offset % DistanceBins.count] += count }
    let all = bins.reduce(0, +)
    guard all > 0 else { return nil }
    return bins.map { Double($0) / Double(all) }
  }
}

extension RunKind {
  /// Full QAT, and a shadow run, whose weights train the same to the bit.
  var trainsEveryWeight: Bool { self == .fullQAT || self == .shadow }
}
