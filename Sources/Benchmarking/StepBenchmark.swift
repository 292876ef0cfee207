public import Kernels
public import Networks
public import Quantization
public import Recipes
import Tensor
import Training

/// A whole training step on random images: where its time goes.
public struct StepBenchmark: Sendable {
  /// What kind of training the step belongs to.
  public enum Method: String, CaseIterable, Sendable {
    /// Without quantizers.
    case fullPrecision
    /// Quantized; nothing freezes.
    case fullQAT
    /// With a random `frozenShare` of every layer's weights frozen from the start.
    case freeze
  }

  /// Gives the quantizers, the optimizers and the form of the model.
  public var recipe: Recipe
  /// Decides which of the members below count.
  public var method: Method
  /// Of weights and activations alike; `fullPrecision` ignores it.
  public var bits: Int
  /// Images a step.
  public var batch: Int
  /// At least 1.
  public var threads: Int
  /// 0...1, of each layer's weights; `freeze` alone uses it.
  public var frozenShare: Double
  /// Counts for recipes with a learned range of weights.
  public var rangeGradient: RangeGradient
  /// Of weights; `fullPrecision` ignores it.
  public var gradients: GradientArithmetic
  /// The network.
  public var architecture: ModelSpec.Architecture
  /// Pixels: images are square, of three channels.
  public var imageSide: Int
  /// Of the random labels: at least 2.
  public var classes: Int

  /// Measures nothing until `run`. By default ResNet-20, and images and classes as the network's data have them.
  public init(
    recipe: Recipe, method: Method, bits: Int, batch: Int, threads: Int, frozenShare: Double,
    rangeGradient: RangeGradient = .unfrozen, gradients: GradientArithmetic = .float32,
    architecture: ModelSpec.Architecture = .resnet20, imageSide: Int? = nil,
    classes: Int? = nil
  ) {
    self.recipe = recipe
    self.method = method
    self.bits = bits
    self.batch = batch
    self.threads = threads
    self.frozenShare = frozenShare
    self.rangeGradient = rangeGradient
    self.gradients = gradients
    self.architecture = architecture
    self.imageSide = imageSide ?? architecture.imageSide
    self.classes = classes ?? architecture.classes
  }

  /// Milliseconds a step; the parts are medians of their own.
  public struct Result: Sendable {
    /// Wall time of gradients and update together, without `warmUp` steps.
    public var milliseconds: Spread
    /// In the order of `StepPart.allCases`; need not add up to the whole.
    public var parts: [(part: StepPart, milliseconds: Double)]
    /// The batch over the median step.
    public var imagesPerSecond: Double
    /// The weight gradient by layer, milliseconds.
    public var weightGradientByLayer: [(layer: String, milliseconds: Double)]
  }

  /// A learner with random weights, whose network holds a batch of random images.
  private func makeLearner(_ instructionSet: InstructionSet) throws(NetworkError) -> Learner {
    let backend = CPUBackend(threads: threads, instructionSet: instructionSet)
    let quantization =
      method == .fullPrecision
      ? nil
      : recipe.quantization(
        weightBits: bits, activationBits: bits, rangeGradient: rangeGradient, gradients: gradients)
    // A warm-up longer than the benchmark: the random masks stay as they are, the distances are kept up.
    let freezing =
      method == .freeze
      ? FreezingSpec(schedule: .linear, startStep: 1 << 30, totalSteps: 1 << 31, distanceEMA: 0.99) : nil
    let settings = recipe.settings(for: architecture)
    let weights = ParameterGroupSpec(optimizer: settings.optimizers.weights, learningRate: 1e-3)
    let spec = TrainingSpec(
      model: recipe.model(architecture, classes: classes, height: imageSide, width: imageSide),
      quantization: quantization, freezing: freezing, weights: weights,
      batchNorm: settings.batchNormGroup(besides: weights), quantizers: settings.quantizerGroup(learningRate: 1e-4),
      learningRateSchedule: .constant, batchSize: batch, dropLastPartialBatch: true, totalSteps: 1 << 30,
      augment: false, seed: 1)
    let learner = try Learner(spec: spec, backend: backend)
    let network = learner.network
    network.initializeWeights(seed: 1)
    network.initializeWeightQuantizers()
    var random = CounterRandom(seed: 2, stream: 0)
    network.withInput { memory in
      for index in memory.images.indices { memory.images[index] = random.normal() }
      for index in memory.labels.indices { memory.labels[index] = Int32(random.bounded(classes)) }
    }
    if method == .freeze {
      for (index, layer) in network.convolutions.enumerated() {
        layer.freezing?.freezeRandomly(share: frozenShare, seed: UInt64(index))
      }
    }
    if learner.needsQuantizerInitialization { learner.initializeQuantizers(images: batch) }
    return learner
  }

  /// The step's network, of one image; for its shapes.
  func makeNetwork(_ instructionSet: InstructionSet) throws(NetworkError) -> Network {
    var small = self
    (small.batch, small.threads) = (1, 1)
    return try small.makeLearner(instructionSet).network
  }

  /// One step with every task run by one thread.
  struct Profile {
    /// Of the whole step.
    var seconds: Double
    var tasks: TaskProfile
    var partialSumBytes: Int
    /// Seconds outside all tasks.
    var serial: Double { seconds - tasks.total }
  }

  /// - Throws: `NetworkError` where the network does not take such images.
  func profile(
    steps: Int, warmUp: Int = 2, instructionSet: InstructionSet = .best
  ) throws(NetworkError) -> [Profile] {
    let learner = try makeLearner(instructionSet)
    let backend = learner.network.backend
    let pool = backend.pool
    return (0..<warmUp + steps).map { _ in
      let tasks = TaskProfile()
      pool.profile = tasks
      let start = StepClock.now()
      _ = learner.computeGradients(images: batch)
      learner.applyGradients()
      pool.profile = nil
      return Profile(seconds: StepClock.now() - start, tasks: tasks, partialSumBytes: backend.partialSumBytes)
    }.suffix(steps)
  }

  /// - Throws: `NetworkError` where the network does not take such images.
  public func run(
    steps: Int, warmUp: Int = 3, instructionSet: InstructionSet = .best
  ) throws(NetworkError) -> Result {
    let learner = try makeLearner(instructionSet)
    let network = learner.network
    let backend = network.backend
    var times: [Double] = []
    var parts: [[Double]] = StepPart.allCases.map { _ in [] }
    var layerTimes: [[Double]] = network.convolutions.map { _ in [] }
    for step in 0..<(warmUp + steps) {
      learner.resetSeconds()
      let start = StepClock.now()
      _ = learner.computeGradients(images: batch)
      learner.applyGradients()
      let elapsed = StepClock.now() - start
      if step < warmUp { continue }
      times.append(elapsed * 1e3)
      for part in StepPart.allCases { parts[part.rawValue].append(backend.seconds[part.rawValue] * 1e3) }
      for (index, layer) in network.convolutions.enumerated() {
        layerTimes[index].append(layer.weightGradientSeconds * 1e3)
      }
    }
    let spread = Spread(times)
    return Result(
      milliseconds: spread,
      parts: StepPart.allCases.map { ($0, Spread(parts[$0.rawValue]).median) },
      imagesPerSecond: Double(batch) / spread.median * 1e3,
      weightGradientByLayer: zip(network.convolutions, layerTimes).map { ($0.name, Spread($1).median) })
  }
}

/// Quartiles and extremes of repeated measurements.
public struct Spread: Sendable {
  /// In the unit of the values, as all five.
  public var minimum: Double
  /// The value a quarter of the way from the smallest to the largest rank.
  public var lowerQuartile: Double
  /// The middle value, or the mean of the two in the middle.
  public var median: Double
  /// The value three quarters of the way from the smallest to the largest rank.
  public var upperQuartile: Double
  /// Equal to `minimum` for a single value.
  public var maximum: Double

  /// Interpolates linearly between neighbouring ranks, as NumPy does by default; `values` may be in any order.
  /// - Precondition: there is at least one.
  public init(_ values: [Double]) {
    precondition(!values.isEmpty)
    let sorted = values.sorted()
    func quantile(_ share: Double) -> Double {
      let position = share * Double(sorted.count - 1)
      let index = Int(position)
      let next = min(index + 1, sorted.count - 1)
      return sorted[index] + (position - Double(index)) * (sorted[next] - sorted[index])
    }
    minimum = sorted[0]
    lowerQuartile = quantile(0.25)
    median = quantile(0.5)
    upperQuartile = quantile(0.75)
    maximum = sorted[sorted.count - 1]
  }
}
