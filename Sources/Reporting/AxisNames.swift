import Records

/// The number an axis value stands for: "0.1", "20%" (0.2 of the run), "80ep"; nil for words such as "linear".
func axisNumber(_ value: String) -> Double? {
  if let number = Double(value) { return number.isFinite ? number : nil }
  for (suffix, scale) in [("%", 0.01), ("ep", 1.0), ("it", 1.0)] where value.hasSuffix(suffix) {
    return Double(value.dropLast(suffix.count)).flatMap { $0.isFinite ? $0 * scale : nil }
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
  case "freezing.criterion": "Criterion"
  case "freezing.stop": "Stop"
  case "freezing.steps": "Steps unchanged"
  case "freezing.distanceEMA": "EMA momentum m"
  default: name
  }
}

/// As many of a key path's last parts as tell it from the others: "threshold", "pretraining.seed". A seed is never short,
/// since runs have one of their own.
func shortAxisName(_ name: String, among names: some Sequence<String>) -> String {
  let parts = name.split(separator: ".")
  for count in 1...max(1, parts.count) {
    let short = parts.suffix(count).joined(separator: ".")
    let isUnique = !names.contains { $0 != name && ($0 == short || $0.hasSuffix("." + short)) }
    if isUnique && (short != "seed" || count == parts.count) { return short }
  }
  return name
}

/// Names that differ: what is taken already gets a prefix, then a number.
struct UniqueNames {
  private var taken: Set<String>

  init(_ taken: some Sequence<String>) { self.taken = Set(taken) }

  mutating func name(_ wanted: String, prefix: String) -> String {
    var name = wanted
    var number = 1
    while !taken.insert(name).inserted {
      number += 1
      name = number == 2 ? "\(prefix)\(wanted)" : "\(prefix)\(wanted)_\(number - 1)"
    }
    return name
  }
}

/// The names of the axes of these settings, in the order of the sweep.
func axisNames(_ settings: [Setting]) -> [String] {
  var names: [String] = []
  for axis in settings.flatMap(\.axes) where !names.contains(axis.name) { names.append(axis.name) }
  return names
}
