public import Configuration
public import Datasets
public import Diagnostics
import Networks
import Quantization
public import Recipes
public import Records
public import Training

/// One run with everything resolved: what will be trained, from what, under which id.
public struct PlannedRun: Sendable {
  /// Of spec, data set, normalisation, subset and parent; label and axes are no part of it.
  public var identity: RunIdentity
  /// 12 hexadecimal digits, which name the run's files.
  public var id: String { identity.id }
  /// Full precision where `spec.quantization` is nil.
  public var kind: RunKind
  /// For people and `--only`: bits, method, what the sweep varies, seed.
  public var label: String
  /// Every duration in steps.
  public var spec: TrainingSpec
  /// Id of the full-precision run that it starts from; nil: none.
  public var parent: String?
  /// The file that it starts from; nil, without a parent: random weights.
  public var weights: PretrainedFile?
  /// Id of the run that its freezing is paired with; nil: of none.
  public var pair: String? { spec.freezing?.pair }
  /// Ids of the runs that have to be finished before it can begin.
  public var prerequisites: [String] { [parent, pair].compactMap { $0 } }
  /// Images of the fixed training subset; nil: all.
  public var subset: Int?
  /// The recipe's constants for this data set, else the data set's own statistics.
  public var normalization: Normalization
  /// Of a full-precision run: that of the runs that start from it.
  public var recipe: Recipe
  /// What the sweep varies and this run therefore differs in.
  public var axisValues: [Experiment.AxisValue]
  /// Batches of the training subset; a last partial one counts unless it is dropped.
  public var stepsPerEpoch: Int
  /// Images of the whole test set: `subset` concerns training alone.
  public var testImages: Int
  /// Epochs, a last part of one counted whole: each ends in an evaluation.
  public var evaluations: Int { (spec.totalSteps + stepsPerEpoch - 1) / stepsPerEpoch }
}

/// An experiment's runs on one data set, in the order they are trained: full-precision networks, then baselines, then
/// the rest, seed by seed, so that an interrupted sweep can already be compared.
public struct RunPlan: Sendable {
  /// Parents before the runs that start from them; each id once.
  public var runs: [PlannedRun]

  /// - Parameter data: the whole data set; `subset` is taken out of it when a run trains.
  public init(_ experiment: Experiment, data: DatasetSummary) throws(Diagnostic) {
    var parents: [PlannedRun] = []
    var baselines: [PlannedRun] = []
    var others: [PlannedRun] = []
    var files: [ModelSpec: [String: PretrainedFile]] = [:]
    do throws(SettingError) {
      for point in experiment.points {
        var parent: String?
        var weights: PretrainedFile?
        if let path = point.settings.pretraining.weights {
          let model = try ResolvedTraining.model(point.settings, data)
          weights = try Self.file(path, for: model, among: &files)
        } else {
          let run = try PlannedRun(pretrainingOf: point, data: data)
          if !parents.contains(where: { $0.id == run.id }) { parents.append(run) }
          parent = run.id
        }
        var pair: PlannedRun?
        if let point = point.pair {
          pair = try PlannedRun(point, parent: parent, weights: weights, pair: nil, data: data)
        }
        let run = try PlannedRun(point, parent: parent, weights: weights, pair: pair?.id, data: data)
        if run.kind == .fullQAT { baselines.append(run) } else { others += [pair, run].compactMap { $0 } }
      }
    } catch {
      throw error.diagnostic(in: experiment.file)
    }
    func bySeed(_ runs: [PlannedRun]) -> [PlannedRun] {
      var seen: Set<String> = []
      let unique = runs.filter { seen.insert($0.id).inserted }
      return unique.enumerated().sorted { ($0.element.spec.seed, $0.offset) < ($1.element.spec.seed, $1.offset) }
        .map(\.element)
    }
    runs = parents + bySeed(baselines) + bySeed(others)
  }

  private init(runs: [PlannedRun]) { self.runs = runs }

  /// A file of weights, read once for each network that starts from it.
  private static func file(
    _ path: String, for model: ModelSpec, among known: inout [ModelSpec: [String: PretrainedFile]]
  ) throws(SettingError) -> PretrainedFile {
    if let file = known[model]?[path] { return file }
    do {
      let file = try PretrainedFile(path, for: model)
      known[model, default: [:]][path] = file
      return file
    } catch {
      throw SettingError(path: SettingPath(["pretraining", "weights"]), problem: oneLine(error))
    }
  }

  /// Of a pattern that is to name a run: less may as well be a number that is meant for a label.
  private static let shortestIdPrefix = 4

  /// The runs whose label or id match one of `patterns` (all where there are none), with the runs they start from and are
  /// paired with.
  ///
  /// A pattern is a part of the label in which numbers are whole (`seed=1` is no part of `seed=10`), or with `*` and `?` a
  /// match of all of it, or the beginning of an id.
  public func selecting(_ patterns: [String]) -> RunPlan {
    guard !patterns.isEmpty else { return self }
    let chosen = runs.filter { run in
      patterns.contains { matches($0, label: run.label) || ($0.count >= Self.shortestIdPrefix && run.id.hasPrefix($0)) }
    }
    // A paired run starts from the same network.
    let kept = Set(chosen.flatMap { [$0.id] + $0.prerequisites })
    return RunPlan(runs: runs.filter { kept.contains($0.id) })
  }
}

/// Whether the glob `pattern` (without `*` and `?`: a part) fits the label.
private func matches(_ pattern: String, label: String) -> Bool {
  guard pattern.contains(where: { $0 == "*" || $0 == "?" }) else {
    return label.ranges(of: pattern).contains { range in
      isWhole(pattern, before: label[..<range.lowerBound], after: label[range.upperBound...])
    }
  }
  return fits(Array(pattern)[...], Array(label)[...])
}

/// Whether no number at an end of `part` goes on in what is before or after it.
private func isWhole(_ part: String, before: Substring, after: Substring) -> Bool {
  let goesOn = after.prefixMatch(of: /[0-9]|\.[0-9]|e[-+]?[0-9]/) != nil
  let began = before.last.map { $0.isNumber || $0 == "." } ?? false
  return !(part.last?.isNumber ?? false && goesOn) && !(part.first?.isNumber ?? false && began)
}

private func fits(_ pattern: ArraySlice<Character>, _ text: ArraySlice<Character>) -> Bool {
  // Rows of a table over the text: which of its prefixes the pattern so far can consume.
  var reachable = Set([text.startIndex])
  for symbol in pattern {
    switch symbol {
    case "*":
      guard let first = reachable.min() else { return false }
      reachable = Set(first...text.endIndex)
    default:
      reachable = Set(
        reachable.filter { $0 < text.endIndex && (symbol == "?" || text[$0] == symbol) }.map { $0 + 1 })
    }
  }
  return reachable.contains(text.endIndex)
}

extension PlannedRun {
  fileprivate init(pretrainingOf point: Experiment.Point, data: DatasetSummary) throws(SettingError) {
    let settings = point.settings
    let resolved = try ResolvedTraining(
      settings.pretraining.training, settings: settings, data: data, section: ["pretraining"])
    self.init(
      spec: resolved.spec(quantization: nil, freezing: nil, seed: settings.pretraining.seed),
      settings: settings, data: data, kind: .fullPrecision,
      label: "fullPrecision \(settings.recipe) seed=\(settings.pretraining.seed)", parent: nil, axisValues: [],
      stepsPerEpoch: resolved.stepsPerEpoch)
  }

  fileprivate init(
    _ point: Experiment.Point, parent: String?, weights: PretrainedFile?, pair: String?, data: DatasetSummary
  ) throws(SettingError) {
    let settings = point.settings
    let resolved = try ResolvedTraining(settings.training, settings: settings, data: data, section: [])
    var freezing: FreezingSpec?
    var words = ["W\(settings.weightBits)A\(settings.activationBits)", "\(settings.method.name)"]
    if let method = settings.method.freezing {
      func step(_ key: String, _ duration: TrainingDuration) throws(SettingError) -> Int {
        let step = duration.steps(stepsPerEpoch: resolved.stepsPerEpoch, of: resolved.totalSteps)
        guard step < resolved.totalSteps else {
          throw SettingError(
            path: SettingPath(["freezing", key]),
            problem: "\(duration) is step \(step), not before the run's end at step \(resolved.totalSteps): nothing "
              + "would ever freeze")
        }
        return step
      }
      var spec = method.spec
      (spec.totalSteps, spec.pair) = (resolved.totalSteps, pair)
      if spec.reads(.start) { spec.startStep = try step("start", method.start) }
      if case .after(let duration)? = method.stop { spec.stopStep = try step("stop", duration) }
      if let steps = spec.unchangedSteps, steps >= spec.totalSteps {
        throw SettingError(
          path: SettingPath(["freezing", "steps"]),
          problem: "found \(steps), but the run has \(spec.totalSteps) steps: nothing would ever freeze")
      }
      freezing = spec
      if spec.criterion != .distance, !point.axisValues.contains(where: { $0.path.description == "freezing.criterion" })
      {
        words.append("criterion=\(spec.criterion)")
      }
      if spec.reads(.threshold) { words.append("threshold=\(SettingCodec<ThresholdSchedule>.label(spec.schedule))") }
    }
    let named = ["bits", "bits.weights", "bits.activations", "method", "freezing.threshold"]
    for axis in point.axisValues where !named.contains(axis.path.description) {
      let value = if case .string(let text) = axis.value { text } else { axis.value.text }
      words.append("\(axis.path.components.last!)=\(value)")
    }
    words.append("seed=\(settings.seed)")
    self.init(
      spec: resolved.spec(
        quantization: settings.recipe.quantization(
          weightBits: settings.weightBits, activationBits: settings.activationBits,
          rangeGradient: settings.rangeGradient, gradients: settings.gradients),
        freezing: freezing, seed: settings.seed),
      settings: settings, data: data, kind: settings.method.name.kind,
      label: words.joined(separator: " "), parent: parent, weights: weights, axisValues: point.axisValues,
      stepsPerEpoch: resolved.stepsPerEpoch)
  }

  private init(
    spec: TrainingSpec, settings: RunSettings, data: DatasetSummary, kind: RunKind, label: String,
    parent: String?, weights: PretrainedFile? = nil, axisValues: [Experiment.AxisValue], stepsPerEpoch: Int
  ) {
    let normalization =
      data.manifest.map { settings.recipe.normalization(for: $0, network: settings.architecture) } ?? .imageNet
    // The whole data set is the same data as no subset at all.
    let subset = settings.subset == data.trainCount ? nil : settings.subset
    self.init(
      identity: RunIdentity(
        spec: spec, dataHash: data.contentHash, mean: normalization.mean,
        standardDeviation: normalization.standardDeviation, subset: subset, parent: parent,
        weights: weights?.sha256),
      kind: kind, label: label, spec: spec, parent: parent, weights: weights, subset: subset,
      normalization: normalization,
      recipe: settings.recipe, axisValues: axisValues, stepsPerEpoch: stepsPerEpoch, testImages: data.testCount)
  }
}

extension MethodName {
  fileprivate var kind: RunKind {
    switch self {
    case .fullQAT: .fullQAT
    case .freeze: .freeze
    case .shadow: .shadow
    }
  }
}

/// `TrainingSettings` in steps.
private struct ResolvedTraining {
  var settings: TrainingSettings
  var stepsPerEpoch: Int
  var totalSteps: Int
  var schedule: LearningRateSchedule
  var model: ModelSpec

  static func model(_ run: RunSettings, _ data: DatasetSummary) throws(SettingError) -> ModelSpec {
    let found = data.manifest.map { PixelSize(width: $0.width, height: $0.height) }
    guard let size = run.training.images?.size ?? found else {
      throw SettingError(
        path: SettingPath(["images", "crop"]),
        problem: "missing; the pictures of \(data.name) may differ in size, as those of other runs of the sweep")
    }
    let model = run.recipe.model(
      run.architecture, classes: data.classes.count, height: size.height, width: size.width)
    do throws(NetworkError) {
      _ = try model.graph()
    } catch {
      throw SettingError(
        path: SettingPath(["dataset"]), problem: "\(data.name): \(error); scale, crop or sort the images otherwise")
    }
    return model
  }

  /// - Parameter section: where in the file the settings stand, for messages.
  init(
    _ settings: TrainingSettings, settings run: RunSettings, data: DatasetSummary, section: [String]
  ) throws(SettingError) {
    func fail(_ key: String, _ problem: String) -> SettingError {
      SettingError(path: SettingPath(section + [key]), problem: problem)
    }
    let images = run.subset ?? data.trainCount
    guard images <= data.trainCount else {
      throw SettingError(
        path: SettingPath(["subset"]),
        problem: "found \(images), but the data set \(data.name) has \(data.trainCount) training images")
    }
    model = try Self.model(run, data)
    self.settings = settings
    stepsPerEpoch = BatchPlan.batchCount(
      images: images, batchSize: settings.batchSize, dropLast: settings.dropLastPartialBatch)
    guard stepsPerEpoch > 0 else {
      throw fail(
        "batchSize",
        "\(settings.batchSize) is more than the \(images) training images and partial batches are dropped, so an epoch "
          + "has no step; use a smaller batch, or set dropLastPartialBatch to false")
    }
    totalSteps = settings.duration.steps(stepsPerEpoch: stepsPerEpoch, of: 0)
    guard totalSteps > 0 else { throw fail("duration", "\(settings.duration) is less than a step") }
    guard totalSteps <= Int(Int32.max) else { throw fail("duration", "\(settings.duration) is too long") }
    switch settings.learningRate {
    case .constant: schedule = .constant
    case .cosine: schedule = .cosine(totalSteps: totalSteps)
    case .step(let durations, let factor):
      var milestones: [Int] = []
      for duration in durations { milestones.append(duration.steps(stepsPerEpoch: stepsPerEpoch, of: totalSteps)) }
      for (earlier, later) in zip(milestones, milestones.dropFirst()) where later < earlier {
        throw fail("learningRate", "milestones are not in order: step \(later) after step \(earlier)")
      }
      for (duration, milestone) in zip(durations, milestones) where milestone >= totalSteps {
        // A share of a run of very few steps may round up to all of it; a fixed one is a mistake.
        if case .percent = duration { continue }
        throw fail(
          "learningRate",
          "the milestone \(duration) is not before the run's end at step \(totalSteps); remove it, or write it in percent"
        )
      }
      schedule = .step(milestones: milestones, factor: factor)
    }
  }

  func spec(quantization: QuantizationSpec?, freezing: FreezingSpec?, seed: UInt64) -> TrainingSpec {
    var spec = settings.spec
    spec.model = model
    (spec.quantization, spec.freezing) = (quantization, freezing)
    (spec.learningRateSchedule, spec.totalSteps, spec.seed) = (schedule, totalSteps, seed)
    return spec
  }
}
