public import Networks
public import Quantization
public import Recipes
public import Training

/// What is done with a quantized network's weights once they settle.
public enum Method: Hashable, Sendable {
  /// Quantization-aware training of every weight: the baseline.
  case fullQAT
  case freeze(FreezingSettings)

  public var name: MethodName {
    switch self {
    case .fullQAT: .fullQAT
    case .freeze: .freeze
    }
  }
}

public enum MethodName: String, CaseIterable, Sendable {
  case fullQAT
  case freeze
}

/// `FreezingSpec` before its durations are resolved to steps.
@dynamicMemberLookup
public struct FreezingSettings: Hashable, Sendable {
  /// Complete but for its steps.
  public var spec: FreezingSpec
  /// E_w: how long nothing freezes.
  public var start: TrainingDuration

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
  public var duration: TrainingDuration
  public var learningRate: LearningRateSettings

  public subscript<Value>(dynamicMember path: KeyPath<TrainingSpec, Value>) -> Value { spec[keyPath: path] }
}

/// The full-precision network that the quantized ones start from: one for all seeds.
public struct PretrainingSettings: Hashable, Sendable {
  public var training: TrainingSettings
  public var seed: UInt64
}

/// One point of a sweep, as configured: nothing here depends on the data yet.
public struct RunSettings: Hashable, Sendable {
  public var recipe: Recipe
  public var architecture: ModelSpec.Architecture
  public var weightBits: Int
  public var activationBits: Int
  public var method: Method
  public var rangeGradient: RangeGradient
  public var training: TrainingSettings
  public var pretraining: PretrainingSettings
  /// Images of the fixed training subset; nil: all.
  public var subset: Int?
  public var seed: UInt64
}
