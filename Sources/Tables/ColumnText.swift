import Foundation

extension Table.Column {
  var headingWithUnit: String {
    let text = heading.isEmpty ? name : heading
    return unit.isEmpty ? text : "\(text) (\(unit))"
  }

  var isRightAligned: Bool {
    switch values {
    case .integers, .doubles, .floats: true
    case .booleans, .strings: false
    }
  }

  /// The value in as few characters as bring it back unchanged.
  func exactText(_ row: Int) -> String {
    switch values {
    case .integers(let values): "\(values[row])"
    case .doubles(let values): values[row].isNaN ? "" : "\(values[row])"
    case .floats(let values): values[row].isNaN ? "" : "\(values[row])"
    case .booleans(let values): values[row] ? "true" : "false"
    case .strings(let values): values[row]
    }
  }

  func readableText(_ row: Int) -> String {
    func text(_ value: Double) -> String {
      if value.isNaN { return "–" }
      return decimals.map { String(format: "%.\($0)f", value) } ?? String(format: "%.6g", value)
    }
    switch values {
    case .integers(let values): return "\(values[row])"
    case .doubles(let values): return text(values[row])
    case .floats(let values): return text(Double(values[row]))
    case .booleans(let values): return values[row] ? "yes" : "no"
    case .strings(let values): return values[row]
    }
  }
}
