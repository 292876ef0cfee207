public import Networks
public import Quantization
public import Recipes
public import Training

/// What is done with a quantized network's weights once they settle.
public enum Method: Hashable, Sendable {
  /// Quantization-aware training of every weight: the baseline.
  case fullQAT
  case freeze(FreezingSettings)
  /// Every weight is trained as in full QAT, and what would freeze is recorded.
  case shadow(FreezingSettings)

  /// The method without its settings.
  public var name: MethodName {
    switch self {
    case .fullQAT: .fullQAT
    case .freeze: .freeze
    case .shadow: .shadow
    }
  }

  /// What decides over freezing; nil: nothing.
  public var freezing: FreezingSettings? {
    switch self {
    case .fullQAT: nil
    case .freeze(let settings), .shadow(let settings): settings
    }
  }

  /// Whether a setting has an effect: all have but those of the section `freezing` that the criterion does not read.
  func reads(_ path: SettingPath) -> Bool {
    guard path.components[0] == "freezing" else { return true }
    guard let freezing, let key = path.components.last else { return false }
    return FreezingCriterion.Parameter(rawValue: key).map(freezing.reads) ?? true
  }

  /// The same method with other settings; full QAT has none.
  func with(_ settings: FreezingSettings) -> Method {
    switch self {
    case .fullQAT: .fullQAT
    case .freeze: .freeze(settings)
    case .shadow: .shadow(settings)
    }
  }
}

/// As configurations write methods and labels show them.
public enum MethodName: String, CaseIterable, Sendable {
  case fullQAT
  case freeze
  case shadow
}

/// When everything freezes under a criterion that reads it.
public enum FreezingStop: Hashable, Sendable {
  case after(TrainingDuration)
  /// Such that as many updates are eliminated as by the criterion `distance` with the same settings.
  case matched
}

/// `FreezingSpec` before its durations are resolved to steps.
@dynamicMemberLookup
public struct FreezingSettings: Hashable, Sendable {
  /// Complete but for its steps.
  public var spec: FreezingSpec
  /// E_w: how long nothing freezes.
  public var start: TrainingDuration
  /// nil under criteria that read none.
  public var stop: FreezingStop?

  /// Whether the run needs another one with the criterion `distance` and otherwise the same settings.
  public var isPaired: Bool { spec.criterion.isPaired || stop == .matched }

  /// Whether a setting of the section `freezing` has an effect.
  func reads(_ parameter: FreezingCriterion.Parameter) -> Bool {
    spec.criterion.parameters.contains(parameter)
      || (isPaired && FreezingCriterion.distance.parameters.contains(parameter))
  }

  public subscript<Value>(dynamicMember path: KeyPath<FreezingSpec, Value>) -> Value { spec[keyPath: path] }
}

/// `LearningRateSchedule` before its durations are resolved to steps.
public enum LearningRateSettings: Hashable, Sendable {
  case constant
  case step(milestones: [TrainingDuration], factor: Double)
  case cosine
}

/// How one network is trained, before its durations are resolved to steps: what full precision and quantized training have
/// in common.
@dynamicMemberLookup
public struct TrainingSettings: Hashable, Sendable {
  /// Complete but for what data, durations, quantization and seed decide.
  public var spec: TrainingSpec
  /// In epochs or steps, never percent; `RunPlan` refuses one that rounds to no step.
  public var duration: TrainingDuration
  /// The factor over time, for every parameter group alike.
  public var learningRate: LearningRateSettings

  public subscript<Value>(dynamicMember path: KeyPath<TrainingSpec, Value>) -> Value { spec[keyPath: path] }
}

/// The full-precision network that a quantized one starts from.
public struct PretrainingSettings: Hashable, Sendable {
  /// Augments as the quantized runs do; everything else is its own.
  public var training: TrainingSettings
  /// 0 to `Int.max`; 1 where the configuration has none, whatever the run's seed, or one of the configuration's several.
  public var seed: UInt64
  /// A safetensors file with the network's weights, which are then not trained here; nil: they are.
  public var weights: String?
}

/// One point of a sweep, as configured: nothing here depends on the data yet.
public struct RunSettings: Hashable, Sendable {
  /// Gives the quantizers, and every value that the configuration leaves out.
  public var recipe: Recipe
  /// Of the full-precision network too; ResNet-20 where the configuration names none.
  public var architecture: ModelSpec.Architecture
  /// 2 to 8; layers to which the recipe gives a width of their own have that.
  public var weightBits: Int
  /// 2 to 8; layers to which the recipe gives a width of their own have that.
  public var activationBits: Int
  /// Of `fullQAT` runs the configuration's section `freezing` leaves no trace.
  public var method: Method
  /// One of the recipe's; its first where nothing freezes, as all are the same sum there.
  public var rangeGradient: RangeGradient
  /// Of the quantized network's weights.
  public var gradients: GradientArithmetic
  /// Of the quantized network; `pretraining` has its own.
  public var training: TrainingSettings
  /// Of the network whose weights the quantized one starts from.
  public var pretraining: PretrainingSettings
  /// Images of the fixed training subset; nil: all.
  public var subset: Int?
  /// 0 to `Int.max`.
  public var seed: UInt64
}
