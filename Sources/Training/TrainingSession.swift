public import Datasets
import Diagnostics
public import Kernels
import Networks
public import Quantization
public import Records
import Tensor

/// One run: trains a network by a resolved specification, keeps its series, and can be stopped and resumed at any step to
/// the same bits.
public final class TrainingSession {
  /// What the network, the optimizer and the freezing were made from.
  public let spec: TrainingSpec
  /// The network and the state of its training; its `batch` is no larger than the larger split.
  public let learner: Learner
  /// One for each epoch that was evaluated, in order; none for an epoch in which the run diverged.
  public internal(set) var epochs: [EpochRecord] = []
  /// One for each evaluated epoch and each convolution and linear layer, epochs outermost.
  public internal(set) var layerEpochs: [LayerEpochRecord] = []
  /// Why the run diverged, in one line; nil while it has not.
  public internal(set) var divergence: String?

  /// Left out of the last evaluation, their pictures being corrupt.
  private(set) var skippedTestImages = 0

  let training: any BatchSource
  private let test: any BatchSource
  let accuracy = AccuracySeries()
  let freezing: FreezingSeries
  let seconds = SecondsSeries()
  private let observations: ObservationSeries
  /// What records the run; whose state is part of checkpoints.
  let observers: [any TrainingObserver]
  var network: Network { learner.network }

  /// Training steps done.
  public var step: Int { learner.step }
  /// Batches, and so steps, of a full epoch.
  public var batchesPerEpoch: Int { training.batchCount }
  /// Whether a number was not finite or a range empty; `train` then takes no further step.
  public var isDiverged: Bool { divergence != nil }

  /// A run on a data set in memory.
  /// - Parameters:
  ///   - initial: the final tensors of the network that training starts from, by PyTorch's names; nil: random weights from
  ///     the seed.
  ///   - pair: when weights froze in the run that `spec.freezing` names as its pair; nil where it names none.
  ///   - processes: those that train the run together, each with a session of its own.
  /// - Throws: `Diagnostic` where the data, the network and `initial` do not fit together.
  public convenience init(
    spec: TrainingSpec, data: ImageDataset, normalization: Normalization, threads: Int, initial: [NamedTensor]? = nil,
    pair: PairedFreezing? = nil, instructionSet: InstructionSet = .best, processes: any Communicator = NoMPI()
  ) throws {
    try Self.check(
      spec, width: data.width, height: data.height, classes: data.classNames.count, trainingImages: data.train.count)
    let training = InMemoryBatches.training(
      data.train, batchSize: spec.batchSize, seed: spec.seed, dropLast: spec.dropLastPartialBatch,
      normalization: normalization, augmentation: spec.augment ? .standard : .none,
      needed: Self.needed(spec, processes))
    try self.init(
      spec: spec, training: training,
      test: InMemoryBatches.evaluation(
        data.test, batchSize: spec.imagesAtOnce, normalization: normalization, needed: Self.needed(spec, processes)),
      threads: threads, initial: initial, pair: pair, instructionSet: instructionSet, processes: processes)
  }

  /// A run on pictures of any size, of which `spec.images` says how they become images.
  /// - Parameters:
  ///   - corrupt: what becomes of pictures that cannot be decoded.
  ///   - note: told in a line each what the batches ahead take of memory, and which pictures are left out.
  /// - Throws: `Diagnostic` where the data, the network and `initial` do not fit together.
  /// - Precondition: `spec.images` is there.
  public convenience init(
    spec: TrainingSpec, pictures: PictureDataset, normalization: Normalization, corrupt: CorruptPictures = .stop,
    threads: Int, initial: [NamedTensor]? = nil, pair: PairedFreezing? = nil, instructionSet: InstructionSet = .best,
    processes: any Communicator = NoMPI(), note: @escaping (String) -> Void = { _ in }
  ) throws {
    guard let crop = spec.images else { preconditionFailure("the specification says how pictures become images") }
    try Self.check(
      spec, width: crop.side, height: crop.side, classes: pictures.classes.count,
      trainingImages: pictures.train.count)
    let training = PictureBatches.training(
      pictures.train, crop: crop, batchSize: spec.batchSize, seed: spec.seed, dropLast: spec.dropLastPartialBatch,
      normalization: normalization, augments: spec.augment, corrupt: corrupt, readers: threads,
      needed: Self.needed(spec, processes))
    let test = PictureBatches.evaluation(
      pictures.test, crop: crop, batchSize: spec.imagesAtOnce, normalization: normalization, corrupt: corrupt,
      readers: threads, needed: Self.needed(spec, processes))
    for batches in [training, test] { batches.onSkip = { note("left out: \($0)") } }
    note(
      "images: \(training.batchesAhead) batches of \(spec.batchSize) ahead by \(threads) threads, and as many threads for "
        + "the test images: at most \((training.memoryBytes + test.memoryBytes + (1 << 20) - 1) >> 20) MiB")
    try self.init(
      spec: spec, training: training, test: test, threads: threads, initial: initial, pair: pair,
      instructionSet: instructionSet, processes: processes)
  }

  /// This process's images of a batch, which passes through the network in parts where it is larger than that has memory for.
  private static func needed(_ spec: TrainingSpec, _ processes: any Communicator) -> NeededImages {
    let (rank, size, atOnce) = (processes.rank, processes.size, spec.imagesAtOnce)
    return { count in
      stride(from: 0, to: count, by: atOnce).map { first in
        let own = BatchTree(images: min(atOnce, count - first)).images(ofProcess: rank, among: size)
        return first + own.lowerBound..<first + own.upperBound
      }
    }
  }

  /// Whether images and network fit together, and an epoch has a batch.
  private static func check(
    _ spec: TrainingSpec, width: Int, height: Int, classes: Int, trainingImages: Int
  ) throws(Diagnostic) {
    guard height == spec.model.inputHeight, width == spec.model.inputWidth else {
      throw Diagnostic(
        "images", "are \(width)x\(height); the network takes \(spec.model.inputWidth)x\(spec.model.inputHeight)")
    }
    guard classes == spec.model.classes else {
      throw Diagnostic("data set", "has \(classes) classes, the network \(spec.model.classes)")
    }
    let batches = BatchPlan.batchCount(
      images: trainingImages, batchSize: spec.batchSize, dropLast: spec.dropLastPartialBatch)
    guard batches > 0 else {
      throw Diagnostic(
        "batchSize", "\(trainingImages) training images do not fill a batch of \(spec.batchSize)",
        remedy: "use a smaller one")
    }
  }

  /// A run on batches of at most `spec.batchSize` images from anywhere; the rest and errors as of the first initializer.
  /// - Precondition: `training` has at least one batch, and both fit the network.
  public init(
    spec: TrainingSpec, training: any BatchSource, test: any BatchSource, threads: Int, initial: [NamedTensor]? = nil,
    pair: PairedFreezing? = nil, instructionSet: InstructionSet = .best, processes: any Communicator = NoMPI()
  ) throws {
    precondition(training.batchCount > 0, "an epoch has a batch")
    self.spec = spec
    self.training = training
    self.test = test
    // A batch may be larger than the data set, but is never filled beyond it.
    learner = try Learner(
      spec: spec, backend: CPUBackend(threads: threads, instructionSet: instructionSet, processes: processes),
      batch: min(spec.batchSize, training.imageCount),
      atOnce: min(spec.imagesAtOnce, max(training.imageCount, test.imageCount)), pair: pair)
    freezing = FreezingSeries(layers: learner.network.convolutions.count)
    observations = ObservationSeries(
      weights: learner.network.freezableWeights, stepsPerEpoch: training.batchCount, totalSteps: spec.totalSteps,
      decides: learner.freezing != nil)
    observers = [accuracy, freezing, seconds, QuantizerSeries(), observations]
    if let initial {
      try network.load(initial, roles: [.parameter, .statistic])
    } else {
      network.initializeWeights(seed: spec.seed)
    }
    network.initializeWeightQuantizers()
  }

  /// Trains until the last step, or until `onStep` says stop or throws. Evaluates after each epoch and the last step.
  public func train(onStep: (StepReport) throws -> TrainingDirective) throws -> TrainingResult {
    if isDiverged { return .diverged(step: step) }
    let loop = TrainingLoop(learner: learner, batches: training, totalSteps: spec.totalSteps, observers: observers)
    let end = try loop.run { step in
      let report = report(of: step)
      if step.endsEpoch, let fault = try finishEpoch(step) { return .diverge(fault) }
      return try onStep(report) == .stop ? .stop : .proceed
    }
    switch end {
    case .finished: return .finished
    case .stopped: return .stopped
    case .diverged(let reason):
      divergence = reason
      return .diverged(step: step)
    }
  }

  /// Accuracy on the test split with the weights as they are.
  /// - Throws: `Diagnostic` before the first step of a quantized network.
  public func evaluate() throws -> Evaluation {
    guard network.areActivationQuantizersInitialized else {
      throw Diagnostic(
        "activation quantizers", "are set by the first training step", remedy: "evaluate after it")
    }
    return try learner.evaluate(test)
  }

  /// Takes over a finished run's tensors, quantizers included, to evaluate them.
  /// - Throws: `Diagnostic` where a tensor is missing, of another shape or not finite, or a learned range is empty.
  public func load(final tensors: [NamedTensor]) throws {
    try network.load(tensors, roles: [.parameter, .statistic, .quantizer])
    if let fault = network.emptyRange { throw Diagnostic("network", fault) }
    network.areActivationQuantizersInitialized = true
  }

  /// Weights, batch-norm statistics, quantizer numbers, and beside each quantized layer its levels and masks, by
  /// PyTorch's names and layouts.
  public func finalTensors() -> [NamedTensor] { network.finalTensors() }

  /// What became of each weight's level; nil before the last step, and where no weight may freeze.
  public var observation: ObservationRecord? {
    step == spec.totalSteps && !isDiverged ? observations.record(of: learner) : nil
  }

  /// How far weights are from their levels, at the recorded steps among these.
  /// - Precondition: all of them are done.
  public func distances(in steps: ClosedRange<Int>) -> [WeightDistances] {
    precondition(steps.upperBound <= step, "these steps are done")
    return observations.distances(in: steps, of: learner)
  }

  /// Frozen / freezable weights of all layers, in [0, 1]; 0 where none may freeze.
  public var frozenShare: Double { network.frozenShare }

  private func report(of step: TrainingStep) -> StepReport {
    StepReport(
      step: step.number, totalSteps: spec.totalSteps, epoch: step.epoch + 1,
      epochs: (spec.totalSteps + batchesPerEpoch - 1) / batchesPerEpoch, loss: step.loss,
      epochTopOne: accuracy.topOne, frozenShare: frozenShare, imagesPerSecond: seconds.imagesPerSecond,
      finishedEpoch: step.endsEpoch)
  }

  /// Evaluates and files the epoch's records, unless a number is not finite.
  /// - Returns: which number is not, in one line; nil where all are.
  private func finishEpoch(_ step: TrainingStep) throws -> String? {
    let place = "epoch \(step.epoch + 1) (step \(step.number))"
    if let fault = network.nonFinitePart { return "\(place): \(fault)" }
    let start = StepClock.now()
    let evaluation = try evaluate()
    seconds.add(evaluation: StepClock.now() - start)
    guard evaluation.loss.isFinite else { return "\(place): the test loss is not finite" }
    var record = EpochRecord(epoch: step.epoch + 1, step: step.number)
    record.testLoss = evaluation.loss
    record.testTopOne = evaluation.topOne
    record.testTopFive = evaluation.topFive
    skippedTestImages = test.imageCount - evaluation.images
    record.learningRate = spec.weights.learningRate * spec.learningRateSchedule.factor(step: step.number)
    var records = EpochRecords(
      steps: step.number - step.epoch * batchesPerEpoch, epoch: record,
      layers: network.convolutions.map { LayerEpochRecord(epoch: step.epoch + 1, layer: $0.name) })
    for observer in observers { observer.didFinishEpoch(&records, learner) }
    epochs.append(records.epoch)
    layerEpochs += records.layers
    return nil
  }
}
