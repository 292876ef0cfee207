/// How far a run has come and how it ended.
public struct RunOutcome: Codable, Equatable, Sendable {
  /// How far it has come.
  public enum Status: String, Codable, Sendable, CaseIterable {
    case running
    case finished
    /// The loss or a parameter became NaN or infinite; the message says which.
    case diverged
  }

  /// How far it has come.
  public var status: Status = .running
  /// Why it diverged.
  public var message: String?
  /// Test accuracies, shares in [0, 1], after the last epoch: the result of the run.
  public var finalTopOne: Double?
  /// Share of test images whose class is among the first five.
  public var finalTopFive: Double?
  /// Mean cross-entropy over the test images, nats.
  public var finalTestLoss: Double?
  /// The best test accuracy and its epoch: chosen on test data, so not a result.
  public var bestTopOne: Double?
  /// The epoch of `bestTopOne`, from 1.
  public var bestEpoch: Int?
  /// Frozen / freezable weights, mean over all training steps; nil where no weight may freeze.
  public var weightUpdatesEliminated: Double?
  /// The share of the backward pass's multiply-accumulates that frozen weights save; nil where no weight may freeze.
  public var backwardFLOPsEliminated: Double?
  /// Wall-clock seconds of the run, over all its sessions.
  public var totalSeconds: Double = 0
  /// Seconds of input and weight gradients of convolution and linear layers.
  public var backwardSeconds: Double = 0
  /// Training steps done.
  public var steps: Int = 0
  /// Training images seen.
  public var images: Int = 0
  /// How often a training image was left out because its picture is corrupt; nil where none was.
  public var skippedImages: Int?
  /// Test images left out of the last evaluation for that reason; nil where none was.
  public var skippedTestImages: Int?

  /// A run that has just begun.
  public init() {}
}

extension RunOutcome: Storable {
  static var blank: RunOutcome { RunOutcome() }

  static let fields: [Field<RunOutcome>] = [
    Field("status", "running, finished or diverged", .choice(\.status)),
    Field("message", "Why the run diverged", .optionalText(\.message)),
    .share("final_top1", "Test accuracy after the last epoch", .optionalReal(\.finalTopOne)),
    .share("final_top5", "Test top-5 accuracy after the last epoch", .optionalReal(\.finalTopFive)),
    Field("final_test_loss", unit: "nats", "Test loss after the last epoch", .optionalReal(\.finalTestLoss)),
    .share("best_top1", "Best test accuracy, chosen on test data", .optionalReal(\.bestTopOne)),
    Field("best_epoch", "Its epoch", .optionalInteger(\.bestEpoch)),
    .share(
      "weight_updates_eliminated", "Frozen / freezable weights, mean over all steps",
      .optionalReal(\.weightUpdatesEliminated)),
    .share(
      "backward_flops_eliminated", "Share of the backward pass's multiply-accumulates saved",
      .optionalReal(\.backwardFLOPsEliminated)),
    .seconds("total_seconds", "Wall-clock time of the run", .real(\.totalSeconds)),
    .seconds("backward_seconds", "Time of input and weight gradients", .real(\.backwardSeconds)),
    Field("steps", "Training steps", .integer(\.steps)),
    Field("images", "Training images seen", .integer(\.images)),
    Field("skipped_images", "Times that a corrupt training image was left out", .optionalInteger(\.skippedImages)),
    Field("skipped_test_images", "Corrupt test images left out at the end", .optionalInteger(\.skippedTestImages)),
  ]
}
