public import Datasets
public import Networks
public import Quantization

/// The rule of one parameter group.
public enum OptimizerSpec: Hashable, Sendable {
  /// PyTorch's SGD: no dampening, no Nesterov; weight decay added to the gradient.
  case sgd(momentum: Double, weightDecay: Double)
  case adam(beta1: Double, beta2: Double, epsilon: Double)
}

/// A parameter group's rule and its learning rate before the schedule.
public struct ParameterGroupSpec: Hashable, Sendable {
  /// How gradients change the group's parameters.
  public var optimizer: OptimizerSpec
  /// η, which each step multiplies by the schedule's factor.
  public var learningRate: Double
  /// A group's rule with the learning rate that the schedule starts from.
  public init(optimizer: OptimizerSpec, learningRate: Double) {
    self.optimizer = optimizer
    self.learningRate = learningRate
  }
}

/// The factor on every group's learning rate, by training step (1-based).
public enum LearningRateSchedule: Hashable, Sendable {
  case constant
  /// factor^k in steps after the k-th milestone (steps > milestone).
  case step(milestones: [Int], factor: Double)
  /// (1 + cos(π · (t − 1) / totalSteps)) / 2
  case cosine(totalSteps: Int)
}

/// Everything that changes a run's outcome but the data and the parent's weights: resolved, in steps.
public struct TrainingSpec: Hashable, Sendable {
  /// The network, its input size and classes.
  public var model: ModelSpec
  /// nil: full precision.
  public var quantization: QuantizationSpec?
  /// nil: nothing freezes (full QAT, or full precision).
  public var freezing: FreezingSpec?
  /// Convolution and linear weights and biases.
  public var weights: ParameterGroupSpec
  /// Batch norm's scales and shifts.
  public var batchNorm: ParameterGroupSpec
  /// Quantizer scales and ranges.
  public var quantizers: ParameterGroupSpec
  /// Common to all three groups.
  public var learningRateSchedule: LearningRateSchedule
  /// Images of a training batch, and of an evaluation batch.
  public var batchSize: Int
  /// Images that pass through the network at once: it has memory for so many, and batch norm takes their statistics. The
  /// gradients of a batch are summed in order over them. Divides `batchSize`; nil: the whole batch.
  public var microbatch: Int?
  /// Whether an epoch leaves out the images that do not fill a batch; a test split is always evaluated whole.
  public var dropLastPartialBatch: Bool
  /// Steps of the whole run; it may end in the middle of an epoch.
  public var totalSteps: Int
  /// Whether training images are cropped and mirrored at random (by `images`, or `Augmentation.standard`).
  public var augment: Bool
  /// How images are cut out of pictures of any size; nil: the data set's images are of one size, that of the network.
  public var images: ImageCrop?
  /// Of the initial weights, the order of the images and their augmentation.
  public var seed: UInt64

  /// A specification whose values are not checked against one another.
  public init(
    model: ModelSpec, quantization: QuantizationSpec?, freezing: FreezingSpec?, weights: ParameterGroupSpec,
    batchNorm: ParameterGroupSpec, quantizers: ParameterGroupSpec, learningRateSchedule: LearningRateSchedule,
    batchSize: Int, microbatch: Int? = nil, dropLastPartialBatch: Bool, totalSteps: Int, augment: Bool,
    images: ImageCrop? = nil, seed: UInt64
  ) {
    self.model = model
    self.quantization = quantization
    self.freezing = freezing
    self.weights = weights
    self.batchNorm = batchNorm
    self.quantizers = quantizers
    self.learningRateSchedule = learningRateSchedule
    self.batchSize = batchSize
    self.microbatch = microbatch
    self.dropLastPartialBatch = dropLastPartialBatch
    self.totalSteps = totalSteps
    self.augment = augment
    self.images = images
    self.seed = seed
  }

  /// Images that the network has memory for.
  public var imagesAtOnce: Int { microbatch ?? batchSize }
}
