import Kernels
import Networks
import Quantization
import Records
import Tensor

/// How the weights of a quantized run come to their levels: what an `ObservationRecord` is made of.
///
/// The layers' own history says when levels changed and what the criterion decided. Here levels and distances of all freezable
/// weights are kept at some steps, moments outermost, in this project's layout, until it is known which levels are final.
final class ObservationSeries: TrainingObserver {
  var sums = NoSums()
  /// Steps whose levels are kept.
  let moments: [Int]
  /// Steps whose distances are kept, among the moments.
  let distanceSteps: [Int]
  /// Freezable weights.
  private let weights: Int
  private let levels: Buffer<UInt8>
  /// Bins of D/u.
  private let distances: Buffer<UInt8>
  /// Bins of D̄/u; empty where no criterion decides.
  private let meanDistances: Buffer<UInt8>

  /// - Parameter decides: whether a criterion decides over freezing.
  init(weights: Int, stepsPerEpoch: Int, totalSteps: Int, decides: Bool) {
    self.weights = weights
    moments = ObservationRecord.moments(stepsPerEpoch: stepsPerEpoch, totalSteps: totalSteps)
    distanceSteps = ObservationRecord.distanceSteps(among: moments)
    levels = Buffer(count: moments.count * weights)
    distances = Buffer(count: distanceSteps.count * weights)
    meanDistances = Buffer(count: decides ? distanceSteps.count * weights : 0)
  }

  var state: [(name: String, values: StateValues)] {
    guard weights > 0 else { return [] }
    let kept = [("levels", levels), ("distances", distances), ("mean_distances", meanDistances)]
    return kept.filter { $0.1.count > 0 }.map { ("observation/\($0.0)", .bytes($0.1)) }
  }

  func didStep(_ step: TrainingStep, _ learner: Learner) {
    guard weights > 0, let moment = moments.firstIndex(of: step.number) else { return }
    let distanceMoment = distanceSteps.firstIndex(of: step.number)
    // Where a recipe's first forward keeps no average, the distance itself stands for it.
    let averages = learner.freezing.map { $0.clock.rule(forward: step.number) != .recordLevels } ?? false
    var begin = 0
    for (freezing, quantizer) in learner.network.freezableLayers {
      let lowest = Int(quantizer.grid.lowest)
      for index in 0..<freezing.count {
        levels[moment * weights + begin + index] = UInt8(Int(freezing.previousIndex[index]) - lowest)
      }
      if let distanceMoment {
        let first = distanceMoment * weights + begin
        for index in 0..<freezing.count {
          let distance = freezing.history.distance[index] / quantizer.spacing
          distances[first + index] = UInt8(DistanceBins.bin(of: distance))
          guard meanDistances.count > 0 else { continue }
          let mean = averages ? freezing.distance[index] / quantizer.spacing : distance
          meanDistances[first + index] = UInt8(DistanceBins.bin(of: mean))
        }
      }
      begin += freezing.count
    }
  }

  func didFinishEpoch(_ records: inout EpochRecords, _ learner: Learner) {}

  /// Of the recorded steps among these, none of which is still to come.
  func distances(in range: ClosedRange<Int>, of learner: Learner) -> [WeightDistances] {
    guard weights > 0 else { return [] }
    let freezingSteps = learner.network.freezableLayers.flatMap(\.freezing.history.freezingStep.array)
    return distanceSteps.enumerated().filter { range.contains($0.element) }.map { number, step in
      var counts = WeightDistances(step: step)
      for (weight, froze) in freezingSteps.enumerated() {
        counts.add(bin: Int(distances[number * weights + weight]), frozen: froze > 0 && froze <= step)
      }
      return counts
    }
  }

  /// After the last step; nil where no weight may freeze.
  func record(of learner: Learner) -> ObservationRecord? {
    guard weights > 0 else { return nil }
    let layers = learner.network.freezableLayers
    let places = self.places(in: learner.network)
    func flat<Element>(_ values: (FreezingState) -> Buffer<Element>) -> [Element] {
      let all = layers.flatMap { values($0.freezing).array }
      return places.map { all[$0] }
    }
    let lowest = layers.flatMap { [Int16](repeating: Int16($0.quantizer.grid.lowest), count: $0.freezing.count) }
    let freezingSteps = flat(\.history.freezingStep)
    var decisions: ObservationRecord.Decisions?
    if learner.freezing != nil {
      let indices = flat(\.history.freezingIndex)
      var bins = [Int32](repeating: 0, count: layers.count * DistanceBins.count)
      for (layer, (freezing, quantizer)) in layers.enumerated() {
        for index in 0..<freezing.count where freezing.history.freezingStep[index] > 0 {
          let distance = freezing.history.freezingDistance[index] / quantizer.spacing
          bins[layer * DistanceBins.count + DistanceBins.bin(of: distance)] += 1
        }
      }
      decisions = ObservationRecord.Decisions(
        steps: freezingSteps,
        levels: places.indices.map { weight in
          freezingSteps[weight] == 0 ? 0 : UInt8(indices[weight] - lowest[places[weight]])
        }, distances: bins)
    }
    return ObservationRecord(
      moments: moments,
      levels: places.flatMap { place in moments.indices.map { levels[$0 * weights + place] } },
      settlingSteps: flat(\.history.settlingStep), levelChanges: flat(\.history.levelChanges), decisions: decisions,
      distances: histograms(distances, layers.map(\.freezing)),
      meanDistances: learner.freezing == nil ? nil : histograms(meanDistances, layers.map(\.freezing)))
  }

  private func histograms(_ bins: Buffer<UInt8>, _ layers: [FreezingState]) -> DistanceHistograms {
    var counts = [Int32](repeating: 0, count: distanceSteps.count * layers.count * DistanceBins.count * 4)
    let last = (moments.count - 1) * weights
    for (number, step) in distanceSteps.enumerated() {
      let moment = moments.firstIndex(of: step)! * weights
      var begin = 0
      for (layer, freezing) in layers.enumerated() {
        let row = (number * layers.count + layer) * DistanceBins.count
        for index in 0..<freezing.count {
          let weight = begin + index
          let froze = freezing.history.freezingStep[index]
          let isFrozen = froze > 0 && froze <= step
          let isFinal = levels[moment + weight] == levels[last + weight]
          counts[(row + Int(bins[number * weights + weight])) * 4 + (isFrozen ? 2 : 0) + (isFinal ? 1 : 0)] += 1
        }
        begin += freezing.count
      }
    }
    return DistanceHistograms(steps: distanceSteps, counts: counts)
  }

  /// Where each weight lies here, in the order of files.
  private func places(in network: Network) -> [Int] {
    var places: [Int] = []
    for layer in network.convolutions {
      guard let freezing = layer.freezing else { continue }
      let begin = places.count
      places += PyTorchLayout.export(Buffer(Array(begin..<begin + freezing.count)), shape: layer.weight.shape)
    }
    return places
  }
}

extension Network {
  /// The state and the quantizer of each layer whose weights may freeze.
  fileprivate var freezableLayers: [(freezing: FreezingState, quantizer: any WeightQuantizer)] {
    convolutions.compactMap { layer in
      guard let freezing = layer.freezing, let quantizer = layer.weightQuantizer else { return nil }
      return (freezing, quantizer)
    }
  }
}
