public import Datasets
public import Kernels
public import Networks
public import Quantization

/// A network and what changes it: one training step at a time, on the batch that was loaded last.
public final class Learner {
  /// Its backend carries out every pass and update.
  public let network: Network
  /// Holds the velocities and moments of the network's trained parameters.
  public let optimizer: Optimizer
  /// nil: nothing freezes.
  public let freezing: FreezingPolicy?
  /// Multiplies every group's learning rate in `applyGradients`.
  public let schedule: LearningRateSchedule
  /// Training steps done.
  public internal(set) var step = 0
  /// Of the random numbers that training forwards draw.
  public let seed: UInt64

  /// A learner before its first step.
  /// - Precondition: `optimizer` is one of the network's trained parameters.
  public init(
    network: Network, optimizer: Optimizer, freezing: FreezingPolicy?, schedule: LearningRateSchedule,
    seed: UInt64 = 0
  ) {
    self.network = network
    self.optimizer = optimizer
    self.freezing = freezing
    self.schedule = schedule
    self.seed = seed
    if let freezing, freezing.spec.isShadow {
      for layer in network.convolutions { layer.freezing?.keepDecisionsApart() }
    }
  }

  /// - Parameters:
  ///   - batch: images that the network has memory for; nil: a full batch.
  ///   - pair: what the run froze that the freezing is paired with, where it is.
  /// - Throws: `NetworkError` where there is no such network.
  public convenience init(
    spec: TrainingSpec, backend: any Backend, batch: Int? = nil, pair: PairedFreezing? = nil
  ) throws(NetworkError) {
    let network = try Network(
      spec: spec.model, quantization: spec.quantization, batch: batch ?? spec.batchSize, backend: backend)
    self.init(
      network: network,
      optimizer: Optimizer(
        parameters: network.trainedParameters, weights: spec.weights, batchNorm: spec.batchNorm,
        quantizers: spec.quantizers, on: backend),
      freezing: spec.freezing.map {
        FreezingPolicy(spec: $0, clock: spec.quantization!.scheme.clock, pair: pair, seed: spec.seed)
      },
      schedule: spec.learningRateSchedule, seed: spec.seed)
  }

  /// Puts a batch into the network; its time counts as waiting for data.
  /// - Returns: the batch's images, to be passed on to what is done with it.
  public func load(_ batches: any BatchSource, epoch: Int, batch: Int) throws -> Int {
    var images = 0
    try network.backend.measure(.data) {
      images = try network.withInput { memory in
        try batches.fill(memory, epoch: epoch, batch: batch, on: network.backend.pool)
      }
    }
    return images
  }

  /// Sets the seconds of the backend and of all layers back.
  public func resetSeconds() {
    network.backend.resetSeconds()
    for layer in network.convolutions { layer.resetSeconds() }
  }

  /// Whether a batch has to pass before the first step to set the quantizers; otherwise it sets them itself.
  public var needsQuantizerInitialization: Bool {
    network.quantization?.scheme.startsInSeparatePass ?? false && !network.areActivationQuantizersInitialized
  }

  /// Passes the batch in training mode: sets the quantizers, moves batch norm's running statistics, freezes nothing.
  public func initializeQuantizers(images: Int) {
    network.forward(images: images, purpose: .training, draw: .init(seed: seed, step: step))
  }

  /// Forward, loss and gradients of the next step. Weights that freeze in this forward are not updated any more.
  public func computeGradients(images: Int) -> CrossEntropy.Result {
    step += 1
    network.forward(
      images: images, purpose: .training, draw: .init(seed: seed, step: step), freezing: (freezing, step))
    let result = network.loss.evaluate(images: images, withGradient: true, on: network.backend)
    if result.loss.isFinite { network.backward(images: images) }
    return result
  }

  /// Updates the parameters from `computeGradients`' result, at the learning rates of its step. Frozen weights stay.
  public func applyGradients() {
    network.backend.measure(.optimizer) {
      optimizer.update(step: step, factor: schedule.factor(step: step), on: network.backend)
    }
  }

  /// Loss and ranks of the batch with running statistics; changes nothing.
  public func evaluate(images: Int) -> CrossEntropy.Result {
    network.forward(images: images, purpose: .evaluation)
    return network.loss.evaluate(images: images, withGradient: false, on: network.backend)
  }
}
