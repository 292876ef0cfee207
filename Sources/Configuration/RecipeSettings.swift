import Networks
import Quantization
import Recipes
import Training

/// What a recipe says of a network where a configuration says nothing.
extension TrainingSettings {
  init(_ published: Recipe.Settings) {
    let training = published.training
    spec = .blank
    spec.batchSize = training.batchSize
    spec.dropLastPartialBatch = training.dropLastPartialBatch
    spec.weights = ParameterGroupSpec(optimizer: published.optimizers.weights, learningRate: training.learningRate)
    spec.batchNorm = published.batchNormGroup(besides: spec.weights)
    spec.quantizers = published.quantizerGroup(learningRate: training.quantizerLearningRate)
    duration = .epochs(training.epochs)
    learningRate = .step(
      milestones: training.milestones.map(TrainingDuration.percent), factor: training.learningRateFactor)
  }

  /// Full precision before quantization, in which batch norm follows the weights' rule; there are no quantizers to train.
  init(pretraining published: Recipe.Settings) {
    self.init(published)
    spec.weights.learningRate = published.training.pretrainingLearningRate
    spec.batchNorm = spec.weights
    learningRate = .step(
      milestones: published.training.milestones.map(TrainingDuration.percent),
      factor: published.training.pretrainingLearningRateFactor)
  }
}

extension FreezingSettings {
  init(_ published: Recipe.Settings) {
    spec = .blank
    spec.distanceEMA = published.distanceEMA
    start = .percent(published.training.freezingStart)
    stop = nil
  }
}

extension RunSettings {
  /// Bit widths are to be filled in.
  init(_ recipe: Recipe, _ architecture: ModelSpec.Architecture, seed: UInt64) {
    self.recipe = recipe
    self.architecture = architecture
    (weightBits, activationBits) = (8, 8)
    method = .fullQAT
    rangeGradient = recipe.rangeGradients[0]
    gradients = .float32
    let published = recipe.settings(for: architecture)
    training = TrainingSettings(published)
    pretraining = PretrainingSettings(training: TrainingSettings(pretraining: published), seed: 1, weights: nil)
    self.seed = seed
  }
}
