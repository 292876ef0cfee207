public import Kernels
public import Tensor

/// When and how weights freeze. All durations are resolved to training steps.
public struct FreezingSpec: Hashable, Sendable {
  /// Decides which weights freeze after the warm-up.
  public var criterion: FreezingCriterion
  /// λ by the steps since T_w.
  public var schedule: ThresholdSchedule
  /// T_w: freezing can happen from step T_w + 1 on.
  public var startStep: Int
  /// T: the step at which rising schedules reach 1.
  public var totalSteps: Int
  /// m, the momentum of the moving average of the distance, 0 ≤ m < 1.
  public var distanceEMA: Double

  /// Requires `startStep` ≥ 0, `totalSteps` > 0 and 0 ≤ `distanceEMA` < 1.
  public init(
    criterion: FreezingCriterion = .distance, schedule: ThresholdSchedule, startStep: Int, totalSteps: Int,
    distanceEMA: Double
  ) {
    precondition(startStep >= 0 && totalSteps > 0 && (0..<1).contains(distanceEMA))
    self.criterion = criterion
    self.schedule = schedule
    self.startStep = startStep
    self.totalSteps = totalSteps
    self.distanceEMA = distanceEMA
  }
}

/// Applies a `FreezingSpec` by a clock.
///
/// Per weight and training forward: D = |v − level| with v before the clamp; D̄ ← m·D̄ + (1 − m)·D, or u where the level
/// differs from the previous forward's. After the warm-up the criterion decides which weights freeze for good.
public struct FreezingPolicy: Sendable {
  /// When to freeze, in steps of `clock`.
  public let spec: FreezingSpec
  /// Turns training forwards into steps; a recipe's own.
  public let clock: FreezingClock

  /// Holds no state of weights: one policy serves all layers of a network.
  public init(spec: FreezingSpec, clock: FreezingClock) {
    self.spec = spec
    self.clock = clock
  }

  /// λ in the `forward`-th training forward (1-based); nil during the warm-up, in which nothing freezes.
  public func threshold(forward: Int) -> Double? {
    let elapsed = clock.time(forward: forward) - spec.startStep
    guard elapsed > 0 else { return nil }
    return spec.schedule.threshold(at: Double(elapsed) / Double(max(1, spec.totalSteps - spec.startStep)))
  }

  /// Takes a layer's state through the `forward`-th training forward (1-based).
  public func advance(
    _ state: FreezingState, forward: Int, quantizer: any WeightQuantizer, weights: Buffer<Float>,
    on backend: any Backend
  ) {
    spec.criterion.advance(
      state,
      FreezingMoment(
        number: forward, threshold: threshold(forward: forward), rule: clock.rule(forward: forward),
        distanceEMA: spec.distanceEMA,
        grid: quantizer.grid, spacing: quantizer.spacing, weights: weights),
      on: backend)
  }
}
