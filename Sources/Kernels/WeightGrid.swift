import CKernels

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
