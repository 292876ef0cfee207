import CKernels

/// How a weight w becomes a level: index = rint(clamp((w − offset) · inverseStep, lowest, highest)), half to even;
/// level = multiplier · index + addend; value = level · valueScale.
public struct WeightGrid: Sendable, Equatable {
  /// The weight at index 0: 0 for a fixed scale (SpQAT), l for a learned range (LTS).
  public var offset: Float
  /// Indexes per unit of weight: 2^(b−1)/(|s| + 1e-6) or (2^b − 1)/(h − l).
  public var inverseStep: Float
  /// A whole number: −2^(b−1) or 0.
  public var lowest: Float
  /// A whole number: 2^(b−1) − 1 or 2^b − 1.
  public var highest: Float
  /// Levels from one index to the next: 1 or 2.
  public var multiplier: Int
  /// The level of index 0: 0 or −(2^b − 1).
  public var addend: Int
  /// The value of level 1: 2^−(b−1), times s where the output is scaled, or 1/(2^b − 1).
  public var valueScale: Float

  /// `lowest` ≤ `highest`, both whole numbers; nothing is checked.
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
  /// What happens to D̄, the average of D = |(w − offset) · inverseStep − index| · u.
  public enum Rule: Int32, Sendable {
    /// Record the levels; the distance is not touched.
    case recordLevels = 0
    /// D̄ = D, whatever the level was before.
    case startDistance = 1
    /// D̄ = u where the level changed, else m·D̄ + (1 − m)·D.
    case full = 2
  }

  /// Of the training forward, from 1.
  public var number: Int
  /// Levels are recorded under every rule.
  public var rule: Rule
  /// m
  public var distanceEMA: Float
  /// u: the distance between two levels, in units of D.
  public var spacing: Float
  /// λ·u; nil: no distance freezes a weight in this pass.
  public var thresholdDistance: Float?
  /// Freezes what has had the same level in so many comparisons with the forward before; nil: nothing for that.
  public var unchangedSteps: Int?

  /// `distanceEMA` is in 0...1, `unchangedSteps` above 0; these and `thresholdDistance` count under rules that touch the
  /// distance alone.
  public init(
    number: Int, rule: Rule, distanceEMA: Float, spacing: Float, thresholdDistance: Float?, unchangedSteps: Int? = nil
  ) {
    self.number = number
    self.rule = rule
    self.distanceEMA = distanceEMA
    self.spacing = spacing
    self.thresholdDistance = thresholdDistance
    self.unchangedSteps = unchangedSteps
  }

  var c: sq_freezing_step {
    sq_freezing_step(
      ema: distanceEMA, reset_distance: spacing, distance_scale: spacing,
      // No distance is below 0.
      freeze_threshold: thresholdDistance ?? -1, mode: rule.rawValue, freeze_unchanged: Int32(unchangedSteps ?? 0))
  }
}
