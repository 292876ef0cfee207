/// What the caller wants after a step.
public enum TrainingDirective: Sendable {
  case proceed
  case stop
}

/// How a call of `TrainingSession.train` ended.
public enum TrainingResult: Sendable, Equatable {
  case finished
  /// The caller asked to stop; the session can be checkpointed and continued.
  case stopped
  /// A number was not finite in this step or at the epoch's end after it; nothing later was computed. The session's
  /// outcome says which.
  case diverged(step: Int)
}

/// Where training stands after a step.
public struct StepReport: Sendable {
  /// Steps done (1-based) of `totalSteps`.
  public var step: Int
  /// Steps of the whole run.
  public var totalSteps: Int
  /// 1-based.
  public var epoch: Int
  /// Epochs of the whole run, a last one that `totalSteps` cuts short included.
  public var epochs: Int
  /// Mean cross-entropy (nats) of this step's batch.
  public var loss: Double
  /// Running top-1 accuracy in [0, 1] over the epoch so far, on training batches.
  public var epochTopOne: Double
  /// Frozen / freezable weights.
  public var frozenShare: Double
  /// Images a second over the last steps.
  public var imagesPerSecond: Double
  /// True right after the epoch's evaluation: `epochs.last` of the session is new.
  public var finishedEpoch: Bool
}
