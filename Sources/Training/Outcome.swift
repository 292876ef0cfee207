import Datasets
import Kernels
import Networks
import Quantization
public import Records
import Tensor

extension TrainingSession {
  /// What each convolution and linear layer holds and costs.
  public var layers: [LayerDescription] {
    network.convolutions.map { layer in
      LayerDescription(
        name: layer.name, kind: layer.kind == .linear ? .linear : .convolution, weights: layer.weight.count,
        freezableWeights: layer.freezing?.count ?? 0, weightBits: layer.weightQuantizer?.bits,
        activationBits: layer.activationQuantizer?.bits, forwardMACs: layer.shape.macs,
        inputGradientMACs: layer.isFirst ? 0 : layer.shape.macs, weightGradientMACs: layer.shape.macs,
        sparseThreshold: layer.freezing == nil ? nil : layer.sparseThreshold)
    }
  }

  /// The outcome so far: finished, diverged, or running.
  public var outcome: RunOutcome {
    var outcome = RunOutcome()
    outcome.status = isDiverged ? .diverged : step == spec.totalSteps ? .finished : .running
    outcome.message = divergence
    if outcome.status == .finished, let last = epochs.last {
      outcome.finalTopOne = last.testTopOne
      outcome.finalTopFive = last.testTopFive
      outcome.finalTestLoss = last.testLoss
    }
    if !isDiverged, let best = epochs.max(by: { ($0.testTopOne ?? 0) < ($1.testTopOne ?? 0) }) {
      outcome.bestTopOne = best.testTopOne
      outcome.bestEpoch = best.epoch
    }
    if let policy = learner.freezing, !policy.spec.isShadow {
      outcome.weightUpdatesEliminated = Savings.weightUpdatesEliminated(
        layers: layers, frozenWeightSteps: freezing.frozenWeightSteps.array, steps: step)
      outcome.backwardFLOPsEliminated = Savings.backwardFLOPsEliminated(
        layers: layers, frozenWeightSteps: freezing.frozenWeightSteps.array, steps: step)
    }
    let allSeconds = epochs.map(\.seconds) + [seconds.sums.seconds]
    outcome.totalSeconds = allSeconds.reduce(0) { $0 + $1.total }
    outcome.backwardSeconds = allSeconds.reduce(0) { $0 + $1.inputGradient + $1.weightGradient }
    outcome.steps = step
    outcome.images = epochs.reduce(accuracy.sums.images) { $0 + $1.images }
    // The last batch of an epoch alone may be smaller.
    let (full, rest) = step.quotientAndRemainder(dividingBy: batchesPerEpoch)
    let skipped = full * training.imageCount + rest * spec.batchSize - outcome.images
    outcome.skippedImages = skipped > 0 && !isDiverged ? skipped : nil
    outcome.skippedTestImages = skippedTestImages > 0 ? skippedTestImages : nil
    return outcome
  }
}
