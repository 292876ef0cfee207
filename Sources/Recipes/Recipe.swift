public import Datasets
public import Kernels
public import Networks
public import Quantization
public import Training

/// A published way to train: everything in which the authors' two generations of code differ, as values. Source of every
/// number: that code, as docs/method.md lists it.
public struct Recipe: Hashable, Sendable, CustomStringConvertible {
  /// As configurations, run files and tables name it.
  public var name: String { scheme.name }
  /// The quantizers by place, how they start, and the clock by which weights freeze.
  public let scheme: QuantizationScheme
  /// What the gradient of a weight range may sum over, the published choice first; where it is the only one, ranges are
  /// fixed and configurations cannot choose.
  public let rangeGradients: [RangeGradient]
  /// Shortcuts, batch norm and initial weights of its networks.
  public let topology: Topology
  /// Of networks for small images: the authors' for CIFAR.
  public let smallImages: Settings
  /// Of networks for ImageNet.
  public let imageNet: Settings
  /// Least share of the area of ImageNet's images in ResNet-18's training crops; other networks have 0.08.
  public let resnet18SmallestCrop: Double
  /// Constants by which the images of some data sets are normalised.
  public let pixelConstants: [DatasetImporter.Name: Normalization]
  /// Read by the comparison with the authors' code alone.
  public let trace: TraceNames
  /// Read by tables and comparisons alone.
  public let publication: Publication

  public var description: String { name }

  /// In what the networks differ.
  public struct Topology: Hashable, Sendable {
    /// What joins two stages of a ResNet whose shapes differ.
    public let shortcut: ModelSpec.Shortcut
    /// Whether the features are normalised before the last layer.
    public let batchNormBeforeLinear: Bool
    /// Standard deviation of the initial weights after He et al., over a layer's inputs or its outputs.
    public let initialization: ModelSpec.Initialization
    /// Of MobileNetV2's layers.
    public let mobileNetV2Rectifier: Rectifier
    /// Of MobileNetV2's features before the last layer; 0: none are dropped.
    public let mobileNetV2Dropout: Double
  }

  /// How networks of one kind are trained where a configuration says nothing else.
  public struct Settings: Hashable, Sendable {
    /// Rules without learning rates, which `training` has.
    public let optimizers: Optimizers
    /// Rates, durations, batches.
    public let training: TrainingDefaults
    /// m of the distance's moving average.
    public let distanceEMA: Double
  }

  /// The rule of each parameter group.
  public struct Optimizers: Hashable, Sendable {
    /// Of convolution and linear weights and biases.
    public let weights: OptimizerSpec
    /// nil: whatever trains the weights.
    public let batchNorm: OptimizerSpec?
    /// Of scales and ranges, of weights and activations alike.
    public let quantizers: OptimizerSpec
  }

  /// Numbers of training, the authors' where they are published.
  public struct TrainingDefaults: Hashable, Sendable {
    /// Length of a run, quantized or full-precision; fractions are allowed.
    public let epochs: Double
    /// Images a step.
    public let batchSize: Int
    /// Whether an epoch leaves out images at its end that do not fill a batch.
    public let dropLastPartialBatch: Bool
    /// Of weights and batch norm, in quantized training.
    public let learningRate: Double
    /// The same in full-precision training.
    public let pretrainingLearningRate: Double
    /// Of scales and ranges, before the schedule's factor.
    public let quantizerLearningRate: Double
    /// Percent of the run after which learning rates are multiplied.
    public let milestones: [Double]
    /// By which every group's learning rate is multiplied after each milestone, in quantized training.
    public let learningRateFactor: Double
    /// The same in full-precision training.
    public let pretrainingLearningRateFactor: Double
    /// Percent of the run in which nothing freezes: E_w of the main setting.
    public let freezingStart: Double
  }

  /// How reference traces name the recipe and the numbers of a layer's quantizers.
  public struct TraceNames: Hashable, Sendable {
    /// The value of a trace's attribute `recipe`; not the recipe's own `name`.
    public let recipe: String
    /// Of the weight's `parameters`, then of the activation's.
    public let columns: [String]
  }
}

extension Recipe {
  /// The network's specification; `channels`: those of its first convolution, nil: as many as published.
  public func model(
    _ architecture: ModelSpec.Architecture, classes: Int, height: Int, width inputWidth: Int, channels: Int? = nil
  ) -> ModelSpec {
    let isMobileNetV2 = architecture.family == .mobileNetV2
    return ModelSpec(
      architecture: architecture, shortcut: topology.shortcut, batchNormBeforeLinear: topology.batchNormBeforeLinear,
      initialization: topology.initialization, classes: classes, inputHeight: height, inputWidth: inputWidth,
      width: channels ?? architecture.family.width,
      rectifier: isMobileNetV2 ? topology.mobileNetV2Rectifier : .relu,
      dropout: isMobileNetV2 ? topology.mobileNetV2Dropout : 0)
  }

  /// What trains this network where nothing else is said.
  public func settings(for architecture: ModelSpec.Architecture) -> Settings {
    architecture.family.isForImageNet ? imageNet : smallImages
  }

  /// - Parameter rangeGradient: nil: the published one.
  public func quantization(
    weightBits: Int, activationBits: Int, rangeGradient: RangeGradient? = nil, gradients: GradientArithmetic = .float32
  ) -> QuantizationSpec {
    QuantizationSpec(
      scheme: scheme, weightBits: weightBits, activationBits: activationBits,
      rangeGradient: rangeGradient ?? rangeGradients[0], gradients: gradients)
  }

  /// The constants of ImageNet for networks that are for it, so that pretrained weights fit any data; else those that the
  /// authors' code uses for this data set, or the data set's own statistics where it has none.
  public func normalization(
    for manifest: DatasetManifest, network architecture: ModelSpec.Architecture
  ) -> Normalization {
    architecture.family.isForImageNet ? .imageNet : Normalization.choose(for: manifest, published: pixelConstants)
  }

  /// The least share of an image's area that a random crop for training takes; nil: crops keep the size, out of padding.
  public func smallestCrop(for architecture: ModelSpec.Architecture) -> Double? {
    guard architecture.family.isForImageNet else { return nil }
    return architecture == .resnet18 ? resnet18SmallestCrop : 0.08
  }

  /// One of `all`; nil for any other name.
  public init?(named name: String) {
    guard let recipe = Self.all.first(where: { $0.name == name }) else { return nil }
    self = recipe
  }
}

extension Recipe.Settings {
  /// Batch norm's parameter group beside the weights'.
  public func batchNormGroup(besides weights: ParameterGroupSpec) -> ParameterGroupSpec {
    ParameterGroupSpec(optimizer: optimizers.batchNorm ?? weights.optimizer, learningRate: weights.learningRate)
  }

  /// The parameter group of scales and ranges; the rate is that before the schedule.
  public func quantizerGroup(learningRate: Double) -> ParameterGroupSpec {
    ParameterGroupSpec(optimizer: optimizers.quantizers, learningRate: learningRate)
  }
}
