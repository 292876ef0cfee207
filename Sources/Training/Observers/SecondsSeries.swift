import Kernels
import Networks
import Records

/// Where the time goes, by part of a step and by layer, and what is sent to other processes.
final class SecondsSeries: TrainingObserver {
  struct Sums: Codable {
    var seconds = EpochRecord.Seconds()
    /// Forward, input gradient, weight gradient by layer.
    var layerSeconds: [[Double]] = []
    /// By this process, of several; nil: nothing.
    var bytesSent: Int?
  }

  var sums = Sums()
  /// Images a second over the last steps, 0 before the first.
  private(set) var imagesPerSecond = 0.0

  func willBeginEpoch(_ learner: Learner) {
    sums.layerSeconds = learner.network.convolutions.map { _ in [0, 0, 0] }
  }

  func didStep(_ step: TrainingStep, _ learner: Learner) {
    let parts = learner.network.backend.seconds
    sums.seconds.total += step.seconds
    sums.seconds.forward += parts[StepPart.forward.rawValue]
    sums.seconds.inputGradient += parts[StepPart.inputGradient.rawValue]
    sums.seconds.weightGradient += parts[StepPart.weightGradient.rawValue]
    sums.seconds.normalizationAndQuantization += parts[StepPart.normalizationAndQuantization.rawValue]
    sums.seconds.optimizer += parts[StepPart.optimizer.rawValue]
    sums.seconds.data += parts[StepPart.data.rawValue]
    for (index, layer) in learner.network.convolutions.enumerated() {
      sums.layerSeconds[index][0] += layer.forwardSeconds
      sums.layerSeconds[index][1] += layer.inputGradientSeconds
      sums.layerSeconds[index][2] += layer.weightGradientSeconds
    }
    if step.bytesSent > 0 { sums.bytesSent = (sums.bytesSent ?? 0) + step.bytesSent }
    let rate = Double(step.images) / step.seconds
    imagesPerSecond = imagesPerSecond == 0 ? rate : 0.95 * imagesPerSecond + 0.05 * rate
  }

  /// Counts the evaluation at an epoch's end.
  func add(evaluation seconds: Double) {
    sums.seconds.evaluation += seconds
    sums.seconds.total += seconds
  }

  func didFinishEpoch(_ records: inout EpochRecords, _ learner: Learner) {
    records.epoch.seconds = sums.seconds
    records.epoch.bytesSent = sums.bytesSent
    for index in records.layers.indices {
      records.layers[index].secondsForward = sums.layerSeconds[index][0]
      records.layers[index].secondsInputGradient = sums.layerSeconds[index][1]
      records.layers[index].secondsWeightGradient = sums.layerSeconds[index][2]
    }
    sums = Sums()
  }

  func isPlausible(_ learner: Learner, isMidEpoch: Bool) -> Bool {
    learner.hasLayers(sums.layerSeconds.count, isMidEpoch: isMidEpoch)
      && sums.layerSeconds.allSatisfy { $0.count == 3 && $0.allSatisfy { $0.isFinite && $0 >= 0 } }
  }
}
