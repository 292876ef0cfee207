import Networks
import Records
import Tensor

/// A training step that was taken.
struct TrainingStep {
  /// 1-based over the whole run.
  var number: Int
  /// 0-based.
  var epoch: Int
  /// Images in its batch.
  var images: Int
  /// Mean cross-entropy of its batch, nats.
  var loss: Double
  /// Images of its batch that were classified correctly.
  var topOne: Int
  /// Wall-clock seconds, from asking for the batch on.
  var seconds: Double
  /// That this process sent to others.
  var bytesSent: Int
  /// Whether it is the last of its epoch or of the run.
  var endsEpoch: Bool
}

/// The records of an epoch that ends; every observer fills in its own fields.
struct EpochRecords {
  /// Steps that the epoch took.
  let steps: Int
  var epoch: EpochRecord
  /// One for each convolution and linear layer.
  var layers: [LayerEpochRecord]
}

/// Records something of a run while it trains. A new kind of record is a file with one of these, and its place in the
/// list that `TrainingSession` starts with.
protocol TrainingObserver: AnyObject {
  associatedtype Sums: Codable
  /// What was summed up since the epoch began. Part of checkpoints; the names of its members are its own.
  var sums: Sums { get set }
  /// What is kept beyond an epoch and too large for text. Part of checkpoints, as datasets of these names.
  var state: [(name: String, values: StateValues)] { get }

  func willBeginEpoch(_ learner: Learner)
  /// After each update.
  func didStep(_ step: TrainingStep, _ learner: Learner)
  /// Fills in `records` and sets `sums` back. Not called for an epoch in which the run diverged.
  func didFinishEpoch(_ records: inout EpochRecords, _ learner: Learner)
  /// Whether `sums` and `state`, which a checkpoint has brought, can be those of the learner at its step. Nothing else
  /// stands between a file that was edited and sums that overflow or lists that are too short.
  /// - Parameter isMidEpoch: whether the next step goes on with an epoch that has begun.
  func isPlausible(_ learner: Learner, isMidEpoch: Bool) -> Bool
}

/// Of observers that sum nothing up.
struct NoSums: Codable {}

extension TrainingObserver {
  var state: [(name: String, values: StateValues)] { [] }
  func willBeginEpoch(_ learner: Learner) {}
  func didStep(_ step: TrainingStep, _ learner: Learner) {}
}

extension TrainingObserver where Sums == NoSums {
  func isPlausible(_ learner: Learner, isMidEpoch: Bool) -> Bool { true }
}

extension Learner {
  /// Whether a list that observers begin anew with each epoch has an element for each convolution and linear layer.
  func hasLayers(_ count: Int, isMidEpoch: Bool) -> Bool {
    count == network.convolutions.count || !isMidEpoch && count == 0
  }
}
