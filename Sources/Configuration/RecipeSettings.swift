import Networks
import Quantization
import Recipes
import Training

/// What a recipe says where a configuration says nothing.
extension TrainingSettings {
  init(_ recipe: Recipe) {
    let published = recipe.training
    spec = .blank
    spec.batchSize = published.batchSize
    spec.dropLastPartialBatch = published.dropLastPartialBatch
    spec.weights = ParameterGroupSpec(optimizer: recipe.optimizers.weights, learningRate: published.learningRate)
    spec.batchNorm = recipe.batchNormGroup(besides: spec.weights)
    spec.quantizers = recipe.quantizerGroup(learningRate: published.quantizerLearningRate)
    duration = .epochs(published.epochs)
    learningRate = .step(
      milestones: published.milestones.map(TrainingDuration.percent), factor: published.learningRateFactor)
  }

  /// Full precision before quantization, in which batch norm follows the weights' rule; there are no quantizers to train.
  init(pretraining recipe: Recipe) {
    self.init(recipe)
    spec.batchNorm = spec.weights
    learningRate = .step(
      milestones: recipe.training.milestones.map(TrainingDuration.percent),
      factor: recipe.training.pretrainingLearningRateFactor)
  }
}

extension FreezingSettings {
  init(_ recipe: Recipe) {
    spec = .blank
    spec.distanceEMA = recipe.distanceEMA
    start = .percent(recipe.training.freezingStart)
    stop = nil
  }
}

extension RunSettings {
  /// Bit widths are to be filled in.
  init(_ recipe: Recipe, seed: UInt64) {
    self.recipe = recipe
    architecture = .resnet20
    (weightBits, activationBits) = (8, 8)
    method = .fullQAT
    rangeGradient = recipe.rangeGradients[0]
    training = TrainingSettings(recipe)
    pretraining = PretrainingSettings(training: TrainingSettings(pretraining: recipe), seed: 1)
    self.seed = seed
  }
}
