public import Kernels
public import Tensor

/// When and how weights freeze. All durations are resolved to training steps.
public struct FreezingSpec: Hashable, Sendable {
  /// Decides which weights freeze. Another one forgets the settings that it does not read.
  public var criterion: FreezingCriterion { didSet { forgetUnread() } }
  /// λ by the steps since T_w.
  public var schedule: ThresholdSchedule
  /// T_w: freezing can happen from step T_w + 1 on.
  public var startStep: Int
  /// T: the step at which rising schedules reach 1.
  public var totalSteps: Int
  /// m, the momentum of the moving average of the distance, 0 ≤ m < 1.
  public var distanceEMA: Double
  /// The step after which everything freezes, under a criterion that reads one; nil: such that it eliminates as many updates as
  /// the paired run.
  public var stopStep: Int?
  /// For how many steps a level has to stay, under a criterion that reads it; at least 1.
  public var unchangedSteps: Int?
  /// Id of the run with the criterion `distance` from which counts or savings are taken; nil: none.
  public var pair: String?
  /// Whether decisions are recorded and nothing freezes.
  public var isShadow: Bool

  /// Requires `startStep` ≥ 0, `totalSteps` > 0 and 0 ≤ `distanceEMA` < 1.
  public init(
    criterion: FreezingCriterion = .distance, schedule: ThresholdSchedule, startStep: Int, totalSteps: Int,
    distanceEMA: Double, stopStep: Int? = nil, unchangedSteps: Int? = nil, pair: String? = nil, isShadow: Bool = false
  ) {
    precondition(startStep >= 0 && totalSteps > 0 && (0..<1).contains(distanceEMA))
    self.criterion = criterion
    self.schedule = schedule
    self.startStep = startStep
    self.totalSteps = totalSteps
    self.distanceEMA = distanceEMA
    self.stopStep = stopStep
    self.unchangedSteps = unchangedSteps
    self.pair = pair
    self.isShadow = isShadow
  }

  private mutating func forgetUnread() {
    if !reads(.threshold) { schedule = .fixed(0) }
    if !reads(.start) { startStep = 0 }
    if !reads(.stop) { stopStep = nil }
    if !reads(.steps) { unchangedSteps = nil }
  }

  /// Whether the setting has an effect: where the criterion reads it, or the paired run's, which has the same settings.
  public func reads(_ parameter: FreezingCriterion.Parameter) -> Bool {
    criterion.parameters.contains(parameter)
      || (pair != nil && FreezingCriterion.distance.parameters.contains(parameter))
  }
}

/// Applies a `FreezingSpec` by a clock.
///
/// Per weight and training forward: D = |v − level| with v before the clamp; D̄ ← m·D̄ + (1 − m)·D, or u where the level
/// differs from the previous forward's. The criterion decides which weights freeze for good.
public struct FreezingPolicy: Sendable {
  /// When to freeze, in steps of `clock`.
  public let spec: FreezingSpec
  /// Turns training forwards into steps; a recipe's own.
  public let clock: FreezingClock
  /// Of the run that this one is paired with.
  private let pair: PairedFreezing?
  /// Of random choices.
  private let seed: UInt64
  /// The time after which everything freezes, under a criterion that reads one.
  private let stop: Int?

  /// Holds no state of weights: one policy serves all layers of a network.
  /// - Parameters:
  ///   - pair: what the run froze that `spec.pair` names; nil where that is nil.
  ///   - seed: the run's.
  public init(spec: FreezingSpec, clock: FreezingClock, pair: PairedFreezing? = nil, seed: UInt64 = 0) {
    precondition((spec.pair == nil) == (pair == nil), "a paired run needs the other's counts, and no other run does")
    self.spec = spec
    self.clock = clock
    self.pair = pair
    self.seed = seed
    // All weights frozen from forward f on eliminate (T − f + 1) / T of the updates.
    let matched = pair.map { pair in
      spec.totalSteps - Int((pair.eliminated * Double(spec.totalSteps)).rounded()) + clock.countsFrom
    }
    stop = spec.criterion.parameters.contains(.stop) ? spec.stopStep ?? matched : nil
  }

  /// λ in the `forward`-th training forward (1-based); nil during the warm-up, in which nothing freezes, and under criteria that
  /// read none.
  public func threshold(forward: Int) -> Double? {
    let elapsed = clock.time(forward: forward) - spec.startStep
    guard spec.criterion.parameters.contains(.threshold), elapsed > 0 else { return nil }
    return spec.schedule.threshold(at: Double(elapsed) / Double(max(1, spec.totalSteps - spec.startStep)))
  }

  /// Takes the state of the layer of this name through the `forward`-th training forward (1-based).
  public func advance(
    _ state: FreezingState, layer: String, forward: Int, quantizer: any WeightQuantizer, weights: Buffer<Float>,
    on backend: any Backend
  ) {
    spec.criterion.advance(
      state,
      FreezingMoment(
        number: forward, time: clock.time(forward: forward), threshold: threshold(forward: forward),
        rule: clock.rule(forward: forward), spec: spec, stop: stop,
        pairedCount: pair?.count(layer: layer, step: forward) ?? 0,
        random: CounterRandom(
          seed: seed, stream: UInt64(pair?.number(of: layer) ?? 0) << 32 | UInt64(forward), purpose: .freezing),
        grid: quantizer.grid, spacing: quantizer.spacing, weights: weights),
      on: backend)
  }
}
