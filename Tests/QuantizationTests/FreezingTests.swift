import Foundation
import Kernels
import Quantization
import Tensor
import TestSupport
import Testing

struct FreezingPolicyTests {
  private static let clocks = [FreezingClock.fromZero, .fromMinusOne]

  private func policy(
    _ schedule: ThresholdSchedule, clock: FreezingClock = .fromZero, start: Int = 10, total: Int = 50, ema: Double = 0
  ) -> FreezingPolicy {
    FreezingPolicy(
      spec: FreezingSpec(schedule: schedule, startStep: start, totalSteps: total, distanceEMA: ema), clock: clock)
  }

  @Test("nothing freezes in the warm-up, and freezing begins right after it", arguments: clocks)
  func warmUp(clock: FreezingClock) {
    let first = 11 - clock.countsFrom
    for schedule in [ThresholdSchedule.fixed(0.1)] + ThresholdSchedule.named {
      let policy = policy(schedule, clock: clock)
      for forward in 1..<first { #expect(policy.threshold(forward: forward) == nil) }
      #expect(policy.threshold(forward: first) != nil)
    }
  }

  @Test("a fixed threshold is the same from the first step to the last")
  func fixed() {
    let policy = policy(.fixed(0.1))
    for forward in 11...50 { #expect(policy.threshold(forward: forward) == 0.1) }
  }

  @Test("the linear and sine schedules rise from one step's share to 1", arguments: clocks)
  func schedules(clock: FreezingClock) {
    let delay = -clock.countsFrom
    for (schedule, value) in [
      (ThresholdSchedule.linear, { (progress: Double) in progress }), (.sine, { sin(.pi / 2 * $0) }),
    ] as [(ThresholdSchedule, (Double) -> Double)] {
      let policy = policy(schedule, clock: clock)
      for forward in 11...50 {
        let threshold = policy.threshold(forward: forward + delay) ?? .nan
        #expect(abs(threshold - value(Double(forward - 10) / 40)) <= 1e-12)
      }
      #expect(policy.threshold(forward: 50 + delay) == 1)
    }
  }

  @Test("counting from −1 records levels, then distances, then follows the rule; counting from 0 follows it at once")
  func rules() {
    let late = FreezingClock.fromMinusOne
    #expect((1...4).map(late.rule) == [.recordLevels, .startDistance, .full, .full])
    let early = FreezingClock.fromZero
    #expect((1...3).map(early.rule) == [.full, .full, .full])
    #expect((1...3).map(late.time) == [0, 1, 2])
    #expect((1...3).map(early.time) == [1, 2, 3])
  }

  @Test("schedules and criteria are found by their names, which are unique, and rise from 0 to 1")
  func names() {
    #expect(Set(ThresholdSchedule.names).count == ThresholdSchedule.named.count)
    for schedule in ThresholdSchedule.named {
      #expect(ThresholdSchedule(named: schedule.description) == schedule)
      #expect(abs(schedule.threshold(at: 0)) <= 1e-12 && abs(schedule.threshold(at: 1) - 1) <= 1e-12)
      for part in 1...20 {
        #expect(schedule.threshold(at: Double(part) / 20) >= schedule.threshold(at: Double(part - 1) / 20))
      }
    }
    #expect(ThresholdSchedule(named: "fixed") == nil)
    #expect(Set(FreezingCriterion.all.map(\.name)).count == FreezingCriterion.all.count)
    for criterion in FreezingCriterion.all { #expect(FreezingCriterion(named: criterion.name) == criterion) }
  }

  @Test("a start at the end of training divides by nothing")
  func startAtTheEnd() {
    let policy = policy(.linear, start: 50, total: 50)
    #expect(policy.threshold(forward: 50) == nil)
    #expect(policy.threshold(forward: 51) == 1)
  }
}

/// The state of the weights' freezing against the rule written out one weight at a time in float64.
struct FreezingStateTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var rule: WeightRule
    var clock: FreezingClock
    var bits: Int
    var ema: Double
    var schedule: ThresholdSchedule
    var start: Int
    var testDescription: String { "\(rule), \(bits) bits, EMA \(ema), \(schedule), start \(start)" }
  }

  @Test(
    "distances, levels and masks follow the rule",
    arguments: [
      Case(rule: .fixedScale, clock: .fromZero, bits: 2, ema: 0, schedule: .linear, start: 3),
      Case(rule: .fixedScale, clock: .fromZero, bits: 3, ema: 0.9, schedule: .fixed(0.2), start: 0),
      Case(rule: .fixedScale, clock: .fromZero, bits: 4, ema: 0.5, schedule: .sine, start: 5),
      Case(rule: .fixedScale, clock: .fromZero, bits: 8, ema: 0.9, schedule: .linear, start: 0),
      Case(rule: .learnedRange, clock: .fromMinusOne, bits: 2, ema: 0, schedule: .linear, start: 3),
      Case(rule: .learnedRange, clock: .fromMinusOne, bits: 3, ema: 0.9, schedule: .fixed(0.2), start: 0),
      Case(rule: .learnedRange, clock: .fromMinusOne, bits: 4, ema: 0.5, schedule: .sine, start: 5),
      Case(rule: .learnedRange, clock: .fromMinusOne, bits: 8, ema: 0.9, schedule: .linear, start: 0),
    ])
  func rule(test: Case) {
    let count = 999
    let forwards = 20
    let weights = Buffer(normals(count, seed: 1))
    let moves = normals(count * forwards, seed: 2)
    let quantizer = test.rule.quantizer(bits: test.bits, rangeGradient: .dense, layer: "layer")
    quantizer.initialize(weights: weights)
    let policy = FreezingPolicy(
      spec: FreezingSpec(
        schedule: test.schedule, startStep: test.start, totalSteps: forwards, distanceEMA: test.ema),
      clock: test.clock)
    let state = FreezingState(count: count)
    let backend = CPUBackend(threads: 1)

    var distance = [Double](repeating: 0, count: count)
    var level = [Double](repeating: 0, count: count)
    var frozen = [Bool](repeating: false, count: count)
    var levelMoves = 0
    // The few whose decision hangs on the last bits of a float.
    var unsure = Set<Int>()
    for forward in 1...forwards {
      policy.advance(state, layer: "layer", forward: forward, quantizer: quantizer, weights: weights, on: backend)

      let startsLate = test.clock == .fromMinusOne
      let t = startsLate ? forward - 1 : forward
      let lambda: Double
      let progress = Double(t - test.start) / Double(forwards - test.start)
      switch test.schedule.label {
      case .constant(let value): lambda = value
      case .name("sine"): lambda = sin(.pi / 2 * progress)
      case .name: lambda = progress
      }
      for index in 0..<count {
        let w = Double(weights[index])
        let position: Double
        let size: Double
        let clamped: Double
        if let l = quantizer.lowerBound {
          size = Double((1 << test.bits) - 1)
          position = (w - l) / (quantizer.upperBound - l) * size
          clamped = min(max(position, 0), size)
        } else {
          size = Double(1 << (test.bits - 1))
          position = w / (abs(quantizer.upperBound) + 1e-6) * size
          clamped = min(max(position, -size), size - 1)
        }
        // On the edge between two levels the two precisions may part for good.
        if abs(abs(clamped - clamped.rounded(.towardZero)) - 0.5) < 1e-4 { unsure.insert(index) }
        let newLevel = clamped.rounded(.toNearestOrEven)
        let spacing = 1 / size
        let d = abs(position - newLevel) / size
        // Counting from −1, the first two forwards record levels, then distances.
        if startsLate && forward <= 2 {
          distance[index] = d
        } else if newLevel != level[index] {
          distance[index] = spacing
        } else {
          distance[index] = test.ema * distance[index] + (1 - test.ema) * d
        }
        if frozen[index] && newLevel != level[index] { levelMoves += unsure.contains(index) ? 0 : 1 }
        level[index] = newLevel
        if t > test.start {
          if abs(distance[index] - lambda * spacing) < 1e-5 * spacing && lambda < 1 { unsure.insert(index) }
          if distance[index] <= lambda * spacing * (1 + 1e-9) { frozen[index] = true }
        }
      }
      #expect(unsure.count < count / 20)
      var frozenCount = 0
      for index in 0..<count {
        if state.frozen[index] != 0 { frozenCount += 1 }
        if unsure.contains(index) { continue }
        #expect((state.frozen[index] != 0) == frozen[index], "weight \(index), forward \(forward)")
        if !(startsLate && forward == 1) {
          let error = abs(Double(state.distance[index]) - distance[index])
          #expect(error <= 1e-5, "weight \(index), forward \(forward)")
        }
      }
      #expect(state.frozenCount == frozenCount)
      for index in 0..<count where state.frozen[index] == 0 {
        weights[index] += 0.05 * moves[(forward - 1) * count + index]
      }
      // A learned range moves, and frozen weights' levels with it.
      if test.rule == .learnedRange { quantizer.parameters[0].scalar *= 1.01 }
    }
    #expect(frozen.contains(true) && state.frozenCount > count / 20)
    if test.rule == .fixedScale { #expect(state.levelMoves == 0) }
    #expect(abs(state.levelMoves - levelMoves) <= 2 * unsure.count)
    if test.rule == .learnedRange { #expect(state.levelMoves > 0) }
  }

  @Test(
    "with start 0 and m near 1, counting from 0 freezes the level-0 weights in the first step",
    arguments: [(2, 0.55), (3, 0.29), (4, 0.15)])
  func levelZero(bits: Int, expected: Double) {
    let weights = Buffer(normals(40_000, seed: 5))
    let quantizer = FixedScaleWeights(bits: bits, learnsOutputScale: false, layer: "layer")
    quantizer.initialize(weights: weights)
    let policy = FreezingPolicy(
      spec: FreezingSpec(schedule: .fixed(0.1), startStep: 0, totalSteps: 100, distanceEMA: 0.99), clock: .fromZero)
    let state = FreezingState(count: weights.count)
    policy.advance(
      state, layer: "layer", forward: 1, quantizer: quantizer, weights: weights, on: CPUBackend(threads: 1))
    #expect(abs(state.frozenShare - expected) <= 0.01)
    for index in 0..<weights.count {
      let isOnLevelZero = abs(weights[index] / quantizer.scale.scalar * Float(1 << (bits - 1))) <= 0.5
      #expect((state.frozen[index] != 0) == isOnLevelZero)
    }
  }

  @Test(
    "without memory, a fixed threshold of 0.5 or more freezes nearly all at once",
    arguments: [(WeightRule.fixedScale, FreezingClock.fromZero), (.learnedRange, .fromMinusOne)], [0.5, 0.7])
  func allAtOnce(scheme: (rule: WeightRule, clock: FreezingClock), threshold: Double) {
    let weights = Buffer(normals(10_000, seed: 6))
    let quantizer = scheme.rule.quantizer(bits: 4, rangeGradient: .dense, layer: "layer")
    quantizer.initialize(weights: weights)
    let policy = FreezingPolicy(
      spec: FreezingSpec(schedule: .fixed(threshold), startStep: 2, totalSteps: 100, distanceEMA: 0),
      clock: scheme.clock)
    let state = FreezingState(count: weights.count)
    let first = 3 - scheme.clock.countsFrom
    for forward in 1...first {
      #expect(state.frozenCount == 0)
      policy.advance(
        state, layer: "layer", forward: forward, quantizer: quantizer, weights: weights, on: CPUBackend(threads: 1))
    }
    // Not those far outside the range, and nothing on a level's edge.
    #expect(state.frozenShare > 0.99)
  }

  @Test("frozen stays frozen, whatever the distance does afterwards")
  func frozenForGood() {
    let weights = Buffer(normals(1000, seed: 7))
    let quantizer = LearnedRangeWeights(bits: 3, rangeGradient: .dense, layer: "layer")
    quantizer.initialize(weights: weights)
    let state = FreezingState(count: weights.count)
    let backend = CPUBackend(threads: 1)
    func advance(_ number: Int, _ rule: FreezingStep.Rule, threshold: Float?) {
      state.advance(
        quantizer.grid,
        step: FreezingStep(
          number: number, rule: rule, distanceEMA: 0, spacing: quantizer.spacing, thresholdDistance: threshold),
        weights: weights, on: backend)
    }
    advance(1, .recordLevels, threshold: nil)
    advance(2, .startDistance, threshold: quantizer.spacing / 4)
    let frozen = state.frozen.array
    #expect(state.frozenCount > 300 && state.frozenCount < 700)
    quantizer.upper.scalar *= 1.5
    advance(3, .full, threshold: 0)
    #expect(state.levelMoves > 0)
    for index in frozen.indices where frozen[index] != 0 { #expect(state.frozen[index] != 0) }

    let restored = FreezingState(count: weights.count)
    restored.frozen.copy(from: state.frozen)
    restored.restore(levelMoves: state.levelMoves)
    #expect(restored.frozenCount == state.frozenCount && restored.levelMoves == state.levelMoves)
  }
}
