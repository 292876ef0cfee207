import Foundation
import Records

/// Runs that differ in nothing but their seeds: what one row of a table sums up.
struct Setting {
  let kind: RunKind
  let recipe: String
  /// The configuration without the seed, by key.
  let configuration: [String: String]
  /// What the sweep varies, without method and bit widths, which have columns of their own.
  let axes: [AxisValue]
  /// By seed.
  let runs: [RunRecord]

  var finished: [RunRecord] { runs.filter { $0.outcome.status == .finished && $0.outcome.finalTopOne != nil } }
  var unfinished: [RunRecord] { runs.filter { $0.outcome.status != .finished || $0.outcome.finalTopOne == nil } }

  /// Bits of weights and activations; nil for full precision.
  var bits: Bits? {
    guard kind != .fullPrecision, let fallback = runs[0].bits else { return nil }
    return Bits(
      weights: configuration["quantization.weightBits"].flatMap { Int($0) } ?? fallback,
      activations: configuration["quantization.activationBits"].flatMap { Int($0) } ?? fallback)
  }

  struct Bits: Hashable, CustomStringConvertible {
    let weights: Int
    let activations: Int
    var description: String { "\(weights)/\(activations)" }
  }

  var method: String {
    switch kind {
    case .fullPrecision: "full precision"
    case .fullQAT: "full QAT"
    case .freeze: "SpQAT"
    }
  }

  /// What settings have in common that may be compared: everything but the method and how it freezes.
  var family: [String: String] {
    var family = configuration.filter { !Self.isOfMethod($0.key) }
    family["recipe"] = recipe
    return family
  }

  func axis(_ name: String) -> String? { axes.first { $0.name == name }?.value }

  /// Whether all of these axes have these values; an axis may be named by its last part ("threshold").
  func has(_ values: [AxisValue]) -> Bool {
    values.allSatisfy { wanted in
      axes.contains { ($0.name == wanted.name || $0.name.hasSuffix("." + wanted.name)) && $0.value == wanted.value }
    }
  }

  private static func isOfMethod(_ key: String) -> Bool { key == "method" || key.hasPrefix("freezing") }

  /// Settings in the order of tables: full precision first, more bits before fewer, the baseline before what is compared
  /// with it, then by the axes, numbers by size.
  static func settings(of runs: [RunRecord]) -> [Setting] {
    struct Key: Hashable {
      let kind: RunKind
      let recipe: String
      let configuration: [String: String]
    }
    let groups = Dictionary(grouping: runs) { run in
      Key(kind: run.kind, recipe: run.recipe, configuration: run.flatConfiguration.filter { $0.key != "seed" })
    }
    return groups.map { key, runs in
      let runs = runs.sorted { ($0.provenance.seed, $0.id) < ($1.provenance.seed, $1.id) }
      return Setting(
        kind: key.kind, recipe: key.recipe, configuration: key.configuration,
        axes: runs[0].axes.filter { $0.name != "method" && $0.name != "bits" && !$0.name.hasPrefix("bits.") },
        runs: runs)
    }.sorted { $0.precedes($1) }
  }

  private func precedes(_ other: Setting) -> Bool {
    let (mine, others) = (bits, other.bits)
    if (kind == .fullPrecision) != (other.kind == .fullPrecision) { return kind == .fullPrecision }
    if recipe != other.recipe { return recipe > other.recipe }
    if let mine, let others, mine != others {
      return (mine.weights, mine.activations) > (others.weights, others.activations)
    }
    if kind != other.kind { return kind == .fullQAT }
    let (left, right) = (axes.map { ($0.name, $0.value) }, other.axes.map { ($0.name, $0.value) })
    for ((name, value), (otherName, otherValue)) in zip(left, right) {
      if name != otherName { return name < otherName }
      if value != otherValue { return axisValue(value, precedes: otherValue) }
    }
    if left.count != right.count { return left.count < right.count }
    return runs[0].id < other.runs[0].id
  }
}

extension RunRecord {
  /// The canonical configuration, its keys joined by dots.
  var flatConfiguration: [String: String] {
    guard let object = try? JSONSerialization.jsonObject(with: Data(configuration.utf8)) else { return [:] }
    var flat: [String: String] = [:]
    func add(_ value: Any, _ path: String) {
      switch value {
      case let object as [String: Any]:
        for (key, value) in object { add(value, path.isEmpty ? key : "\(path).\(key)") }
      case let values as [Any]: flat[path] = values.map { "\($0)" }.joined(separator: ", ")
      default: flat[path] = "\(value)"
      }
    }
    add(object, "")
    return flat
  }

  /// Seconds of training without the evaluations between, over all epochs.
  var trainingSeconds: Double { epochs.reduce(0) { $0 + $1.seconds.total - $1.seconds.evaluation } }
}

/// The number an axis value stands for: "0.1", "20%" (0.2 of the run), "80ep"; nil for words such as "linear".
func axisNumber(_ value: String) -> Double? {
  if let number = Double(value) { return number }
  for (suffix, scale) in [("%", 0.01), ("ep", 1.0), ("it", 1.0)] where value.hasSuffix(suffix) {
    return Double(value.dropLast(suffix.count)).map { $0 * scale }
  }
  return nil
}

/// Numbers by size and before words, words by their letters.
func axisValue(_ value: String, precedes other: String) -> Bool {
  switch (axisNumber(value), axisNumber(other)) {
  case (let number?, let otherNumber?): number == otherNumber ? value < other : number < otherNumber
  case (.some, nil): true
  case (nil, .some): false
  case (nil, nil): value < other
  }
}

/// A reader's word for an axis.
func axisHeading(_ name: String) -> String {
  switch name {
  case "freezing.threshold": "Threshold λ"
  case "freezing.start": "Freeze start"
  case "freezing.distanceEMA": "EMA momentum m"
  default: name
  }
}
