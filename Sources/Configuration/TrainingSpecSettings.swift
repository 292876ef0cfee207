import Datasets
import Kernels
import Networks
import Quantization
import Recipes
package import Training

extension TrainingSpec {
  /// Every field. Keys are those of the canonical form, and of configurations where those set the field as it is.
  package static let settings: [Setting<TrainingSpec>] = {
    var settings = Parts.model
    settings += Parts.quantization
    settings += Parts.freezing
    settings += Parts.learningRate
    settings += Parts.length + Parts.augmentation + Parts.images + Parts.groups
    // Full precision has no quantizers, so their rule changes nothing there.
    settings += Parts.group("quantizers", \.quantizers).map { setting in setting.when { $0.quantization != nil } }
    settings.append(Setting("totalSteps", \.totalSteps, .integer(in: 1...Int(Int32.max))))
    settings.append(Setting("seed", \.seed, .seed))
    return settings
  }()

  /// What configurations set as it is.
  static let configured: [Setting<TrainingSpec>] =
    Parts.length + Parts.augmentation + Parts.groups + Parts.group("quantizers", \.quantizers)

  /// What the section `pretraining` sets.
  static let pretraining: [Setting<TrainingSpec>] = Parts.length + Parts.groups

  /// To be filled in.
  static let blank: TrainingSpec = {
    let group = ParameterGroupSpec(optimizer: OptimizerRule.sgd.published, learningRate: 0)
    return TrainingSpec(
      model: ModelSpec(
        architecture: .resnet8, shortcut: .pad, batchNormBeforeLinear: false, initialization: .kaimingFanIn, classes: 2,
        inputHeight: 4, inputWidth: 4),
      quantization: nil, freezing: nil, weights: group, batchNorm: group, quantizers: group,
      learningRateSchedule: .constant, batchSize: 1, dropLastPartialBatch: false, totalSteps: 1, augment: true, seed: 0)
  }()
}

/// The lists that those of a training specification are made of.
private enum Parts {
  typealias Settings = [Setting<TrainingSpec>]

  static let model: Settings = ModelSpec.settings.map { $0.within("model", \.model) }
  static let quantization: Settings = QuantizationSpec.settings.map {
    $0.within("quantization", \.quantization, blank: .blank)
  }
  static let freezing: Settings = FreezingSpec.settings.map {
    $0.within("freezing", \.freezing, blank: .blank)
  }
  static let learningRate: Settings = LearningRateSchedule.settings.map {
    $0.within("learningRate", \.learningRateSchedule)
  }
  static let length: Settings = [
    Setting("batchSize", \.batchSize, .integer(in: 1...65536).described("Images a step.")),
    Setting(
      "microbatch", \.microbatch,
      SettingCodec<Int>.integer(in: 2...65536).described(
        "Images that pass through the network at once, for less memory: divides batchSize. Gradients are summed over a step; "
          + "batch norm takes the statistics of a microbatch. The whole batch where absent."
      ).optional, unless: .some(nil)),
    Setting(
      "dropLastPartialBatch", \.dropLastPartialBatch,
      .bool.described("Whether an epoch leaves out images at its end that do not fill a batch.")),
  ]
  static let augmentation: Settings = [
    Setting(
      "augment", \.augment,
      .bool.described("Random crop (by images, or out of 4 pixels of padding), and flip."), unless: true)
  ]
  static let images: Settings = ImageCrop.settings.map { $0.within("images", \.images, blank: .blank) }
  static let groups: Settings = group("weights", \.weights) + group("batchNorm", \.batchNorm)

  static func group(
    _ name: String, _ path: any (WritableKeyPath<TrainingSpec, ParameterGroupSpec> & Sendable)
  ) -> Settings {
    ParameterGroupSpec.settings.map { $0.within("optimizer.\(name)", path) }
  }
}

extension ModelSpec {
  static let settings: [Setting<ModelSpec>] = [
    Setting("architecture", \.architecture, .choice()),
    Setting("width", \.width, .channels, unless: 16),
    Setting("shortcut", \.shortcut, .choice()),
    Setting("batchNormBeforeLinear", \.batchNormBeforeLinear, .bool),
    Setting("initialization", \.initialization, .choice()),
    Setting("classes", \.classes, .integer(in: 2...65536)),
    Setting("inputHeight", \.inputHeight, .integer(in: 4...65536)),
    Setting("inputWidth", \.inputWidth, .integer(in: 4...65536)),
    Setting("rectifier", \.rectifier, .choice(), unless: .relu),
    Setting("dropout", \.dropout, .belowOne, unless: 0),
  ]
}

extension SettingCodec<Int> {
  /// Shortcuts that pad need an even number.
  fileprivate static var channels: SettingCodec {
    SettingCodec(
      expected: "an even number from 2 to 65536", schema: SettingSchema(kind: .integer, minimum: 2, maximum: 65536),
      read: { json in json.integer.flatMap { (2...65536).contains($0) && $0 % 2 == 0 ? $0 : nil } },
      encode: JSONValue.integer)
  }
  static var bits: SettingCodec {
    integer(in: 2...8)
  }
}

extension QuantizationSpec {
  static let settings: [Setting<QuantizationSpec>] = [
    Setting("recipe", \.scheme, .scheme),
    Setting("weightBits", \.weightBits, .bits),
    Setting("activationBits", \.activationBits, .bits),
    Setting("rangeGradient", \.rangeGradient, .choice()),
    // Runs from before there was a choice are of the one kind.
    Setting("gradients", \.gradients, .choice(), unless: .float32),
  ]
  fileprivate static let blank = Recipe.all[0].quantization(weightBits: 8, activationBits: 8)
}

extension FreezingSpec {
  static let configured = chosen + published
  /// What recipes say nothing of. The criterion comes first, as it decides which of the others have an effect.
  static let chosen: [Setting<FreezingSpec>] = [
    Setting(
      "criterion", \.criterion,
      .criterion.described(
        "What decides which weights freeze. distance, as published: the moving average of a weight's distance to its "
          + "level (reads threshold and start). Controls: random freezes as many weights as distance does in every layer "
          + "and step, clock freezes all at one step (stop), levelChange what kept its level for so many steps (start, steps)."
      ),
      unless: .distance),
    Setting(
      "threshold", \.schedule,
      .threshold.described(
        "Share of a level's spacing below which a weight has settled: a constant, or a schedule that rises from 0 to 1."
      )),
    Setting(
      "steps", \.unchangedSteps,
      SettingCodec<Int>.integer(in: 1...Int(Int32.max)).described("levelChange only: how long a level has to stay.")
        .optional, unless: .some(nil)),
  ]
  /// What each recipe has a value for.
  static let published: [Setting<FreezingSpec>] = [
    Setting("distanceEMA", \.distanceEMA, .belowOne.described("Momentum of the distance's moving average."))
  ]
  /// Of stored runs, which hold nothing that has no effect.
  fileprivate static let settings: [Setting<FreezingSpec>] =
    [Setting("pair", \.pair, SettingCodec<String>.string.optional, unless: .some(nil))]
    + (configured + resolved).map { setting in
      let key = ["startStep": "start", "stopStep": "stop"][setting.key] ?? setting.key
      guard let parameter = FreezingCriterion.Parameter(rawValue: key) else { return setting }
      return setting.when { $0.reads(parameter) }
    }
  private static let resolved: [Setting<FreezingSpec>] = [
    Setting("startStep", \.startStep, .integer(in: 0...Int(Int32.max))),
    Setting("stopStep", \.stopStep, SettingCodec<Int>.integer(in: 0...Int(Int32.max)).optional, unless: .some(nil)),
    Setting("totalSteps", \.totalSteps, .integer(in: 1...Int(Int32.max))),
    Setting("shadow", \.isShadow, .bool, unless: false),
  ]
  /// To be filled in.
  static let blank = FreezingSpec(schedule: .fixed(0), startStep: 0, totalSteps: 1, distanceEMA: 0)
}

// MARK: Parameter groups

enum OptimizerRule: String, CaseIterable, Sendable {
  case sgd, adam

  /// With what PyTorch takes where nothing is said.
  var published: OptimizerSpec {
    switch self {
    case .sgd: .sgd(momentum: 0, weightDecay: 0)
    case .adam: .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8)
    }
  }
}

extension ParameterGroupSpec {
  static let settings: [Setting<ParameterGroupSpec>] = [
    Setting("rule", \.optimizer.rule, .choice().described("How gradients change the parameters.")),
    Setting("learningRate", \.learningRate, .positive.described("Before the schedule's factor.")),
    of(.sgd, "momentum", \.optimizer.momentum, .belowOne.described("Of the gradient's running sum.")),
    of(
      .sgd, "weightDecay", \.optimizer.weightDecay,
      .nonNegative.described("Added to the gradient, times the parameter.")),
    of(.adam, "beta1", \.optimizer.beta1, .belowOne.described("Momentum of the gradient's average.")),
    of(.adam, "beta2", \.optimizer.beta2, .belowOne.described("Momentum of its square's average.")),
    of(.adam, "epsilon", \.optimizer.epsilon, .positive.described("Added to the root of that average.")),
  ]

  private static func of(
    _ rule: OptimizerRule, _ key: String, _ path: any (WritableKeyPath<ParameterGroupSpec, Double?> & Sendable),
    _ codec: SettingCodec<Double>
  ) -> Setting<ParameterGroupSpec> {
    Setting(key, path, codec, with: ("rule", rule.rawValue)) { $0.optimizer.rule.rawValue }
  }
}

/// The parts of a rule one by one; those of another rule are nil, and setting them does nothing.
extension OptimizerSpec {
  /// Another rule begins with its published numbers.
  var rule: OptimizerRule {
    get {
      switch self {
      case .sgd: .sgd
      case .adam: .adam
      }
    }
    set { if newValue != rule { self = newValue.published } }
  }

  fileprivate var momentum: Double? {
    get { if case .sgd(let momentum, _) = self { momentum } else { nil } }
    set {
      if case .sgd(_, let weightDecay) = self, let newValue {
        self = .sgd(momentum: newValue, weightDecay: weightDecay)
      }
    }
  }

  fileprivate var weightDecay: Double? {
    get { if case .sgd(_, let weightDecay) = self { weightDecay } else { nil } }
    set {
      if case .sgd(let momentum, _) = self, let newValue { self = .sgd(momentum: momentum, weightDecay: newValue) }
    }
  }

  fileprivate var beta1: Double? {
    get { if case .adam(let beta1, _, _) = self { beta1 } else { nil } }
    set {
      if case .adam(_, let beta2, let epsilon) = self, let newValue {
        self = .adam(beta1: newValue, beta2: beta2, epsilon: epsilon)
      }
    }
  }

  fileprivate var beta2: Double? {
    get { if case .adam(_, let beta2, _) = self { beta2 } else { nil } }
    set {
      if case .adam(let beta1, _, let epsilon) = self, let newValue {
        self = .adam(beta1: beta1, beta2: newValue, epsilon: epsilon)
      }
    }
  }

  fileprivate var epsilon: Double? {
    get { if case .adam(_, _, let epsilon) = self { epsilon } else { nil } }
    set {
      if case .adam(let beta1, let beta2, _) = self, let newValue {
        self = .adam(beta1: beta1, beta2: beta2, epsilon: newValue)
      }
    }
  }
}
