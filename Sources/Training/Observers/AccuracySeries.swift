import Networks
import Records

/// Loss and accuracy on the training batches.
final class AccuracySeries: TrainingObserver {
  struct Sums: Codable {
    var loss = 0.0
    var topOne = 0
    var images = 0
  }

  var sums = Sums()

  /// Top-1 accuracy of the epoch so far, a share in [0, 1].
  var topOne: Double { Double(sums.topOne) / Double(sums.images) }

  func didStep(_ step: TrainingStep, _ learner: Learner) {
    sums.loss += step.loss * Double(step.images)
    sums.topOne += step.topOne
    sums.images += step.images
  }

  func didFinishEpoch(_ records: inout EpochRecords, _ learner: Learner) {
    records.epoch.trainLoss = sums.loss / Double(sums.images)
    records.epoch.trainTopOne = topOne
    records.epoch.images = sums.images
    sums = Sums()
  }

  func isPlausible(_ learner: Learner, isMidEpoch: Bool) -> Bool {
    sums.loss.isFinite && (0...learner.step * learner.network.batch).contains(sums.images)
      && (0...sums.images).contains(sums.topOne) && (sums.images > 0 || !isMidEpoch)
  }
}
