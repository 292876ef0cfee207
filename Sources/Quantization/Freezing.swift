public import Kernels
public import Tensor

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Decides when weights freeze: pure arithmetic on step numbers.
///
/// Per weight and training forward: D = |v − level| with v before the clamp; D̄ ← m·D̄ + (1 − m)·D, or u where the level
/// differs from the previous forward's. After the warm-up a weight freezes for good when D̄ ≤ λ·u.
public struct FreezingPolicy: Sendable {
  public let spec: FreezingSpec
  public let recipe: Recipe

  public init(spec: FreezingSpec, recipe: Recipe) {
    self.spec = spec
    self.recipe = recipe
  }

  /// t of the `forward`-th training forward (1-based): `lts` counts from −1, as its published code does.
  public func time(forward: Int) -> Int { recipe == .lts ? forward - 1 : forward }

  /// λ in the `forward`-th training forward; nil during the warm-up.
  public func threshold(forward: Int) -> Double? {
    let elapsed = time(forward: forward) - spec.startStep
    guard elapsed > 0 else { return nil }
    let progress = Double(elapsed) / Double(max(1, spec.totalSteps - spec.startStep))
    switch spec.schedule {
    case .fixed(let threshold): return threshold
    case .linear: return progress
    case .sine: return sin(.pi / 2 * progress)
    }
  }

  /// The rule of the `forward`-th training forward. `lts` records levels in its first one and starts D̄ in the second;
  /// `spqat` applies the whole rule from the first, to a D̄ and a previous level of 0.
  public func rule(forward: Int) -> FreezingStep.Rule {
    guard recipe == .lts else { return .full }
    return forward == 1 ? .recordLevels : forward == 2 ? .startDistance : .full
  }

  public func step(forward: Int, spacing: Float) -> FreezingStep {
    FreezingStep(
      rule: rule(forward: forward), distanceEMA: Float(spec.distanceEMA), spacing: spacing,
      threshold: threshold(forward: forward).map { Float($0 * Double(spacing)) })
  }
}

/// Which weights of a layer are frozen, and what decides over the others.
public final class FreezingState {
  /// D̄, in units of v.
  public let distance: Buffer<Float>
  public let previousIndex: Buffer<Int16>
  /// One byte a weight, nonzero = frozen for good.
  public let frozen: Buffer<UInt8>
  public private(set) var frozenCount = 0
  /// How often a frozen weight's level moved with its range (possible in `lts` alone), summed over forwards.
  public private(set) var levelMoves = 0

  public init(count: Int) {
    distance = Buffer(count: count)
    previousIndex = Buffer(count: count)
    frozen = Buffer(count: count)
  }

  public var count: Int { frozen.count }
  public var frozenShare: Double { Double(frozenCount) / Double(count) }

  public func advance(_ grid: WeightGrid, step: FreezingStep, weights: Buffer<Float>, on context: any Backend) {
    let result = context.updateFreezing(
      grid, step: step, weights: weights, distance: distance, previousIndex: previousIndex, frozen: frozen)
    frozenCount = result.frozen
    levelMoves += result.levelMoves
  }

  /// Freezes a random share of the weights, to measure with.
  public func freezeRandomly(share: Double, seed: UInt64) {
    var random = CounterRandom(seed: seed, stream: 0)
    for index in 0..<count { frozen[index] = random.uniformDouble() < share ? 1 : 0 }
    restore(levelMoves: 0)
  }

  /// After the buffers were filled from a checkpoint.
  public func restore(levelMoves: Int) {
    frozenCount = frozen.reduce(0) { $0 + ($1 == 0 ? 0 : 1) }
    self.levelMoves = levelMoves
  }
}
