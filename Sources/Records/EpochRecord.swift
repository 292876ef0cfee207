/// One epoch of training.
public struct EpochRecord: Codable, Equatable, Sendable {
  /// Wall-clock seconds of the epoch and of its parts. The parts of a step run one after another, so they add up to less than
  /// the total.
  public struct Seconds: Codable, Equatable, Sendable {
    /// The whole epoch, evaluation included.
    public var total: Double = 0
    /// Forward passes of convolution and linear layers.
    public var forward: Double = 0
    /// Gradients of the inputs of these layers.
    public var inputGradient: Double = 0
    /// Gradients of their weights.
    public var weightGradient: Double = 0
    /// Batch norm, quantizers and what else lies between layers.
    public var normalizationAndQuantization: Double = 0
    /// Updates of the parameters.
    public var optimizer: Double = 0
    /// Waiting for batches.
    public var data: Double = 0
    /// Evaluation on the test images.
    public var evaluation: Double = 0

    /// All of them 0.
    public init() {}
  }

  /// 1-based.
  public var epoch: Int
  /// Training steps done at the end of the epoch.
  public var step: Int
  /// Mean cross-entropy over the training images, nats.
  public var trainLoss: Double = .nan
  /// Accuracies are shares in [0, 1].
  public var trainTopOne: Double = .nan
  /// Mean cross-entropy over the test images, nats; nil where the epoch was not evaluated, as the two accuracies.
  public var testLoss: Double?
  /// Share of test images whose first class is right.
  public var testTopOne: Double?
  /// Share of test images whose class is among the first five.
  public var testTopFive: Double?
  /// Of the weights, in the epoch's last step.
  public var learningRate: Double = .nan
  /// λ in the epoch's last step; nil where nothing can freeze.
  public var threshold: Double?
  /// Frozen / freezable weights after the epoch's last step.
  public var frozenShare: Double = 0
  /// The mean of that share over the epoch's steps.
  public var meanFrozenShare: Double = 0
  /// How often the level of a frozen weight moved in this epoch (recipe `lts`).
  public var levelMoves: Int = 0
  /// Training images.
  public var images: Int = 0
  /// What each of the processes that train together sent to others in the epoch's training steps; nil where one trains alone.
  public var bytesSent: Int?
  /// Where the time went.
  public var seconds = Seconds()

  /// An epoch of which nothing else is known yet.
  public init(epoch: Int, step: Int) {
    self.epoch = epoch
    self.step = step
  }
}

extension EpochRecord: Storable {
  static var blank: EpochRecord { EpochRecord(epoch: 0, step: 0) }

  static let fields: [Field<EpochRecord>] = [
    Field("epoch", "Epoch, from 1", .integer(\.epoch)),
    Field("step", "Training steps done at the end of the epoch", .integer(\.step)),
    Field("train_loss", unit: "nats", "Mean cross-entropy over the training images", .real(\.trainLoss)),
    .share("train_top1", "Share of training images classified correctly", .real(\.trainTopOne)),
    Field("test_loss", unit: "nats", "Mean cross-entropy over the test images", .optionalReal(\.testLoss)),
    .share("test_top1", "Share of test images classified correctly", .optionalReal(\.testTopOne)),
    .share("test_top5", "Share of test images whose class is among the first five", .optionalReal(\.testTopFive)),
    Field("learning_rate", "Learning rate of the weights in the last step", .real(\.learningRate)),
    Field("threshold", "Freezing threshold, in spacings of a level, in the last step", .optionalReal(\.threshold)),
    .share("frozen_share", "Frozen / freezable weights after the last step", .real(\.frozenShare)),
    .share("mean_frozen_share", "Frozen / freezable weights, mean over the steps", .real(\.meanFrozenShare)),
    Field("level_moves", "Times that the level of a frozen weight moved", .integer(\.levelMoves)),
    Field("images", "Training images", .integer(\.images)),
    Field(
      "bytes_sent", unit: "B", "What each process sent to others in the steps, 0 for one alone",
      .optionalInteger(\.bytesSent), mayBeAbsent: true),
    .seconds("seconds", "Wall-clock time of the epoch", .real(\.seconds.total)),
    .seconds("seconds_forward", "Forward passes of convolution and linear layers", .real(\.seconds.forward)),
    .seconds("seconds_input_gradient", "Gradients of their inputs", .real(\.seconds.inputGradient)),
    .seconds("seconds_weight_gradient", "Gradients of their weights", .real(\.seconds.weightGradient)),
    .seconds(
      "seconds_normalization_and_quantization", "Batch norm, quantizers and what else lies between layers",
      .real(\.seconds.normalizationAndQuantization)),
    .seconds("seconds_optimizer", "Updates of the parameters", .real(\.seconds.optimizer)),
    .seconds("seconds_data", "Waiting for batches", .real(\.seconds.data)),
    .seconds("seconds_evaluation", "Evaluation on the test images", .real(\.seconds.evaluation)),
  ]
}
