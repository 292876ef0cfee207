public import Kernels
public import Tensor

/// Which weights of a layer are frozen, what decides over the others, and how their levels came about.
public final class FreezingState {
  /// D̄, in units of v.
  public let distance: Buffer<Float>
  /// The index of each weight's level in the forward before (`WeightGrid`: before multiplier and addend), 0 at first.
  public let previousIndex: Buffer<Int16>
  /// One byte a weight, nonzero = frozen for good.
  public let frozen: Buffer<UInt8>
  /// What every training forward records, frozen or not.
  public let history: LevelHistory
  /// What the criterion decided, one byte a weight: `frozen` itself, but where nothing is to freeze.
  public private(set) var decided: Buffer<UInt8>
  private var decidedCount = 0
  /// How often a frozen weight's level moved with its range (possible where ranges are learned), summed over forwards.
  public private(set) var levelMoves = 0

  /// Nothing is frozen, and distances and previous indices are 0.
  public init(count: Int) {
    distance = Buffer(count: count)
    previousIndex = Buffer(count: count)
    frozen = Buffer(count: count)
    decided = frozen
    history = LevelHistory(count: count)
  }

  /// Decisions are recorded from here on, and freeze nothing; to be called before the first forward.
  public func keepDecisionsApart() { decided = Buffer(count: count) }

  /// Whether decisions freeze nothing.
  public var isShadow: Bool { decided !== frozen }
  /// How many weights the layer has.
  public var count: Int { frozen.count }
  /// How many bytes of `frozen` are nonzero, as of the last `advance`, `freezeRandomly` or `restore`.
  public var frozenCount: Int { isShadow ? 0 : decidedCount }
  /// `frozenCount` / `count`, 0...1.
  public var frozenShare: Double { Double(frozenCount) / Double(count) }

  /// One training forward: levels and distances by the moment's rule, and what freezes by either threshold (nil: nothing).
  public func advance(
    _ moment: FreezingMoment, thresholdDistance: Float? = nil, unchangedSteps: Int? = nil, on backend: any Backend
  ) {
    advance(
      moment.grid,
      step: FreezingStep(
        number: moment.number, rule: moment.rule, distanceEMA: Float(moment.spec.distanceEMA), spacing: moment.spacing,
        thresholdDistance: thresholdDistance, unchangedSteps: unchangedSteps), weights: moment.weights, on: backend)
  }

  /// One training forward: levels and distances by `step`, and what its thresholds freeze.
  public func advance(_ grid: WeightGrid, step: FreezingStep, weights: Buffer<Float>, on backend: any Backend) {
    let result = backend.updateFreezing(
      grid, step: step, weights: weights, distance: distance, previousIndex: previousIndex, frozen: decided,
      history: history)
    decidedCount = result.frozen
    if !isShadow { levelMoves += result.levelMoves }
  }

  /// The training forward of this number (1-based) where nothing decides over freezing: records levels alone.
  public func recordLevels(
    number: Int, quantizer: any WeightQuantizer, weights: Buffer<Float>, on backend: any Backend
  ) {
    advance(
      quantizer.grid,
      step: FreezingStep(
        number: number, rule: .recordLevels, distanceEMA: 0, spacing: quantizer.spacing, thresholdDistance: nil),
      weights: weights, on: backend)
  }

  /// Decides on so many weights more, or on all that are left, each of them as likely as any other; before the forward's
  /// `advance`.
  func choose(_ wanted: Int, by random: inout CounterRandom) {
    // Drawn again where it is taken: uniform over the rest.
    for _ in 0..<min(wanted, count - decidedCount) {
      var weight = random.bounded(count)
      while decided[weight] != 0 { weight = random.bounded(count) }
      decided[weight] = 1
    }
  }

  /// Freezes a random share of the weights, to measure with.
  public func freezeRandomly(share: Double, seed: UInt64) {
    var random = CounterRandom(seed: seed, stream: 0)
    for index in 0..<count { frozen[index] = random.uniformDouble() < share ? 1 : 0 }
    restore(levelMoves: 0)
  }

  /// After the buffers were filled from a checkpoint.
  public func restore(levelMoves: Int) {
    decidedCount = decided.reduce(0) { $0 + ($1 == 0 ? 0 : 1) }
    self.levelMoves = levelMoves
  }
}
