import Networks
import Quantization
import Training

package enum ExperimentKey: String, ConfigurationKey {
  case schema = "$schema"
  case name, title, dataset, subset, recipe, model, bits, method, freezing, rangeGradient
  case duration, batchSize, dropLastPartialBatch, augment, optimizer, learningRate
  case pretraining, seeds, axes, profiles, slurm
}

enum BitsKey: String, ConfigurationKey {
  case weights, activations
}

package enum FreezingKey: String, ConfigurationKey {
  case threshold, start, distanceEMA
}

enum OptimizerKey: String, ConfigurationKey {
  case weights, batchNorm, quantizers
}

/// Full precision has no quantizers.
enum PretrainingOptimizerKey: String, ConfigurationKey {
  case weights, batchNorm
}

enum ParameterGroupKey: String, ConfigurationKey {
  case rule, learningRate, momentum, weightDecay, beta1, beta2, epsilon
}

enum LearningRateKey: String, ConfigurationKey {
  case schedule, milestones, factor
}

enum PretrainingKey: String, ConfigurationKey {
  case duration, batchSize, dropLastPartialBatch, optimizer, learningRate, seed
}

enum OptimizerRule: String, CaseIterable, Sendable {
  case sgd, adam
}

enum LearningRateScheduleName: String, CaseIterable, Sendable {
  case constant, step, cosine
}

extension RunSettings {
  /// - Parameter ignoresFreezing: the sweep sets the method itself, so that `freezing` may stand beside `fullQAT` for
  ///   the other runs' sake.
  init(
    _ root: ObjectReader<ExperimentKey>, seed: UInt64, ignoresFreezing: Bool
  ) throws(SettingError) {
    recipe = try root.choice(.recipe, Recipe.self) ?? .spqat
    architecture = try root.choice(.model, ModelSpec.Architecture.self) ?? .resnet20
    guard let bits = try root.section(.bits, BitsKey.self) else {
      throw root.fail(.bits, "missing; write {\"weights\": 4, \"activations\": 4} (2 to 8)")
    }
    weightBits = try bits.bitWidth(.weights)
    activationBits = try bits.bitWidth(.activations)
    augment = try root.bool(.augment) ?? true
    subset = try root.integer(.subset, in: 1...Int.max)
    self.seed = seed
    training = try TrainingSettings(root, defaults: recipe.training)
    pretraining = try PretrainingSettings(root, recipe: recipe)

    guard let methodName = try root.choice(.method, MethodName.self) else {
      throw root.fail(.method, "missing; allowed: \(quotedList(MethodName.allCases.map(\.rawValue)))")
    }
    let freezing = try root.section(.freezing, FreezingKey.self)
    switch methodName {
    case .fullQAT:
      if freezing != nil, !ignoresFreezing {
        throw root.fail(.freezing, "has no effect with the method \"fullQAT\"; remove it, or set method to \"freeze\"")
      }
      method = .fullQAT
    case .freeze:
      guard let freezing else {
        throw root.fail(
          .freezing, "missing; the method \"freeze\" needs at least {\"threshold\": \(FreezingSettings.thresholds)}")
      }
      method = .freeze(try FreezingSettings(freezing, recipe: recipe, duration: training.duration))
    }

    switch recipe {
    case .spqat:
      try root.refuse(
        .rangeGradient, because: "has no effect in the recipe \"spqat\", whose weight ranges are fixed; remove it")
      rangeGradient = .unfrozen
    case .lts:
      let chosen = try root.choice(.rangeGradient, RangeGradient.self) ?? .dense
      // Where nothing freezes both are the same sum, so both are the same run.
      rangeGradient = methodName == .fullQAT ? .dense : chosen
    }
  }
}

extension ObjectReader<BitsKey> {
  fileprivate func bitWidth(_ key: BitsKey) throws(SettingError) -> Int {
    guard let bits = try integer(key, in: 2...8) else { throw fail(key, "missing; a whole number from 2 to 8") }
    return bits
  }
}

extension FreezingSettings {
  static let thresholds = "a number of at least 0, \"linear\" or \"sine\""

  init(
    _ reader: ObjectReader<FreezingKey>, recipe: Recipe, duration: TrainingDuration
  ) throws(SettingError) {
    switch reader.raw(.threshold) {
    case .number(let fraction)? where fraction >= 0: schedule = .fixed(fraction)
    case .string("linear")?: schedule = .linear
    case .string("sine")?: schedule = .sine
    case .string("fixed")?:
      throw reader.fail(.threshold, "found \"fixed\"; write the threshold itself, as a share of a level (0.1)")
    case .string(let name)?:
      throw unknownName(name, what: "schedule", at: reader.path.appending("threshold"), allowed: ["linear", "sine"])
    case let value?:
      throw reader.fail(.threshold, "found \(value.found), expected \(Self.thresholds)")
    case nil:
      throw reader.fail(.threshold, "missing; \(Self.thresholds)")
    }
    start = try reader.duration(.start) ?? Recipe.freezingStart
    if TrainingDuration.isKnownToReach(start, end: duration) {
      throw reader.fail(.start, "\(start) is not before the run's end (\(duration)): nothing would ever freeze")
    }
    distanceEMA =
      try reader.number(.distanceEMA, "from 0 to below 1", where: { $0 >= 0 && $0 < 1 }) ?? recipe.distanceEMA
  }
}

extension TrainingDuration {
  /// True where no data set is needed to see that `start` is not before `end`.
  static func isKnownToReach(_ start: TrainingDuration, end: TrainingDuration) -> Bool {
    switch (start, end) {
    case (.percent(let share), _): share >= 100
    case (.epochs(let first), .epochs(let last)): first >= last
    case (.steps(let first), .steps(let last)): first >= last
    default: false
    }
  }
}

extension TrainingSettings {
  init(_ root: ObjectReader<ExperimentKey>, defaults: TrainingSettings) throws(SettingError) {
    self = defaults
    try readLength(root, duration: .duration, batchSize: .batchSize, dropLast: .dropLastPartialBatch)
    if let optimizer = try root.section(.optimizer, OptimizerKey.self) {
      weights = try ParameterGroupSpec(optimizer, .weights, defaults: weights)
      batchNorm = try ParameterGroupSpec(optimizer, .batchNorm, defaults: batchNorm)
      quantizers = try ParameterGroupSpec(optimizer, .quantizers, defaults: quantizers)
    }
    if let schedule = try root.section(.learningRate, LearningRateKey.self) {
      learningRate = try LearningRateSettings(schedule, duration: duration)
    }
  }

  init(pretraining reader: ObjectReader<PretrainingKey>, defaults: TrainingSettings) throws(SettingError) {
    self = defaults
    try readLength(reader, duration: .duration, batchSize: .batchSize, dropLast: .dropLastPartialBatch)
    if let optimizer = try reader.section(.optimizer, PretrainingOptimizerKey.self) {
      weights = try ParameterGroupSpec(optimizer, .weights, defaults: weights)
      batchNorm = try ParameterGroupSpec(optimizer, .batchNorm, defaults: batchNorm)
    }
    if let schedule = try reader.section(.learningRate, LearningRateKey.self) {
      learningRate = try LearningRateSettings(schedule, duration: duration)
    }
  }

  private mutating func readLength<Key>(
    _ reader: ObjectReader<Key>, duration durationKey: Key, batchSize batchKey: Key, dropLast dropKey: Key
  ) throws(SettingError) {
    if let value = try reader.duration(durationKey) {
      switch value {
      case .percent: throw reader.fail(durationKey, "found \"\(value)\"; a run's own length is in epochs or steps")
      case .epochs(0), .steps(0): throw reader.fail(durationKey, "found \"\(value)\"; a run needs at least one step")
      default: duration = value
      }
    }
    batchSize = try reader.integer(batchKey, in: 1...65536) ?? batchSize
    dropLastPartialBatch = try reader.bool(dropKey) ?? dropLastPartialBatch
  }
}

extension PretrainingSettings {
  init(_ root: ObjectReader<ExperimentKey>, recipe: Recipe) throws(SettingError) {
    guard let reader = try root.section(.pretraining, PretrainingKey.self) else {
      self.init(training: recipe.pretraining, seed: 1)
      return
    }
    self.init(
      training: try TrainingSettings(pretraining: reader, defaults: recipe.pretraining),
      seed: UInt64(try reader.integer(.seed, in: 0...Int.max) ?? 1))
  }
}

extension ParameterGroupSpec {
  /// Keys left out keep the recipe's values; with another rule than the recipe's, PyTorch's.
  init<Key>(_ optimizer: ObjectReader<Key>, _ key: Key, defaults: ParameterGroupSpec) throws(SettingError) {
    guard let reader = try optimizer.section(key, ParameterGroupKey.self) else {
      self = defaults
      return
    }
    let defaultRule: OptimizerRule =
      switch defaults.optimizer {
      case .sgd: .sgd
      case .adam: .adam
      }
    let rule = try reader.choice(.rule, OptimizerRule.self) ?? defaultRule
    guard
      let rate = try reader.number(.learningRate, "above 0", where: { $0 > 0 })
        ?? (rule == defaultRule ? defaults.learningRate : nil)
    else {
      throw reader.fail(.learningRate, "missing; it is needed with another rule than the recipe's \"\(defaultRule)\"")
    }
    let resolved: OptimizerSpec
    switch rule {
    case .sgd:
      for key in [ParameterGroupKey.beta1, .beta2, .epsilon] {
        try reader.refuse(key, because: "belongs to the rule \"adam\", not \"sgd\"; remove it, or set rule to \"adam\"")
      }
      var (momentum, weightDecay) = (0.0, 0.0)
      if case .sgd(let defaultMomentum, let defaultDecay) = defaults.optimizer {
        (momentum, weightDecay) = (defaultMomentum, defaultDecay)
      }
      resolved = .sgd(
        momentum: try reader.number(.momentum, "from 0 to below 1", where: { $0 >= 0 && $0 < 1 }) ?? momentum,
        weightDecay: try reader.number(.weightDecay, "of at least 0", where: { $0 >= 0 }) ?? weightDecay)
    case .adam:
      for key in [ParameterGroupKey.momentum, .weightDecay] {
        try reader.refuse(key, because: "belongs to the rule \"sgd\", not \"adam\"; remove it, or set rule to \"sgd\"")
      }
      var (beta1, beta2, epsilon) = (0.9, 0.999, 1e-8)
      if case .adam(let first, let second, let smallest) = defaults.optimizer {
        (beta1, beta2, epsilon) = (first, second, smallest)
      }
      resolved = .adam(
        beta1: try reader.number(.beta1, "from 0 to below 1", where: { $0 >= 0 && $0 < 1 }) ?? beta1,
        beta2: try reader.number(.beta2, "from 0 to below 1", where: { $0 >= 0 && $0 < 1 }) ?? beta2,
        epsilon: try reader.number(.epsilon, "above 0", where: { $0 > 0 }) ?? epsilon)
    }
    self.init(optimizer: resolved, learningRate: rate)
  }
}

extension LearningRateSettings {
  init(_ reader: ObjectReader<LearningRateKey>, duration: TrainingDuration) throws(SettingError) {
    guard let schedule = try reader.choice(.schedule, LearningRateScheduleName.self) else {
      throw reader.fail(
        .schedule, "missing; allowed: \(quotedList(LearningRateScheduleName.allCases.map(\.rawValue)))")
    }
    switch schedule {
    case .constant, .cosine:
      for key in [LearningRateKey.milestones, .factor] {
        try reader.refuse(
          key,
          because: "has no effect with the schedule \"\(schedule)\"; remove it, or set schedule to \"step\"")
      }
      self = schedule == .constant ? .constant : .cosine
    case .step:
      guard let values = try reader.list(.milestones), !values.isEmpty else {
        throw reader.fail(.milestones, "missing; a list of durations such as [\"50%\", \"75%\"]")
      }
      var milestones: [TrainingDuration] = []
      for value in values {
        let milestone = try TrainingDuration(value, at: reader.path.appending(LearningRateKey.milestones.rawValue))
        if TrainingDuration.isKnownToReach(milestone, end: duration) {
          throw reader.fail(.milestones, "\(milestone) is not before the run's end (\(duration)); remove it")
        }
        milestones.append(milestone)
      }
      guard let factor = try reader.number(.factor, "above 0 and at most 1", where: { $0 > 0 && $0 <= 1 }) else {
        throw reader.fail(.factor, "missing; the learning rate is multiplied by it at each milestone (0.1)")
      }
      self = .step(milestones: milestones, factor: factor)
    }
  }
}

/// The keys that decoding knows, by where they stand, for the test that holds `configs/schema.json` to them.
package enum ConfigurationKeys {
  package static let bySection: [String: [String]] = [
    "": ExperimentKey.names,
    "bits": BitsKey.names,
    "freezing": FreezingKey.names,
    "optimizer": OptimizerKey.names,
    "optimizer.weights": ParameterGroupKey.names,
    "learningRate": LearningRateKey.names,
    "pretraining": PretrainingKey.names,
    "pretraining.optimizer": PretrainingOptimizerKey.names,
    "slurm": SlurmKey.names,
  ]
  package static let choices: [String: [String]] = [
    "recipe": Recipe.allCases.map(\.rawValue),
    "model": ModelSpec.Architecture.allCases.map(\.rawValue),
    "method": MethodName.allCases.map(\.rawValue),
    "rangeGradient": RangeGradient.allCases.map(\.rawValue),
    "optimizer.weights.rule": OptimizerRule.allCases.map(\.rawValue),
    "learningRate.schedule": LearningRateScheduleName.allCases.map(\.rawValue),
  ]
}
