public import Networks
public import Quantization
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
public struct FreezingSettings: Hashable, Sendable {
  public var schedule: ThresholdSchedule
  /// E_w: how long nothing freezes.
  public var start: TrainingDuration
  public var distanceEMA: Double
}

/// `LearningRateSchedule` before its durations are resolved to steps.
public enum LearningRateSettings: Hashable, Sendable {
  case constant
  case step(milestones: [TrainingDuration], factor: Double)
  case cosine
}

/// How one network is trained: what full precision and quantized training have in common.
public struct TrainingSettings: Hashable, Sendable {
  public var duration: TrainingDuration
  public var batchSize: Int
  public var dropLastPartialBatch: Bool
  public var weights: ParameterGroupSpec
  public var batchNorm: ParameterGroupSpec
  public var quantizers: ParameterGroupSpec
  public var learningRate: LearningRateSettings
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
  public var augment: Bool
  /// Images of the fixed training subset; nil: all.
  public var subset: Int?
  public var seed: UInt64
}
