import Foundation
import Records

/// Runs with six weights in two layers and records of their levels, counted by hand in `ObservationTests`.
enum SyntheticObservations {
  static let layers = [(4, "conv1"), (2, "conv2")].map { count, name in
    LayerDescription(
      name: name, kind: .convolution, weights: count, freezableWeights: count, weightBits: 2, activationBits: 2,
      forwardMACs: 10, inputGradientMACs: 10, weightGradientMACs: 10, sparseThreshold: nil)
  }

  /// Ten steps, looked at in steps 1, 4, 7 and 10.
  static func record(
    levels: [[UInt8]], settling: [Int32], decisions: (steps: [Int32], levels: [UInt8])? = nil
  ) -> ObservationRecord {
    var counts: [Int32] = []
    for moment in [0, 2, 3] {
      for (first, end) in [(0, 4), (4, 6)] {
        var layer = [Int32](repeating: 0, count: DistanceBins.count * 4)
        for weight in first..<end {
          let isFrozen =
            decisions.map { $0.steps[weight] > 0 && Int($0.steps[weight]) <= [1, 4, 7, 10][moment] } ?? false
          let ends = levels[weight][moment] == levels[weight][3]
          layer[(ends ? 10 : 20 + weight) * 4 + (isFrozen ? 2 : 0) + (ends ? 1 : 0)] += 1
        }
        counts += layer
      }
    }
    let distances = DistanceHistograms(steps: [1, 7, 10], counts: counts)
    var bins = [Int32](repeating: 0, count: 2 * DistanceBins.count)
    for (weight, step) in (decisions?.steps ?? []).enumerated() where step > 0 {
      bins[(weight < 4 ? 0 : DistanceBins.count) + 5] += 1
    }
    return ObservationRecord(
      moments: [1, 4, 7, 10], levels: levels.flatMap(\.self), settlingSteps: settling,
      levelChanges: settling.map { $0 > 0 ? 1 : 0 },
      decisions: decisions.map { .init(steps: $0.steps, levels: $0.levels, distances: bins) }, distances: distances,
      meanDistances: decisions == nil ? nil : distances)
  }

  static let fullQAT = record(
    levels: [[1, 0, 0, 0], [0, 0, 2, 2], [0, 0, 0, 1], [0, 0, 0, 0], [2, 2, 2, 2], [1, 1, 1, 1]],
    settling: [2, 6, 9, 0, 3, 0])

  static let freezing = record(
    levels: [[1, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 1], [1, 1, 0, 0], [0, 0, 2, 2], [1, 1, 0, 1]],
    settling: [2, 0, 3, 6, 5, 9], decisions: ([2, 4, 5, 0, 10, 0], [0, 1, 1, 0, 2, 0]))

  /// Another seed of full QAT: four of six weights end with the same level.
  static let otherSeed = record(
    levels: [[0, 0, 0, 0], [2, 2, 2, 2], [0, 0, 0, 0], [0, 0, 0, 1], [2, 2, 2, 2], [1, 1, 1, 1]],
    settling: [0, 0, 0, 9, 0, 0])

  /// Full QAT and freezing with seed 1, full QAT with seed 2, freezing with seed 3 whose full QAT is missing.
  static let runs: [RunRecord] = {
    let full = SyntheticRuns.fullQAT(bits: 2, seed: 1, topOne: 0.8)
    let other = SyntheticRuns.fullQAT(bits: 2, seed: 2, topOne: 0.8)
    let frozen = SyntheticRuns.freeze(bits: 2, seed: 1, topOne: 0.79)
    let unpaired = SyntheticRuns.freeze(bits: 2, seed: 3, topOne: 0.79)
    return [(full, fullQAT), (other, otherSeed), (frozen, freezing), (unpaired, freezing)].map { run, record in
      var run = run
      run.layers = layers
      run.layerEpochs = []
      run.observation = record
      return run
    } + [SyntheticRuns.fullPrecision()]
  }()
}
