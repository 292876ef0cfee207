public import Datasets
public import Kernels
public import Networks
public import Quantization
import Tensor

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
  /// The batch and the sums of its gradients, where it passes through the network in parts.
  private let whole: WholeBatch?

  /// A learner before its first step.
  /// - Parameter batch: images of a step; where the network has memory for fewer, they pass through it in parts.
  /// - Precondition: `optimizer` is one of the network's trained parameters.
  public init(
    network: Network, optimizer: Optimizer, freezing: FreezingPolicy?, schedule: LearningRateSchedule,
    seed: UInt64 = 0, batch: Int? = nil
  ) {
    self.network = network
    self.optimizer = optimizer
    self.freezing = freezing
    self.schedule = schedule
    self.seed = seed
    whole = batch.flatMap { $0 > network.batch ? WholeBatch(images: $0, network) : nil }
    if let freezing, freezing.spec.isShadow {
      for layer in network.convolutions { layer.freezing?.keepDecisionsApart() }
    }
  }

  /// - Parameters:
  ///   - batch: images of a step; nil: the specification's.
  ///   - atOnce: images that the network has memory for; nil: the specification's.
  ///   - pair: what the run froze that the freezing is paired with, where it is.
  /// - Throws: `NetworkError` where there is no such network.
  public convenience init(
    spec: TrainingSpec, backend: any Backend, batch: Int? = nil, atOnce: Int? = nil,
    pair: PairedFreezing? = nil
  ) throws(NetworkError) {
    let network = try Network(
      spec: spec.model, quantization: spec.quantization, batch: atOnce ?? min(batch ?? .max, spec.imagesAtOnce),
      backend: backend)
    self.init(
      network: network,
      optimizer: Optimizer(
        parameters: network.trainedParameters, weights: spec.weights, batchNorm: spec.batchNorm,
        quantizers: spec.quantizers, on: backend),
      freezing: spec.freezing.map {
        FreezingPolicy(spec: $0, clock: spec.quantization!.scheme.clock, pair: pair, seed: spec.seed)
      },
      schedule: spec.learningRateSchedule, seed: spec.seed, batch: batch ?? spec.batchSize)
  }

  /// Puts a training batch where the next step finds it; its time counts as waiting for data.
  /// - Returns: the batch's images, to be passed on to what is done with it.
  public func load(_ batches: any BatchSource, epoch: Int, batch: Int) throws -> Int {
    guard let whole else { return try loadAtOnce(batches, epoch: epoch, batch: batch) }
    var images = 0
    try network.backend.measure(.data) {
      images = try BatchMemory.lend(images: whole.images, labels: whole.labels) { memory in
        try fill(memory, batches, epoch: epoch, batch: batch)
      }
    }
    return images
  }

  /// Puts a batch into the network, which has memory for it.
  func loadAtOnce(_ batches: any BatchSource, epoch: Int, batch: Int) throws -> Int {
    var images = 0
    try network.backend.measure(.data) {
      images = try network.withInput { memory in try fill(memory, batches, epoch: epoch, batch: batch) }
    }
    return images
  }

  /// A picture may be corrupt on the process whose image it is, and there alone.
  private func fill(_ memory: BatchMemory, _ batches: any BatchSource, epoch: Int, batch: Int) throws -> Int {
    try network.backend.processes.together {
      try batches.fill(memory, epoch: epoch, batch: batch, on: network.backend.pool)
    }
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

  /// Passes the batch, or its first part, in training mode: sets the quantizers, moves batch norm's running statistics,
  /// freezes nothing.
  public func initializeQuantizers(images: Int) {
    let images = whole?.lend(0, of: images, to: network).count ?? images
    network.forward(images: images, purpose: .training, draw: .init(seed: seed, step: step))
  }

  /// Forward, loss and gradients of the next step. Weights that freeze in this forward are not updated any more.
  public func computeGradients(images: Int) -> CrossEntropy.Result {
    step += 1
    if let whole { return computeGradients(images, of: whole) }
    network.forward(
      images: images, purpose: .training, draw: .init(seed: seed, step: step), freezing: (freezing, step))
    let result = network.loss.evaluate(images: images, withGradient: true, on: network.backend)
    if result.loss.isFinite { network.backward(images: images) }
    return result
  }

  /// The same for a batch in parts: weights freeze once, and a quantizer without a start takes it from the first part.
  private func computeGradients(_ images: Int, of whole: WholeBatch) -> CrossEntropy.Result {
    var sum = CrossEntropy.Result(loss: 0, topOne: 0, topFive: 0)
    for part in 0..<whole.parts(images, of: network) {
      let range = whole.lend(part, of: images, to: network)
      network.forward(
        images: range.count, purpose: .training, draw: .init(seed: seed, step: step, firstImage: range.lowerBound),
        freezing: part == 0 ? (freezing, step) : nil)
      let result = network.loss.evaluate(
        images: range.count, of: images, withGradient: true, on: network.backend)
      sum.loss += result.loss * Double(range.count) / Double(images)
      sum.topOne += result.topOne
      sum.topFive += result.topFive
      guard sum.loss.isFinite else { return sum }
      network.backward(images: range.count)
      network.backend.measure(.optimizer) { whole.add(network.trainedParameters, isFirst: part == 0) }
    }
    network.backend.measure(.optimizer) { whole.restore(network.trainedParameters) }
    return sum
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
