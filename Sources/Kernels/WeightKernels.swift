import CKernels
public import Tensor

/// How a weight w becomes a level: index = rint(clamp((w − offset) · inverseStep, lowest, highest)), half to even;
/// level = multiplier · index + addend; value = level · valueScale.
public struct WeightGrid: Sendable, Equatable {
  public var offset: Float
  public var inverseStep: Float
  public var lowest: Float
  public var highest: Float
  public var multiplier: Int
  public var addend: Int
  public var valueScale: Float

  public init(
    offset: Float, inverseStep: Float, lowest: Float, highest: Float, multiplier: Int, addend: Int, valueScale: Float
  ) {
    self.offset = offset
    self.inverseStep = inverseStep
    self.lowest = lowest
    self.highest = highest
    self.multiplier = multiplier
    self.addend = addend
    self.valueScale = valueScale
  }

  /// The largest magnitude of a level.
  public var maximumLevel: Int {
    max(abs(multiplier * Int(lowest) + addend), abs(multiplier * Int(highest) + addend))
  }

  /// Whether every level is a signed byte, as the integer kernels take it.
  public var levelsFitByte: Bool {
    let ends = [multiplier * Int(lowest) + addend, multiplier * Int(highest) + addend]
    return ends.allSatisfy { Int8(exactly: $0) != nil }
  }

  var c: sq_weight_quantizer {
    sq_weight_quantizer(
      offset: offset, inverse_step: inverseStep, lowest: lowest, highest: highest, multiplier: Int32(multiplier),
      addend: Int32(addend), value_scale: valueScale)
  }
}

/// One forward pass of the freezing rule.
public struct FreezingStep: Sendable, Equatable {
  public enum Rule: Int32, Sendable {
    /// Record the levels; the distance is not touched.
    case recordLevels = 0
    /// D̄ = D, whatever the level was before.
    case startDistance = 1
    /// D̄ = u where the level changed, else m·D̄ + (1 − m)·D.
    case full = 2
  }

  public var rule: Rule
  /// m
  public var distanceEMA: Float
  /// u: the distance between two levels, in units of D.
  public var spacing: Float
  /// λ·u; nil: nothing freezes in this pass.
  public var thresholdDistance: Float?

  public init(rule: Rule, distanceEMA: Float, spacing: Float, thresholdDistance: Float?) {
    self.rule = rule
    self.distanceEMA = distanceEMA
    self.spacing = spacing
    self.thresholdDistance = thresholdDistance
  }
}

extension ComputeContext {
  public func quantize(
    _ grid: WeightGrid, weights: Buffer<Float>, values: Buffer<Float>, levels: Buffer<Int8>?
  ) {
    precondition(values.count == weights.count && (levels == nil || levels?.count == weights.count))
    withUnsafePointer(to: grid.c) {
      quantization.quantize_weights($0, weights.pointer, Int64(weights.count), values.pointer, levels?.pointer)
    }
  }

  /// Advances a layer's freezing state by one forward pass.
  /// - Returns: how many weights are frozen now, and how many frozen ones changed level in this pass.
  public func updateFreezing(
    _ grid: WeightGrid, step: FreezingStep, weights: Buffer<Float>, distance: Buffer<Float>,
    previousIndex: Buffer<Int16>, frozen: Buffer<UInt8>
  ) -> (frozen: Int, levelMoves: Int) {
    precondition(distance.count == weights.count && previousIndex.count == weights.count)
    precondition(frozen.count == weights.count)
    let rule = sq_freezing_step(
      ema: step.distanceEMA, reset_distance: step.spacing, distance_scale: step.spacing,
      // No distance is below 0.
      freeze_threshold: step.thresholdDistance ?? -1, mode: step.rule.rawValue)
    var moves: Int64 = 0
    let count = withUnsafePointer(to: grid.c) { grid in
      withUnsafePointer(to: rule) {
        quantization.update_freezing(
          grid, $0, weights.pointer, Int64(weights.count), distance.pointer, previousIndex.pointer, frozen.pointer,
          &moves)
      }
    }
    return (Int(count), Int(moves))
  }

  /// Back through weight quantization by the straight-through rule; `weightGradient` may be `valueGradient`.
  /// - Returns: the sums over in-range weights that a learned range needs, over frozen ones too unless `skipFrozen`.
  public func straightThrough(
    _ grid: WeightGrid, weights: Buffer<Float>, valueGradient: Buffer<Float>, scale: Float, frozen: Buffer<UInt8>?,
    skipFrozen: Bool, weightGradient: Buffer<Float>
  ) -> RangeSums {
    precondition(valueGradient.count == weights.count && weightGradient.count == weights.count)
    return withUnsafeTemporaryAllocation(of: Double.self, capacity: 2) { sums in
      withUnsafePointer(to: grid.c) {
        quantization.straight_through_weights(
          $0, weights.pointer, valueGradient.pointer, scale, frozen?.pointer, skipFrozen ? 1 : 0,
          Int64(weights.count), weightGradient.pointer, sums.baseAddress)
      }
      return RangeSums(gradient: sums[0], gradientTimesValue: sums[1])
    }
  }

  /// PyTorch's SGD; `velocity` nil: no momentum. Frozen weights keep their value.
  public func sgd(
    _ parameter: Parameter, velocity: Buffer<Float>?, rate: Float, momentum: Float, weightDecay: Float
  ) {
    let chunk = 1 << 16
    let chunks = (parameter.count + chunk - 1) / chunk
    pool.run(chunks) { task, _ in
      let first = task * chunk
      let count = min(chunk, parameter.count - first)
      quantization.sgd(
        parameter.value.pointer + first, parameter.gradient.pointer + first, velocity.map { $0.pointer + first },
        parameter.frozen.map { $0.pointer + first }, Int64(count), rate, momentum, weightDecay)
    }
  }
}
