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
  public let topology: Topology
  public let optimizers: Optimizers
  public let training: TrainingDefaults
  /// m of the distance's moving average.
  public let distanceEMA: Double
  /// Constants by which the images of some data sets are normalised.
  public let pixelConstants: [DatasetImporter.Name: Normalization]
  public let trace: TraceNames

  public var description: String { name }

  /// In what the networks differ.
  public struct Topology: Hashable, Sendable {
    public let shortcut: ModelSpec.Shortcut
    public let batchNormBeforeLinear: Bool
    public let initialization: ModelSpec.Initialization
  }

  /// The rule of each parameter group.
  public struct Optimizers: Hashable, Sendable {
    public let weights: OptimizerSpec
    /// nil: whatever trains the weights.
    public let batchNorm: OptimizerSpec?
    public let quantizers: OptimizerSpec
  }

  /// The authors' settings for CIFAR.
  public struct TrainingDefaults: Hashable, Sendable {
    public let epochs: Double
    public let batchSize: Int
    public let dropLastPartialBatch: Bool
    /// Of weights and batch norm.
    public let learningRate: Double
    public let quantizerLearningRate: Double
    /// Percent of the run after which learning rates are multiplied.
    public let milestones: [Double]
    public let learningRateFactor: Double
    /// The same in full-precision training.
    public let pretrainingLearningRateFactor: Double
    /// Percent of the run in which nothing freezes: E_w of the main setting, epoch 80 of 400.
    public let freezingStart: Double
  }

  /// How reference traces name the recipe and the numbers of a layer's quantizers.
  public struct TraceNames: Hashable, Sendable {
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
