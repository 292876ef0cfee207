import Datasets
import Networks
import Quantization
import Recipes
import Training

extension RunSettings {
  /// What configurations set as it is.
  static let configured: [Setting<RunSettings>] = [
    Setting(
      "subset", \.subset,
      SettingCodec<Int>.integer(in: 1...Int.max).described(
        "Images of a fixed, class-balanced training subset; all where absent."
      )
      .optional, unless: .some(nil)),
    Setting(
      "recipe", \.recipe,
      .recipe.described(
        "spqat: fixed weight scales (first generation). lts: learned ranges (second generation). What is left out is "
          + "as its authors have it."), unless: Recipe.all[0]),
    Setting(
      "model", \.architecture, .choice().described("The network; those for ImageNet have defaults of their own."),
      unless: .resnet20),
    Setting("bits.weights", \.weightBits, .bits.described("Of weights.")),
    Setting("bits.activations", \.activationBits, .bits.described("Of activations.")),
  ]

  /// - Parameter ignoresFreezing: the sweep sets the method itself, so that `freezing` may stand beside `fullQAT` for
  ///   the other runs' sake.
  init(_ root: ObjectReader, seed: UInt64, ignoresFreezing: Bool) throws(SettingError) {
    self.init(
      try root.value("recipe", .recipe) ?? Recipe.all[0], try root.value("model", .choice()) ?? .resnet20, seed: seed)
    guard root.has("bits") else {
      throw root.fail("bits", "missing; write {\"weights\": 4, \"activations\": 4} (2 to 8)")
    }
    for setting in Self.configured { try root.read(setting, into: &self) }
    try training.decode(root, TrainingSpec.configured)
    if let section = root.section("images") {
      training.spec.images = try ImageCrop(section, smallestArea: recipe.smallestCrop(for: architecture))
    }
    pretraining.training.spec.augment = training.spec.augment
    pretraining.training.spec.images = training.spec.images
    if let section = root.section("pretraining") {
      try pretraining.training.decode(section, TrainingSpec.pretraining)
      pretraining.seed = try section.value("seed", .seed) ?? pretraining.seed
    }

    guard let methodName = try root.value("method", .method) else {
      throw root.fail("method", "missing; \(SettingCodec<MethodName>.method.remedy)")
    }
    switch (methodName, root.section("freezing")) {
    case (.fullQAT, let freezing):
      if freezing != nil, !ignoresFreezing {
        throw root.fail(
          "freezing", "has no effect with the method \"fullQAT\"; remove it, or set method to \"freeze\"")
      }
    case (.freeze, nil):
      throw root.fail(
        "freezing",
        "missing; the method \"freeze\" needs at least {\"threshold\": \(SettingCodec<ThresholdSchedule>.threshold.remedy)}"
      )
    case (.freeze, let freezing?):
      var settings = FreezingSettings(recipe.settings(for: architecture))
      try settings.decode(freezing, end: training.duration)
      method = .freeze(settings)
    }

    if recipe.rangeGradients.count == 1 {
      try root.refuse(
        "rangeGradient", because: "has no effect in the recipe \"\(recipe)\", whose weight ranges are fixed; remove it")
    }
    let chosen = try root.value("rangeGradient", .choice(recipe.rangeGradients, named: \.rawValue))
    // Where nothing freezes all are the same sum, so all are the same run.
    if methodName == .freeze, let chosen { rangeGradient = chosen }
  }
}

extension SettingCodec<MethodName> {
  static var method: SettingCodec {
    choice().described(
      "fullQAT: every weight is trained to the end. freeze: settled weights freeze (needs freezing).")
  }
}

extension SettingCodec<RangeGradient> {
  static var rangeGradient: SettingCodec {
    choice().described(
      "lts only: what the gradient of a weight range sums over. dense, as published, needs the whole weight gradient.")
  }
}

extension FreezingSettings {
  fileprivate mutating func decode(_ reader: ObjectReader, end: TrainingDuration) throws(SettingError) {
    guard reader.has("threshold") else {
      throw reader.fail("threshold", "missing; \(SettingCodec<ThresholdSchedule>.threshold.remedy)")
    }
    try reader.readPresent(FreezingSpec.configured, into: &spec)
    start = try reader.value("start", .duration) ?? start
    if TrainingDuration.isKnownToReach(start, end: end) {
      throw reader.fail("start", "\(start) is not before the run's end (\(end)): nothing would ever freeze")
    }
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
  /// Keys left out keep the recipe's values; a parameter group with another rule than the recipe's begins with PyTorch's.
  fileprivate mutating func decode(
    _ reader: ObjectReader, _ settings: [Setting<TrainingSpec>]
  ) throws(SettingError) {
    duration = try reader.value("duration", .runLength) ?? duration
    let published = spec
    try reader.readPresent(settings, into: &spec)
    let groups: [(key: String, path: KeyPath<TrainingSpec, ParameterGroupSpec>)] = [
      ("optimizer.weights", \.weights), ("optimizer.batchNorm", \.batchNorm), ("optimizer.quantizers", \.quantizers),
    ]
    for (key, group) in groups {
      let rule = published[keyPath: group].optimizer.rule
      if spec[keyPath: group].optimizer.rule != rule, !reader.has("\(key).learningRate") {
        throw reader.fail(
          "\(key).learningRate", "missing; it is needed with another rule than the recipe's \"\(rule)\"")
      }
    }
    guard let section = reader.section("learningRate") else { return }
    learningRate = .constant
    for setting in LearningRateSettings.settings { try section.read(setting, into: &learningRate) }
    if case .step(let milestones, _) = learningRate,
      let late = milestones.first(where: { TrainingDuration.isKnownToReach($0, end: duration) })
    {
      throw section.fail("milestones", "\(late) is not before the run's end (\(duration)); remove it")
    }
  }
}
