import Datasets
import Kernels
import Networks
import Quantization
import Training

extension Recipe {
  /// Every recipe that configurations and the command line can name; the first one is their default.
  public static let all = [spqat, lts]
  /// What `init(named:)` takes, in the order of `all`.
  public static var names: [String] { all.map(\.name) }

  /// First generation (SpQAT): fixed weight scales, learned activation scales. Small images: 8 bits in the first and last
  /// layers, the images as they are, nothing freezes in the last layer. ImageNet: both ends in full precision.
  public static let spqat: Recipe = {
    let plain = OptimizerSpec.sgd(momentum: 0, weightDecay: 0)
    return Recipe(
      scheme: QuantizationScheme(
        name: "spqat",
        first: .init(weights: .fixedScale, activations: nil, weightBits: 8),
        middle: .init(weights: .fixedScale, activations: .learnedScale),
        last: .init(
          weights: .learnedOutputScale, activations: .learnedScale, weightBits: 8, activationBits: 8, freezes: false),
        imageNetFirst: .fullPrecision, imageNetLast: .fullPrecision, clock: .fromZero, startsInSeparatePass: false),
      rangeGradients: [.unfrozen],
      topology: Topology(
        shortcut: .pad, batchNormBeforeLinear: true, initialization: .kaimingFanIn, mobileNetV2Rectifier: .relu6,
        mobileNetV2Dropout: 0.2),
      smallImages: Settings(
        optimizers: Optimizers(
          weights: .sgd(momentum: 0.9, weightDecay: 1e-4), batchNorm: plain, quantizers: plain),
        training: TrainingDefaults(
          epochs: 400, batchSize: 256, dropLastPartialBatch: true, learningRate: 0.1, pretrainingLearningRate: 0.1,
          quantizerLearningRate: 0.01, milestones: [25, 50, 75], learningRateFactor: 0.1,
          pretrainingLearningRateFactor: 0.2, freezingStart: 20),
        distanceEMA: 0),
      // The full-precision training is our choice: the authors take a pretrained network.
      imageNet: Settings(
        optimizers: Optimizers(
          weights: .sgd(momentum: 0.9, weightDecay: 5e-4), batchNorm: plain, quantizers: plain),
        training: TrainingDefaults(
          epochs: 100, batchSize: 1024, dropLastPartialBatch: true, learningRate: 0.01, pretrainingLearningRate: 0.1,
          quantizerLearningRate: 0.01, milestones: [20, 40, 60, 80], learningRateFactor: 0.2,
          pretrainingLearningRateFactor: 0.2, freezingStart: 16),
        distanceEMA: 0.9999),
      resnet18SmallestCrop: 0.08,
      pixelConstants: [.cifar10: .spqatCIFAR10],
      trace: TraceNames(recipe: "fixed-scale", columns: ["weight_scale", "activation_scale"]))
  }()

  /// Second generation (LTS, arXiv 2211.08544): learned weight and activation ranges, alike in all layers.
  public static let lts: Recipe = {
    let layer = QuantizationScheme.Layer(weights: .learnedRange, activations: .learnedRange)
    let optimizers = Optimizers(
      weights: .sgd(momentum: 0.9, weightDecay: 1e-4), batchNorm: nil,
      quantizers: .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8))
    return Recipe(
      scheme: QuantizationScheme(
        name: "lts", first: layer, middle: layer, last: layer, imageNetFirst: layer, imageNetLast: layer,
        clock: .fromMinusOne, startsInSeparatePass: true),
      rangeGradients: [.dense, .unfrozen],
      topology: Topology(
        shortcut: .convolution, batchNormBeforeLinear: false, initialization: .kaimingFanOut,
        mobileNetV2Rectifier: .relu, mobileNetV2Dropout: 0),
      smallImages: Settings(
        optimizers: optimizers,
        training: TrainingDefaults(
          epochs: 400, batchSize: 128, dropLastPartialBatch: false, learningRate: 0.1, pretrainingLearningRate: 0.1,
          quantizerLearningRate: 1e-4, milestones: [25, 50, 75], learningRateFactor: 0.1,
          pretrainingLearningRateFactor: 0.1, freezingStart: 20),
        distanceEMA: 0.99),
      imageNet: Settings(
        optimizers: optimizers,
        training: TrainingDefaults(
          epochs: 100, batchSize: 256, dropLastPartialBatch: false, learningRate: 0.1, pretrainingLearningRate: 0.1,
          quantizerLearningRate: 1e-4, milestones: [30, 60, 90], learningRateFactor: 0.1,
          pretrainingLearningRateFactor: 0.1, freezingStart: 20),
        distanceEMA: 0.9999),
      resnet18SmallestCrop: 0.2,
      pixelConstants: [.cifar10: .ltsCIFAR10, .cifar100: .ltsCIFAR100],
      trace: TraceNames(
        recipe: "learned-range", columns: ["upper_weight", "lower_weight", "upper_activation", "lower_activation"]))
  }()
}
