import Networks
import Quantization
import Records
import Tensor

/// How much is frozen, and how often the levels of frozen weights move.
final class FreezingSeries: TrainingObserver {
  struct Sums: Codable {
    var frozenShare = 0.0
    var layerFrozenShare: [Double] = []
    var levelMovesBefore = 0
  }

  var sums = Sums()
  /// Frozen weights summed over the steps done, by layer.
  let frozenWeightSteps: Buffer<Int>

  init(layers: Int) { frozenWeightSteps = Buffer(count: layers) }

  var state: [(name: String, values: StateValues)] { [("frozen_weight_steps", .integers(frozenWeightSteps))] }

  func willBeginEpoch(_ learner: Learner) {
    sums.layerFrozenShare = [Double](repeating: 0, count: learner.network.convolutions.count)
    sums.levelMovesBefore = learner.network.levelMoves
  }

  func didStep(_ step: TrainingStep, _ learner: Learner) {
    sums.frozenShare += learner.network.frozenShare
    for (index, layer) in learner.network.convolutions.enumerated() {
      guard let freezing = layer.freezing else { continue }
      frozenWeightSteps[index] += freezing.frozenCount
      sums.layerFrozenShare[index] += freezing.frozenShare
    }
  }

  func didFinishEpoch(_ records: inout EpochRecords, _ learner: Learner) {
    records.epoch.threshold = learner.freezing?.threshold(forward: learner.step)
    records.epoch.frozenShare = learner.network.frozenShare
    records.epoch.meanFrozenShare = sums.frozenShare / Double(records.steps)
    records.epoch.levelMoves = learner.network.levelMoves - sums.levelMovesBefore
    for (index, layer) in learner.network.convolutions.enumerated() {
      records.layers[index].frozen = layer.freezing?.frozenCount ?? 0
      records.layers[index].meanFrozenShare = sums.layerFrozenShare[index] / Double(records.steps)
    }
    sums = Sums()
  }

  func isPlausible(_ learner: Learner, isMidEpoch: Bool) -> Bool {
    let shares = 0...Double(learner.step)
    for (index, layer) in learner.network.convolutions.enumerated() {
      let weightSteps = 0...learner.step * (layer.freezing?.count ?? 0)
      guard weightSteps.contains(frozenWeightSteps[index]), weightSteps.contains(layer.freezing?.levelMoves ?? 0) else {
        return false
      }
    }
    return learner.hasLayers(sums.layerFrozenShare.count, isMidEpoch: isMidEpoch)
      && sums.layerFrozenShare.allSatisfy(shares.contains) && shares.contains(sums.frozenShare)
      && (0...learner.network.levelMoves).contains(sums.levelMovesBefore)
  }
}

extension Network {
  /// Frozen / freezable weights; 0 where none may freeze.
  var frozenShare: Double { freezableWeights == 0 ? 0 : Double(frozenWeights) / Double(freezableWeights) }
}
