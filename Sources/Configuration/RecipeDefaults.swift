package import Networks
import Quantization
import Training

/// What a recipe's published scripts do for CIFAR where a configuration says nothing. Source of every number: the
/// authors' two generations of code, as the README's section on the method lists them.
extension Recipe {
  var training: TrainingSettings {
    switch self {
    case .spqat:
      TrainingSettings(
        duration: .epochs(400), batchSize: 256, dropLastPartialBatch: true,
        weights: .sgd(0.1, momentum: 0.9, weightDecay: 1e-4),
        batchNorm: .sgd(0.1, momentum: 0, weightDecay: 0),
        quantizers: .sgd(0.01, momentum: 0, weightDecay: 0),
        learningRate: Self.quarters(factor: 0.1))
    case .lts:
      TrainingSettings(
        duration: .epochs(400), batchSize: 128, dropLastPartialBatch: false,
        weights: .sgd(0.1, momentum: 0.9, weightDecay: 1e-4),
        batchNorm: .sgd(0.1, momentum: 0.9, weightDecay: 1e-4),
        quantizers: ParameterGroupSpec(
          optimizer: .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8), learningRate: 1e-4),
        learningRate: Self.quarters(factor: 0.1))
    }
  }

  /// Full precision before quantization; there are no quantizers to train.
  var pretraining: TrainingSettings {
    var settings = training
    settings.batchNorm = settings.weights
    settings.learningRate = Self.quarters(factor: self == .spqat ? 0.2 : 0.1)
    return settings
  }

  var distanceEMA: Double {
    switch self {
    case .spqat: 0
    case .lts: 0.99
    }
  }

  /// E_w of the authors' main setting: epoch 80 of 400.
  static let freezingStart = TrainingDuration.percent(20)

  package func model(_ architecture: ModelSpec.Architecture, classes: Int, height: Int, width: Int) -> ModelSpec {
    switch self {
    case .spqat:
      ModelSpec(
        architecture: architecture, shortcut: .pad, batchNormBeforeLinear: true, initialization: .kaimingFanIn,
        classes: classes, inputHeight: height, inputWidth: width)
    case .lts:
      ModelSpec(
        architecture: architecture, shortcut: .convolution, batchNormBeforeLinear: false,
        initialization: .kaimingFanOut, classes: classes, inputHeight: height, inputWidth: width)
    }
  }

  /// Epochs 100, 200 and 300 of 400, as shares of the run.
  private static func quarters(factor: Double) -> LearningRateSettings {
    .step(milestones: [.percent(25), .percent(50), .percent(75)], factor: factor)
  }
}

extension ParameterGroupSpec {
  fileprivate static func sgd(_ learningRate: Double, momentum: Double, weightDecay: Double) -> ParameterGroupSpec {
    ParameterGroupSpec(optimizer: .sgd(momentum: momentum, weightDecay: weightDecay), learningRate: learningRate)
  }
}
