/// The two published generations of the method (see README, "The method").
public enum Recipe: String, Codable, Sendable, CaseIterable {
  /// First generation (SpQAT): fixed weight scale, learned activation scale.
  case spqat
  /// Second generation (LTS, arXiv 2211.08544): learned weight and activation ranges.
  case lts
}

/// What the gradient of a learned weight range sums over (recipe `lts` only).
public enum RangeGradient: String, Codable, Sendable, CaseIterable {
  /// Every weight, frozen ones too: the published code, which needs the whole weight gradient.
  case dense
  /// Unfrozen weights alone: what a real saving needs.
  case unfrozen
}

/// How a network is quantized. Bit widths 2...8.
public struct QuantizationSpec: Hashable, Codable, Sendable {
  public var recipe: Recipe
  public var weightBits: Int
  public var activationBits: Int
  /// `spqat` always computes `unfrozen`, having no such term; it must then be `.unfrozen`.
  public var rangeGradient: RangeGradient

  public init(recipe: Recipe, weightBits: Int, activationBits: Int, rangeGradient: RangeGradient) {
    precondition((2...8).contains(weightBits) && (2...8).contains(activationBits), "bit widths are 2...8")
    self.recipe = recipe
    self.weightBits = weightBits
    self.activationBits = activationBits
    self.rangeGradient = rangeGradient
  }
}

/// The freezing threshold λ over training, as a fraction of a level's spacing u.
public enum ThresholdSchedule: Hashable, Codable, Sendable {
  /// A constant λ ≥ 0.
  case fixed(Double)
  /// λ = (t − T_w) / (T − T_w)
  case linear
  /// λ = sin(π/2 · (t − T_w) / (T − T_w))
  case sine
}

/// When and how weights freeze. All durations are resolved to training steps.
public struct FreezingSpec: Hashable, Codable, Sendable {
  public var schedule: ThresholdSchedule
  /// T_w: freezing can happen from step T_w + 1 on.
  public var startStep: Int
  /// T: the step at which the linear and sine schedules reach 1.
  public var totalSteps: Int
  /// m, the momentum of the moving average of the distance, 0 ≤ m < 1.
  public var distanceEMA: Double

  public init(schedule: ThresholdSchedule, startStep: Int, totalSteps: Int, distanceEMA: Double) {
    precondition(startStep >= 0 && totalSteps > 0 && (0..<1).contains(distanceEMA))
    self.schedule = schedule
    self.startStep = startStep
    self.totalSteps = totalSteps
    self.distanceEMA = distanceEMA
  }
}
