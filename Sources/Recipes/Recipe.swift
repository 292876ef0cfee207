public import Datasets
public import Networks
public import Quantization
public import Training

/// A published way to train: everything in which the authors' two generations of code differ, as values. Source of every
/// number: that code, as the README's section on the method lists it.
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
  /// Rules without learning rates, which `training` has.
  public let optimizers: Optimizers
  /// What a configuration that says nothing else gets.
  public let training: TrainingDefaults
  /// m of the distance's moving average.
  public let distanceEMA: Double
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
    /// Whether a ResNet for small images normalises its pooled features.
    public let batchNormBeforeLinear: Bool
    /// Standard deviation of the initial weights after He et al., over a layer's inputs or its outputs.
    public let initialization: ModelSpec.Initialization
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

  /// The authors' settings for CIFAR.
  public struct TrainingDefaults: Hashable, Sendable {
    /// Length of a run, quantized or full-precision; fractions are allowed.
    public let epochs: Double
    /// Images a step.
    public let batchSize: Int
    /// Whether an epoch leaves out images at its end that do not fill a batch.
    public let dropLastPartialBatch: Bool
    /// Of weights and batch norm.
    public let learningRate: Double
    /// Of scales and ranges, before the schedule's factor.
    public let quantizerLearningRate: Double
    /// Percent of the run after which learning rates are multiplied.
    public let milestones: [Double]
    /// By which every group's learning rate is multiplied after each milestone, in quantized training.
    public let learningRateFactor: Double
    /// The same in full-precision training.
    public let pretrainingLearningRateFactor: Double
    /// Percent of the run in which nothing freezes: E_w of the main setting, epoch 80 of 400.
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
  /// The network's specification; `width`: channels of its first stage.
  public func model(
    _ architecture: ModelSpec.Architecture, classes: Int, height: Int, width inputWidth: Int, channels: Int = 16
  ) -> ModelSpec {
    ModelSpec(
      architecture: architecture, shortcut: topology.shortcut, batchNormBeforeLinear: topology.batchNormBeforeLinear,
      initialization: topology.initialization, classes: classes, inputHeight: height, inputWidth: inputWidth,
      width: channels)
  }

  /// - Parameter rangeGradient: nil: the published one.
  public func quantization(
    weightBits: Int, activationBits: Int, rangeGradient: RangeGradient? = nil
  ) -> QuantizationSpec {
    QuantizationSpec(
      scheme: scheme, weightBits: weightBits, activationBits: activationBits,
      rangeGradient: rangeGradient ?? rangeGradients[0])
  }

  /// Batch norm's parameter group beside the weights'.
  public func batchNormGroup(besides weights: ParameterGroupSpec) -> ParameterGroupSpec {
    ParameterGroupSpec(optimizer: optimizers.batchNorm ?? weights.optimizer, learningRate: weights.learningRate)
  }

  /// The parameter group of scales and ranges; the rate is that before the schedule.
  public func quantizerGroup(learningRate: Double) -> ParameterGroupSpec {
    ParameterGroupSpec(optimizer: optimizers.quantizers, learningRate: learningRate)
  }

  /// The constants that the authors' code uses for this data set, or the data set's own statistics where it has none.
  public func normalization(for manifest: DatasetManifest) -> Normalization {
    Normalization.choose(for: manifest, published: pixelConstants)
  }

  /// One of `all`; nil for any other name.
  public init?(named name: String) {
    guard let recipe = Self.all.first(where: { $0.name == name }) else { return nil }
    self = recipe
  }
}
