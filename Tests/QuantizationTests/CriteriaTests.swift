import Kernels
import Quantization
import Tensor
import TestSupport
import Testing

/// Each criterion against cases worked out by hand. Two bits on a fixed scale of 1: positions are 2·w, indices −2 … 1, u = 1/2.
struct CriteriaTests {
  private let backend = CPUBackend(threads: 1)

  private let quantizer: FixedScaleWeights = {
    let quantizer = FixedScaleWeights(bits: 2, learnsOutputScale: false, layer: "layer")
    quantizer.scale.scalar = 1
    return quantizer
  }()

  /// One layer through forwards with these weights.
  private func steps(
    _ policy: FreezingPolicy, layer: String = "layer", shadow: Bool = false, _ forwards: [[Float]]
  ) -> (state: FreezingState, frozen: [Int]) {
    let state = FreezingState(count: forwards[0].count)
    if shadow { state.keepDecisionsApart() }
    var counts: [Int] = []
    for (index, weights) in forwards.enumerated() {
      policy.advance(
        state, layer: layer, forward: index + 1, quantizer: quantizer, weights: Buffer(weights), on: backend)
      counts.append(state.frozenCount)
    }
    return (state, counts)
  }

  private func spec(
    _ criterion: FreezingCriterion, total: Int = 10, start: Int = 0, stop: Int? = nil, steps: Int? = nil,
    pair: String? = nil
  ) -> FreezingSpec {
    FreezingSpec(
      criterion: criterion, schedule: .fixed(0.2), startStep: start, totalSteps: total, distanceEMA: 0, stopStep: stop,
      unchangedSteps: steps, pair: pair)
  }

  @Test("distance: what is within λ of its level freezes after the start, and a level that changed is a spacing away")
  func distance() {
    // D/u of 0, 0.1, 0.3, and from the second forward on 0 behind a change.
    let weights: [[Float]] = [
      [0.5, 0.05, 0.15, 0], [0.5, 0.05, 0.15, 0], [0.5, 0.05, 0.15, 0.5], [0.5, 0.05, 0.15, 0.5],
    ]
    let (state, frozen) = steps(FreezingPolicy(spec: spec(.distance, start: 2), clock: .fromZero), weights)
    #expect(frozen == [0, 0, 2, 3])
    #expect(state.history.freezingStep.array == [3, 3, 0, 4])
    #expect(state.history.freezingIndex.array == [1, 0, 0, 1])
    #expect(zip(state.history.freezingDistance, [0, 0.05, 0, 0] as [Float]).allSatisfy { abs($0 - $1) <= 1e-6 })
  }

  @Test(
    "clock: everything freezes at once after the stop, whatever the weights do",
    arguments: [(FreezingClock.fromZero, 3), (.fromMinusOne, 4)])
  func clock(clock: FreezingClock, first: Int) {
    let weights: [[Float]] = (0..<5).map { [Float($0 % 2) / 2, 0.24, 9] }
    let (state, frozen) = steps(FreezingPolicy(spec: spec(.clock, stop: 2), clock: clock), weights)
    #expect(frozen == (1...5).map { $0 < first ? 0 : 3 })
    #expect(state.history.freezingStep.array == [Int32](repeating: Int32(first), count: 3))
  }

  @Test(
    "clock, matched: the stop eliminates what the paired run does",
    arguments: [FreezingClock.fromZero, .fromMinusOne])
  func matchedClock(clock: FreezingClock) {
    // Of 4 weights over 4 steps, frozen from steps 1, 3, 3 on and never: 4 + 2 + 2 of 16 updates.
    let pair = PairedFreezing(freezingSteps: [("a", [1, 0, 3]), ("b", [3])], totalSteps: 4)
    #expect(pair.eliminated == 0.5)
    let policy = FreezingPolicy(spec: spec(.clock, total: 4, pair: "a"), clock: clock, pair: pair)
    #expect(steps(policy, [[0], [0], [0], [0]]).frozen == [0, 0, 1, 1])
    // Nothing to match: nothing freezes.
    let none = PairedFreezing(freezingSteps: [("a", [0])], totalSteps: 4)
    let idle = FreezingPolicy(spec: spec(.clock, total: 4, pair: "a"), clock: clock, pair: none)
    #expect(steps(idle, [[0], [0], [0], [0]]).frozen == [0, 0, 0, 0])
  }

  @Test("levelChange: a level that stayed for so many comparisons freezes, once the start is over")
  func levelChange() {
    // Indices: 1 1 1 1 1; 0 1 1 1 1; 0 1 0 1 0.
    let weights: [[Float]] = [[0.5, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
    let early = FreezingPolicy(spec: spec(.levelChange, steps: 2), clock: .fromZero)
    #expect(steps(early, weights).frozen == [0, 0, 1, 2, 2])
    let late = FreezingPolicy(spec: spec(.levelChange, start: 4, steps: 2), clock: .fromZero)
    let (state, frozen) = steps(late, weights)
    #expect(frozen == [0, 0, 0, 0, 2])
    #expect(state.history.freezingStep.array == [5, 5, 0] && state.history.settlingStep.array == [0, 2, 5])
    #expect(early.threshold(forward: 5) == nil)
  }

  @Test("random: in every layer and step as many freeze as in the paired run")
  func randomCounts() {
    let pair = PairedFreezing(
      freezingSteps: [("a", [2, 2, 2, 3, 0, 0, 5, 5]), ("b", [4, 4, 0])], totalSteps: 5)
    let policy = FreezingPolicy(spec: spec(.random, total: 5, pair: "id"), clock: .fromZero, pair: pair, seed: 3)
    let weights = [[Float]](repeating: [Float](repeating: 0.24, count: 8), count: 5)
    let (state, frozen) = steps(policy, layer: "a", weights)
    #expect(frozen == [0, 3, 4, 4, 6])
    #expect(state.history.freezingStep.array.sorted() == [0, 0, 2, 2, 2, 3, 5, 5])
    #expect(steps(policy, layer: "b", weights.map { Array($0.prefix(3)) }).frozen == [0, 0, 0, 2, 2])
    #expect(steps(policy, layer: "c", weights).frozen == [0, 0, 0, 0, 0])
  }

  @Test("random: choices are the seed's, layer's and step's own numbers, drawn again where a weight is taken")
  func randomChoices() {
    let pair = PairedFreezing(freezingSteps: [("a", [0]), ("b", [1, 1, 3, 3, 3, 0])], totalSteps: 3)
    let policy = FreezingPolicy(spec: spec(.random, total: 3, pair: "id"), clock: .fromZero, pair: pair, seed: 11)
    let weights = [[Float]](repeating: [Float](repeating: 0.24, count: 6), count: 3)
    var expected = [Int32](repeating: 0, count: 6)
    for (step, wanted) in [(1, 2), (3, 3)] {
      var random = CounterRandom(seed: 11, stream: 1 << 32 | UInt64(step), purpose: .freezing)
      for _ in 0..<wanted {
        var weight = random.bounded(6)
        while expected[weight] != 0 { weight = random.bounded(6) }
        expected[weight] = Int32(step)
      }
    }
    #expect(steps(policy, layer: "b", weights).state.history.freezingStep.array == expected)
  }

  @Test("random: every unfrozen weight is as likely as any other")
  func uniform() {
    let pair = PairedFreezing(freezingSteps: [("a", [1, 1, 2, 0, 0, 0])], totalSteps: 2)
    let weights = [[Float]](repeating: [Float](repeating: 0.24, count: 6), count: 2)
    var chosen = [Int](repeating: 0, count: 6)
    let runs = 3000
    for seed in 0..<runs {
      let policy = FreezingPolicy(
        spec: spec(.random, total: 2, pair: "id"), clock: .fromZero, pair: pair, seed: UInt64(seed))
      for (weight, step) in steps(policy, layer: "a", weights).state.history.freezingStep.enumerated() where step > 0 {
        chosen[weight] += 1
      }
    }
    // Half of the weights: mean 1500, standard deviation sqrt(3000/4) = 27.
    #expect(chosen.reduce(0, +) == 3 * runs && chosen.allSatisfy { abs($0 - runs / 2) < 5 * 28 })
  }

  @Test("in the shadow decisions are recorded and nothing is frozen")
  func shadow() {
    let weights: [[Float]] = [[0.5, 0.05, 0.15], [0.5, 0.05, 0.15], [0, 0.05, 0.15], [0.5, 0.05, 0.15]]
    let policy = FreezingPolicy(spec: spec(.distance, start: 1), clock: .fromZero)
    let (state, frozen) = steps(policy, shadow: true, weights)
    #expect(frozen == [0, 0, 0, 0] && state.frozen.array == [0, 0, 0] && state.levelMoves == 0)
    #expect(state.decided.array == [1, 1, 0] && state.history.freezingStep.array == [2, 2, 0])
    #expect(state.history.freezingIndex.array == [1, 0, 0] && state.history.settlingStep.array == [4, 0, 0])
    let (acting, counts) = steps(policy, weights)
    #expect(counts == [0, 2, 2, 2] && acting.frozen.array == [1, 1, 0] && acting.levelMoves == 2)
  }
}
