import Records

/// Runs that differ in nothing but their seeds, or in the seed of the full-precision network that they start from: what one row
/// of a table sums up.
struct Setting {
  let kind: RunKind
  let recipe: RecipeName
  /// The configuration without the seed; for full-precision networks that differ in their seed alone one stands as the parent.
  let configuration: RecordedSettings
  /// What the sweep varies, without method and bit widths, which have columns of their own.
  let axes: [AxisSetting]
  /// By seed.
  let runs: [RunRecord]

  var finished: [RunRecord] { runs.filter { $0.outcome.status == .finished && $0.outcome.finalTopOne != nil } }
  var unfinished: [RunRecord] { runs.filter { $0.outcome.status != .finished || $0.outcome.finalTopOne == nil } }

  /// Bits of weights and activations; nil for full precision.
  /// Whether runs of both train the same to the bit: their differences are no evidence, and would pool as a spread of zero.
  func equals(_ baseline: Setting) -> Bool { kind == .shadow && baseline.kind == .fullQAT }

  var bits: BitWidths? { kind == .fullPrecision ? nil : runs[0].bits }

  /// For readers: freezing bears the name that its recipe's paper gives it.
  var method: String {
    switch kind {
    case .fullPrecision: "full precision"
    case .fullQAT: "full QAT"
    case .freeze: criterion.map { "\($0) freezing" } ?? recipe.freezingName
    case .shadow: "full QAT, \(criterion ?? recipe.freezingName) in the shadow"
    }
  }

  /// What decides over freezing, where it is not the published criterion.
  private var criterion: String? { configuration.text("freezing.criterion") }

  /// What settings have in common that may be compared: everything but the method and how it freezes.
  struct Family: Hashable {
    let recipe: RecipeName
    let configuration: RecordedSettings
  }

  var family: Family { Family(recipe: recipe, configuration: configuration.without(Self.isOfMethod)) }

  func axis(_ name: String) -> String? { axes.first { $0.name == name }?.value }

  /// Whether all of these axes have these values; an axis may be named by its last part ("threshold").
  func has(_ values: [AxisSetting]) -> Bool {
    values.allSatisfy { wanted in
      axes.contains { ($0.name == wanted.name || $0.name.hasSuffix("." + wanted.name)) && $0.value == wanted.value }
    }
  }

  /// Whose gradients the ranges get is a question only where weights are frozen: full QAT is recorded with one answer.
  private static func isOfMethod(_ key: String) -> Bool {
    key == "method" || key.hasPrefix("freezing") || key == "quantization.rangeGradient"
  }

  /// Axes that tables have columns for anyway.
  private static func hasColumn(_ axis: String) -> Bool {
    ["method", "recipe", "bits"].contains(axis) || axis.hasPrefix("bits.")
  }

  /// Settings in the order of tables: full precision first, more bits before fewer, the baseline before what is compared
  /// with it, then by the axes, numbers by size.
  static func settings(of runs: [RunRecord]) -> [Setting] {
    struct Key: Hashable {
      let kind: RunKind
      let recipe: RecipeName
      let configuration: RecordedSettings
    }
    let parents = representatives(of: runs)
    let groups = Dictionary(grouping: runs) { run in
      Key(
        kind: run.kind, recipe: run.recipe,
        configuration: run.settings.without { $0 == "seed" || $0 == "freezing.pair" }.replacing("parent") {
          parents[$0]
        })
    }
    return groups.map { key, runs in
      let runs = runs.sorted { ($0.provenance.seed, $0.id) < ($1.provenance.seed, $1.id) }
      return Setting(
        kind: key.kind, recipe: key.recipe, configuration: key.configuration,
        axes: runs[0].axes.filter { axis in
          !hasColumn(axis.name)
            && !(axis.name == "pretraining.seed" && Set(runs.map(\.provenance.parentRunID)).count > 1)
        },
        runs: runs)
    }.sorted { $0.precedes($1) }
  }

  /// For each full-precision run that is at hand, the first of those that differ from it in their seed alone.
  private static func representatives(of runs: [RunRecord]) -> [String: String] {
    let networks = runs.filter { $0.kind == .fullPrecision }.sorted { $0.id < $1.id }
    let groups = Dictionary(grouping: networks) { run in
      Family(recipe: run.recipe, configuration: run.settings.without { $0 == "seed" })
    }
    var representatives: [String: String] = [:]
    for group in groups.values {
      for run in group { representatives[run.id] = group[0].id }
    }
    return representatives
  }

  private func precedes(_ other: Setting) -> Bool {
    let (mine, others) = (bits, other.bits)
    if (kind == .fullPrecision) != (other.kind == .fullPrecision) { return kind == .fullPrecision }
    if recipe != other.recipe { return recipe.rawValue > other.recipe.rawValue }
    if let mine, let others, mine != others {
      return (mine.weights, mine.activations) > (others.weights, others.activations)
    }
    if kind != other.kind { return rank < other.rank }
    let (left, right) = (axes.map { ($0.name, $0.value) }, other.axes.map { ($0.name, $0.value) })
    for ((name, value), (otherName, otherValue)) in zip(left, right) {
      if name != otherName { return name < otherName }
      if value != otherValue { return axisValue(value, precedes: otherValue) }
    }
    if left.count != right.count { return left.count < right.count }
    return runs[0].id < other.runs[0].id
  }
}

extension Setting {
  /// Among settings of the same bits: the baseline first.
  private var rank: Int { RunKind.allCases.firstIndex(of: kind)! }
}

extension RunRecord {
  /// Seconds of training without the evaluations between, over all epochs.
  var trainingSeconds: Double { epochs.reduce(0) { $0 + $1.seconds.total - $1.seconds.evaluation } }
}
