import CKernels
import Testing

@Suite("Quantization kernels")
struct QuantizationKernelsTests {
  typealias Buffer = Elementwise.Buffer

  private static let counts = [1, 2, 3, 7, 8, 9, 16, 17, 64, 511, 512, 513, 1023, 5000]

  private func kernels(_ isa: sq_isa) -> sq_quantization_kernels { sq_kernels_for(isa)!.pointee.quantization }

  /// A signed grid of 2^bits integers: value = index / 2^(bits - 1).
  private static func fixedScale(bits: Int, scale: Float) -> sq_weight_quantizer {
    let half = Float(1 << (bits - 1))
    return sq_weight_quantizer(
      offset: 0, inverse_step: half / scale, lowest: -half, highest: half - 1, multiplier: 1, addend: 0,
      value_scale: 1 / half)
  }

  /// 2^bits levels across [low, high]: value = (2 index - n) / n.
  private static func learnedRange(bits: Int, low: Float, high: Float) -> sq_weight_quantizer {
    let n = (1 << bits) - 1
    return sq_weight_quantizer(
      offset: low, inverse_step: Float(n) / (high - low), lowest: 0, highest: Float(n), multiplier: 2,
      addend: Int32(-n), value_scale: 1 / Float(n))
  }

  /// Quantizers with which `isa` and the reference agree to the bit.
  private static func quantizers(_ isa: sq_isa) -> [sq_weight_quantizer] {
    isa == SQ_ISA_PORTABLE
      ? [
        fixedScale(bits: 2, scale: 2), fixedScale(bits: 4, scale: 4), learnedRange(bits: 2, low: -1.5, high: 1.5),
        learnedRange(bits: 3, low: -2, high: 1.5),
      ]
      : [
        fixedScale(bits: 2, scale: 1.7), fixedScale(bits: 8, scale: 2.3),
        learnedRange(bits: 2, low: -1.4, high: 1.6), learnedRange(bits: 4, low: -1.1, high: 2.9),
      ]
  }

  // MARK: Quantization

  @Test("Weights quantize as the reference does, with either output or both", arguments: Elementwise.vectorised)
  func quantize(isa: sq_isa) {
    for count in Self.counts {
      var weights = Elementwise.values(count, seed: 1, isa: isa)
      weights[count / 2] = .nan
      let input = Buffer(weights)
      for quantizer in Self.quantizers(isa) {
        for outputs in 1...3 {
          func run(_ set: sq_isa) -> (Buffer<Float>, Buffer<Int8>) {
            let (values, levels) = (
              Buffer<Float>(repeating: 9, count: count), Buffer<Int8>(repeating: 99, count: count)
            )
            var quantizer = quantizer
            kernels(set).quantize_weights(
              &quantizer, input.pointer, Int64(count), outputs & 1 != 0 ? values.pointer : nil,
              outputs & 2 != 0 ? levels.pointer : nil)
            return (values, levels)
          }
          let (result, reference) = (run(isa), run(SQ_ISA_REFERENCE))
          Elementwise.expectSame(result.0, reference.0, "values of \(count), \(quantizer)")
          Elementwise.expectSame(result.1, reference.1, "levels of \(count), \(quantizer)")
        }
      }
    }
  }

  @Test("A fixed scale gives 2^bits signed values, half to even", arguments: Elementwise.all)
  func fixedScaleLevels(isa: sq_isa) {
    // Two bits, scale 1: positions are 2 w, indices -2 ... 1.
    let weights = Buffer<Float>([-2, -1, -0.75, -0.25, 0, 0.25, 0.26, 0.5, 0.75, 3, .nan])
    let values = Buffer<Float>(repeating: 9, count: 11)
    let levels = Buffer<Int8>(repeating: 9, count: 11)
    var quantizer = Self.fixedScale(bits: 2, scale: 1)
    kernels(isa).quantize_weights(&quantizer, weights.pointer, 11, values.pointer, levels.pointer)
    #expect(levels.values == [-2, -2, -2, 0, 0, 0, 1, 1, 1, 1, 0])
    #expect(Array(values.values.dropLast()) == [-1, -1, -1, 0, 0, 0, 0.5, 0.5, 0.5, 0.5])
    #expect(values.values[10].isNaN)
  }

  @Test("A learned range gives odd levels from -n to n", arguments: Elementwise.all)
  func learnedRangeLevels(isa: sq_isa) {
    // Two bits over [-1.5, 1.5]: positions are w + 1.5, levels -3, -1, 1, 3.
    let weights = Buffer<Float>([-9, -1.5, -1, -0.99, 0, 0.01, 1, 1.01, 1.5, 9])
    let values = Buffer<Float>(repeating: 9, count: 10)
    let levels = Buffer<Int8>(repeating: 9, count: 10)
    var quantizer = Self.learnedRange(bits: 2, low: -1.5, high: 1.5)
    kernels(isa).quantize_weights(&quantizer, weights.pointer, 10, values.pointer, levels.pointer)
    #expect(levels.values == [-3, -3, -3, -1, 1, 1, 1, 3, 3, 3])
    for (value, level) in zip(values.values, levels.values) { #expect(value == Float(level) * (1 / Float(3))) }
  }

  // MARK: Freezing

  private struct History {
    let (settlingStep, levelChanges, freezingStep): (Buffer<Int32>, Buffer<Int32>, Buffer<Int32>)
    let (distance, freezingDistance): (Buffer<Float>, Buffer<Float>)
    let freezingIndex: Buffer<Int16>

    init(count: Int) {
      settlingStep = Buffer(repeating: 0, count: count)
      levelChanges = Buffer(repeating: 0, count: count)
      freezingStep = Buffer(repeating: 0, count: count)
      distance = Buffer(repeating: 0, count: count)
      freezingDistance = Buffer(repeating: 0, count: count)
      freezingIndex = Buffer(repeating: 0, count: count)
    }

    func c(_ number: Int) -> sq_level_history {
      sq_level_history(
        number: Int32(number), settling_step: settlingStep.pointer, level_changes: levelChanges.pointer,
        distance: distance.pointer, freezing_step: freezingStep.pointer, freezing_index: freezingIndex.pointer,
        freezing_distance: freezingDistance.pointer)
    }
  }

  private struct FreezingState {
    var distance: Buffer<Float>
    var previous: Buffer<Int16>
    var frozen: Buffer<UInt8>
    var history: History
    var counts: [Int64] = []
    var moves: [Int64] = []

    init(count: Int) {
      distance = Buffer(repeating: 0, count: count)
      previous = Buffer(repeating: 0, count: count)
      frozen = Buffer(repeating: 0, count: count)
      history = History(count: count)
    }
  }

  @Test("Freezing follows the reference through many steps", arguments: Elementwise.vectorised)
  func freezing(isa: sq_isa) {
    for count in Self.counts {
      for quantizer in Self.quantizers(isa) {
        for (threshold, unchanged): (Float, Int32) in [(-1, 0), (0, 0), (0.06, 0), (0.125, 0), (-1, 2), (0.06, 3)] {
          func run(_ set: sq_isa) -> FreezingState {
            var state = FreezingState(count: count)
            for number in 0..<9 {
              var weights = Elementwise.values(count, seed: 40 + UInt64(number / 2), isa: isa)
              weights[count - 1] = .nan
              let input = Buffer(weights)
              var quantizer = quantizer
              var step = sq_freezing_step(
                ema: isa == SQ_ISA_PORTABLE ? 0.5 : 0.9, reset_distance: 0.25, distance_scale: 0.25,
                freeze_threshold: number < 3 ? -1 : threshold, mode: Int32(min(number, 2)),
                freeze_unchanged: number < 3 ? 0 : unchanged)
              var history = state.history.c(number + 1)
              // What another criterion chose.
              if number == 4 && count > 2 { state.frozen.pointer[1] = 1 }
              var moves: Int64 = 100
              state.counts.append(
                kernels(set).update_freezing(
                  &quantizer, &step, input.pointer, Int64(count), state.distance.pointer, state.previous.pointer,
                  state.frozen.pointer, &history, &moves))
              state.moves.append(moves)
            }
            return state
          }
          let (result, reference) = (run(isa), run(SQ_ISA_REFERENCE))
          let backend = "\(count) weights, threshold \(threshold), unchanged \(unchanged), \(quantizer)"
          Elementwise.expectSame(result.distance, reference.distance, "distance, \(backend)")
          Elementwise.expectSame(result.previous, reference.previous, "previous index, \(backend)")
          Elementwise.expectSame(result.frozen, reference.frozen, "frozen, \(backend)")
          let (ours, theirs) = (result.history, reference.history)
          Elementwise.expectSame(ours.settlingStep, theirs.settlingStep, "settling step, \(backend)")
          Elementwise.expectSame(ours.levelChanges, theirs.levelChanges, "level changes, \(backend)")
          Elementwise.expectSame(ours.distance, theirs.distance, "D, \(backend)")
          Elementwise.expectSame(ours.freezingStep, theirs.freezingStep, "freezing step, \(backend)")
          Elementwise.expectSame(ours.freezingIndex, theirs.freezingIndex, "freezing index, \(backend)")
          Elementwise.expectSame(ours.freezingDistance, theirs.freezingDistance, "freezing D, \(backend)")
          #expect(result.counts == reference.counts, "\(backend)")
          #expect(result.moves == reference.moves, "\(backend)")
          #expect(result.counts.last! == Int64(result.frozen.values.count { $0 == 1 }))
          #expect(zip(result.counts, result.counts.dropFirst()).allSatisfy { $0 <= $1 })
          #expect(threshold >= 0 || unchanged > 0 || result.counts.last! == (count > 2 ? 1 : 0))
          if unchanged == 0 { #expect(result.frozen.values[count - 1] == 0, "NaN is at no distance") }
        }
      }
    }
  }

  @Test(
    "One weight's distance averages, resets when its level changes, and freezes it for good",
    arguments: Elementwise.all)
  func freezingByHand(isa: sq_isa) {
    // Positions are 2 w, u = 0.5, D = |2 w - index| / 2, m = 0.5.
    var quantizer = Self.fixedScale(bits: 2, scale: 1)
    let (distance, previous, frozen) = (
      Buffer<Float>([0]), Buffer<Int16>([0]), Buffer<UInt8>([0])
    )
    let history = History(count: 1)
    var (moves, number): (Int64, Int) = (0, 0)
    func advance(_ weight: Float, threshold: Float) -> Int64 {
      let weights = Buffer([weight])
      number += 1
      var record = history.c(number)
      var step = sq_freezing_step(
        ema: 0.5, reset_distance: 0.5, distance_scale: 0.5, freeze_threshold: threshold, mode: 2, freeze_unchanged: 0)
      return kernels(isa).update_freezing(
        &quantizer, &step, weights.pointer, 1, distance.pointer, previous.pointer, frozen.pointer, &record, &moves)
    }
    // Level 0, as at the start: D = 0.125, averaged with 0.
    #expect(advance(0.125, threshold: -1) == 0)
    #expect(distance.values == [0.0625])
    // Level 1: the average becomes u.
    #expect(advance(0.5, threshold: 0.1) == 0)
    #expect(distance.values == [0.5] && previous.values == [1])
    // Stays at level 1 with D = 0.
    #expect(advance(0.5, threshold: 0.1) == 0)
    #expect(advance(0.5, threshold: 0.1) == 0)
    #expect(distance.values == [0.125])
    // The threshold itself freezes.
    #expect(advance(0.5, threshold: 0.0625) == 1)
    #expect(frozen.values == [1] && moves == 0)
    // A frozen weight stays frozen, though a moving range can change its level; its distance goes on.
    #expect(advance(-0.5, threshold: 0.0625) == 1)
    #expect(moves == 1 && distance.values == [0.5] && previous.values == [-1])
    // Beyond the clamp, distance is measured from the position before it.
    #expect(advance(5, threshold: -1) == 1)
    #expect(advance(5, threshold: -1) == 1)
    #expect(distance.values == [2.5])
    // Levels 0 1 1 1 1 -1 1 1 in passes 1 to 8; frozen in pass 5 on level 1 at its very place.
    #expect(history.settlingStep.values == [7] && history.levelChanges.values == [3])
    #expect(history.distance.values == [4.5])
    #expect(history.freezingStep.values == [5] && history.freezingIndex.values == [1])
    #expect(history.freezingDistance.values == [0])
  }

  @Test(
    "A level that stays for so many comparisons freezes, and the first pass is compared with none",
    arguments: Elementwise.all)
  func unchangedByHand(isa: sq_isa) {
    var quantizer = Self.fixedScale(bits: 2, scale: 1)
    // Indices by pass: the first weight stays on 1, the second leaves it for 0 in pass 3, the third moves every time.
    let passes: [[Float]] = [
      [0.5, 0.5, 0], [0.5, 0.5, 0.5], [0.5, 0, 0], [0.5, 0, 0.5], [0.5, 0, 0], [0.5, 0, 0.5],
    ]
    let (distance, previous, frozen) = (
      Buffer<Float>(repeating: 0, count: 3), Buffer<Int16>(repeating: 0, count: 3),
      Buffer<UInt8>(repeating: 0, count: 3)
    )
    let history = History(count: 3)
    var counts: [Int64] = []
    for (index, values) in passes.enumerated() {
      let weights = Buffer(values)
      var record = history.c(index + 1)
      var step = sq_freezing_step(
        ema: 0, reset_distance: 0.5, distance_scale: 0.5, freeze_threshold: -1, mode: 2, freeze_unchanged: 3)
      counts.append(
        kernels(isa).update_freezing(
          &quantizer, &step, weights.pointer, 3, distance.pointer, previous.pointer, frozen.pointer, &record, nil))
    }
    #expect(counts == [0, 0, 0, 1, 1, 2])
    #expect(history.freezingStep.values == [4, 6, 0] && history.freezingIndex.values == [1, 0, 0])
    #expect(history.settlingStep.values == [0, 3, 6] && history.levelChanges.values == [0, 1, 5])
  }

  @Test("Recording mode leaves distances alone and first distances are not averaged", arguments: Elementwise.all)
  func freezingModes(isa: sq_isa) {
    var quantizer = Self.learnedRange(bits: 2, low: -1.5, high: 1.5)
    let weights = Buffer<Float>([-1.25, 0.5, 1.5])
    let (distance, previous, frozen) = (
      Buffer<Float>([7, 7, 7]), Buffer<Int16>([9, 9, 9]), Buffer<UInt8>([0, 0, 0])
    )
    var step = sq_freezing_step(
      ema: 0.5, reset_distance: 0.5, distance_scale: 0.5, freeze_threshold: 100, mode: 0, freeze_unchanged: 0)
    let history = History(count: 3)
    var number = 0
    func advance() -> Int64 {
      number += 1
      var record = history.c(number)
      return kernels(isa).update_freezing(
        &quantizer, &step, weights.pointer, 3, distance.pointer, previous.pointer, frozen.pointer, &record, nil)
    }
    #expect(advance() == 0)
    #expect(distance.values == [7, 7, 7] && previous.values == [0, 2, 3])
    #expect(history.distance.values == [0.125, 0, 0] && history.settlingStep.values == [0, 0, 0])
    step.mode = 1
    step.freeze_threshold = 0
    previous.pointer[0] = 2
    #expect(advance() == 2)
    #expect(distance.values == [0.125, 0, 0] && previous.values == [0, 2, 3])
    #expect(frozen.values == [0, 1, 1])
    #expect(history.settlingStep.values == [2, 0, 0] && history.levelChanges.values == [1, 0, 0])
    #expect(history.freezingStep.values == [0, 2, 2])
  }

  // MARK: Straight-through estimator

  @Test("Weight gradients and their sums follow the reference, in place too", arguments: Elementwise.vectorised)
  func straightThrough(isa: sq_isa) {
    for count in Self.counts {
      var input = Elementwise.values(count, seed: 1, isa: isa)
      let gradient = Elementwise.values(count, seed: 2, isa: isa)
      let mask = Buffer((0..<count).map { UInt8($0 % 3 == 1 ? 1 : 0) })
      if count > 500 { input[7] = .infinity }
      let weights = Buffer(input)
      for quantizer in Self.quantizers(isa) {
        for masked in [false, true] {
          for (skip, inPlace) in [(0, false), (1, false), (1, true)] as [(Int32, Bool)] {
            func run(_ set: sq_isa, inPlace: Bool) -> (Buffer<Float>, Buffer<Double>) {
              var quantizer = quantizer
              let source = Buffer(gradient)
              let sums = Buffer<Double>(repeating: 9, count: 2)
              let target = inPlace ? source : Buffer(repeating: 9, count: count)
              kernels(set).straight_through_weights(
                &quantizer, weights.pointer, source.pointer, 0.5, masked ? mask.pointer : nil, skip, Int64(count),
                target.pointer, sums.pointer)
              return (target, sums)
            }
            let (result, reference) = (run(isa, inPlace: inPlace), run(SQ_ISA_REFERENCE, inPlace: false))
            let backend = "\(count) weights, masked \(masked), skip \(skip), \(quantizer)"
            Elementwise.expectSame(result.0, reference.0, backend)
            Elementwise.expectClose(
              result.1.values, reference.1.values, magnitudes: [Double(count) * 2, Double(count) * 4], backend)
            #expect(result.1.isIntact)
          }
        }
      }
    }
  }

  @Test(
    "Both ends of the range pass gradients; frozen weights get none but count unless skipped",
    arguments: Elementwise.all)
  func straightThroughByHand(isa: sq_isa) {
    // Positions are w + 1.5 within [0, 3].
    var quantizer = Self.learnedRange(bits: 2, low: -1.5, high: 1.5)
    let weights = Buffer<Float>([-1.5, 1.5, Float(-1.5).nextDown, 1.500001, 0.5, 0.25])
    let gradient = Buffer<Float>([1, 2, 4, 8, 16, 32])
    let frozen = Buffer<UInt8>([0, 0, 0, 0, 0, 1])
    let result = Buffer<Float>(repeating: 9, count: 6)
    var sums = [9.0, 9.0]
    // In range: gradients 1, 2, 16 and the frozen 32, times -1.5, 1.5, 0.5 and 0.25.
    kernels(isa).straight_through_weights(
      &quantizer, weights.pointer, gradient.pointer, 0.5, frozen.pointer, 0, 6, result.pointer, &sums)
    #expect(result.values == [0.5, 1, 0, 0, 8, 0])
    #expect(sums == [51, 17.5])
    kernels(isa).straight_through_weights(
      &quantizer, weights.pointer, gradient.pointer, 0.5, frozen.pointer, 1, 6, result.pointer, &sums)
    #expect(result.values == [0.5, 1, 0, 0, 8, 0])
    #expect(sums == [19, 9.5])
  }

  // MARK: SGD

  @Test("SGD follows the reference and leaves frozen weights to the bit", arguments: Elementwise.vectorised)
  func sgd(isa: sq_isa) {
    for count in Self.counts {
      let start = Elementwise.values(count, seed: 1, isa: isa)
      let mask = Buffer((0..<count).map { UInt8($0 % 3 == 1 ? 1 : 0) })
      var slope = Elementwise.values(count, seed: 2, isa: isa)
      for index in slope.indices where index % 3 == 1 { slope[index] = .nan }
      let gradient = Buffer(slope)
      for (momentum, masked) in [(false, false), (false, true), (true, false), (true, true)] {
        func run(_ set: sq_isa) -> (Buffer<Float>, Buffer<Float>) {
          let weights = Buffer(start)
          let velocity = Buffer<Float>(repeating: 0, count: count)
          for _ in 0..<3 {
            kernels(set).sgd(
              weights.pointer, gradient.pointer, momentum ? velocity.pointer : nil, masked ? mask.pointer : nil,
              Int64(count), isa == SQ_ISA_PORTABLE ? 0.125 : 0.1, isa == SQ_ISA_PORTABLE ? 0.5 : 0.9,
              isa == SQ_ISA_PORTABLE ? 0.0625 : 1e-4)
          }
          return (weights, velocity)
        }
        let (result, reference) = (run(isa), run(SQ_ISA_REFERENCE))
        let backend = "\(count) weights, momentum \(momentum), masked \(masked)"
        Elementwise.expectSame(result.0, reference.0, "weights, \(backend)")
        Elementwise.expectSame(result.1, reference.1, "velocity, \(backend)")
        if masked {
          for index in stride(from: 1, to: count, by: 3) {
            #expect(result.0.pointer[index] == start[index] && result.1.pointer[index] == 0)
          }
        }
      }
    }
  }

  @Test("Two steps of SGD by hand", arguments: Elementwise.all)
  func sgdByHand(isa: sq_isa) {
    let weights = Buffer<Float>([2])
    let gradient = Buffer<Float>([1])
    let velocity = Buffer<Float>([0])
    func step() {
      kernels(isa).sgd(weights.pointer, gradient.pointer, velocity.pointer, nil, 1, 0.5, 0.5, 0.25)
    }
    step()  // g = 1 + 0.5 = 1.5
    #expect(velocity.values == [1.5] && weights.values == [1.25])
    step()  // g = 1 + 0.3125, velocity = 0.75 + g
    #expect(velocity.values == [2.0625] && weights.values == [0.21875])
  }
}
