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

  /// - Parameters:
  ///   - seeds: the experiment's.
  ///   - index: of the run's own seed among them.
  ///   - varies: whether the sweep sets this key itself, so that settings without effect may stand beside it for the
  ///     other runs' sake.
  init(
    _ root: ObjectReader, seeds: [UInt64], index: Int, varies: (String) -> Bool
  ) throws(SettingError) {
    self.init(
      try root.value("recipe", .recipe) ?? Recipe.all[0], try root.value("model", .choice()) ?? .resnet20,
      seed: seeds[index])
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
      pretraining.seed = try Self.parentSeed(section, runs: seeds.count, index: index) ?? pretraining.seed
      pretraining.weights = try section.value("weights", .weightsFile)
      if pretraining.weights != nil {
        for key in ConfigurationKeys.names(in: "pretraining") where key != "weights" {
          try section.refuse(
            key, because: "has no effect beside pretraining.weights, which are trained already; remove one")
        }
      }
    }

    guard let methodName = try root.value("method", .method) else {
      throw root.fail("method", "missing; \(SettingCodec<MethodName>.method.remedy)")
    }
    switch (methodName, root.section("freezing")) {
    case (.fullQAT, let freezing):
      if freezing != nil, !varies("method") {
        throw root.fail(
          "freezing", "has no effect with the method \"fullQAT\"; remove it, or set method to \"freeze\"")
      }
    case (.freeze, nil), (.shadow, nil):
      throw root.fail(
        "freezing",
        "missing; the method \"\(methodName.rawValue)\" needs at least {\"threshold\": \(SettingCodec<ThresholdSchedule>.threshold.remedy)}"
      )
    case (.freeze, let freezing?), (.shadow, let freezing?):
      var settings = FreezingSettings(recipe.settings(for: architecture))
      try settings.decode(freezing, end: training.duration, ignoresOthers: varies("freezing.criterion"))
      settings.spec.isShadow = methodName == .shadow
      method = methodName == .shadow ? .shadow(settings) : .freeze(settings)
    }

    if recipe.rangeGradients.count == 1 {
      try root.refuse(
        "rangeGradient", because: "has no effect in the recipe \"\(recipe)\", whose weight ranges are fixed; remove it")
    }
    let chosen = try root.value("rangeGradient", .choice(recipe.rangeGradients, named: \.rawValue))
    // Where nothing freezes all are the same sum, so all are the same run.
    if methodName == .freeze, let chosen { rangeGradient = chosen }
    gradients = try root.value("gradients", .gradients) ?? gradients
  }
}

extension RunSettings {
  /// Of the full-precision network that the run with the `index`-th of the experiment's seeds starts from: networks are dealt
  /// to the seeds in turn, the same one to a seed in every setting, so that settings stay paired and networks balanced.
  private static func parentSeed(_ section: ObjectReader, runs: Int, index: Int) throws(SettingError) -> UInt64? {
    guard let parents = try section.value("seeds", .seeds) else { return try section.value("seed", .seed) }
    try section.refuse("seed", because: "stands beside \"seeds\", which says the same for several networks; keep one")
    guard parents.count <= runs else {
      throw section.fail(
        "seeds",
        "found \(parents.count) networks for \(runs) seed\(runs == 1 ? "" : "s"), which are dealt out to them in turn; list as many "
          + "seeds as networks, or a multiple of it")
    }
    return parents[index % parents.count]
  }
}

extension SettingCodec<MethodName> {
  static var method: SettingCodec {
    choice().described(
      "fullQAT: every weight is trained to the end. freeze: settled weights freeze (needs freezing). shadow: what would "
        + "freeze is recorded, and every weight is trained to the end.")
  }
}

extension SettingCodec<RangeGradient> {
  static var rangeGradient: SettingCodec {
    choice().described(
      "lts only: what the gradient of a weight range sums over. dense, as published, needs the whole weight gradient.")
  }
}

extension SettingCodec<GradientArithmetic> {
  static var gradients: SettingCodec {
    choice().described(
      "Numbers of the weight gradients of quantized layers: float32, or int16, the output gradient in 16-bit fixed point and "
        + "exact sums of integers, which is faster.")
  }
}

extension FreezingSettings {
  /// - Parameter ignoresOthers: leave settings alone that other criteria read.
  fileprivate mutating func decode(
    _ reader: ObjectReader, end: TrainingDuration, ignoresOthers: Bool
  ) throws(SettingError) {
    spec.criterion = try reader.value("criterion", .criterion) ?? spec.criterion
    if reads(.stop) {
      guard let stop = try reader.value("stop", .stop) else {
        throw reader.fail("stop", "missing; \(SettingCodec<FreezingStop>.stop.remedy)")
      }
      self.stop = stop
    }
    for parameter in FreezingCriterion.Parameter.allCases where !reads(parameter) && !ignoresOthers {
      try reader.refuse(
        parameter.rawValue, because: "has no effect with the criterion \"\(spec.criterion)\"; remove it")
    }
    if reads(.threshold), !reader.has("threshold") {
      throw reader.fail("threshold", "missing; \(SettingCodec<ThresholdSchedule>.threshold.remedy)")
    }
    if reads(.steps), !reader.has("steps") {
      throw reader.fail("steps", "missing; for how many steps a level has to stay before its weight freezes")
    }
    try reader.readPresent(
      FreezingSpec.configured.filter { FreezingCriterion.Parameter(rawValue: $0.key).map(reads) ?? true }, into: &spec)
    if reads(.start) { start = try reader.value("start", .duration) ?? start }
    var times: [(key: String, time: TrainingDuration)] = reads(.start) ? [("start", start)] : []
    if case .after(let time)? = stop { times.append(("stop", time)) }
    for (key, time) in times where TrainingDuration.isKnownToReach(time, end: end) {
      throw reader.fail(key, "\(time) is not before the run's end (\(end)): nothing would ever freeze")
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
    if let microbatch = spec.microbatch, spec.batchSize % microbatch != 0 {
      throw reader.fail(
        "microbatch",
        "\(microbatch) does not divide the batchSize of \(spec.batchSize); write a divisor from 2 on, or leave it out")
    }
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
