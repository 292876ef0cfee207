/// A length of training with its unit, resolved to whole steps once the data set is known.
public enum TrainingDuration: Hashable, Sendable, CustomStringConvertible {
  case epochs(Double)
  case steps(Int)
  /// Of the run's whole duration, so that a shorter profile keeps the schedule's shape.
  case percent(Double)

  /// How durations are written.
  static let units =
    "write a number with a unit: \"80ep\" (epochs), \"20%\" (of the run) or \"500it\" (steps)"

  /// "80ep", "20%" or "500it".
  init(_ value: JSONValue) throws(SettingProblem) {
    func refusal(_ reason: String) -> SettingProblem {
      SettingProblem(text: "found \(value.found), \(reason); \(Self.units)")
    }
    guard case .string(let text) = value else { throw refusal("expected a duration") }
    let unit = text.drop { $0.isNumber || $0 == "." || $0 == "-" || $0 == "+" }
    guard let amount = Double(text.dropLast(unit.count)) else { throw refusal("which has no number") }
    guard amount >= 0, amount <= 1e9 else { throw refusal("which is not between 0 and 1e9") }
    switch unit {
    case "ep": self = .epochs(amount)
    case "%":
      guard amount <= 100 else { throw refusal("which is more than the whole run") }
      self = .percent(amount)
    case "it":
      guard let steps = Int(exactly: amount) else { throw refusal("which is not a whole number of steps") }
      self = .steps(steps)
    case "": throw refusal("which has no unit")
    default: throw refusal("whose unit \"\(unit)\" is unknown")
    }
  }

  /// Whole steps, rounded to the nearest.
  /// - Parameter total: the run's steps, which percentages refer to.
  public func steps(stepsPerEpoch: Int, of total: Int) -> Int {
    switch self {
    case .epochs(let epochs): Int((epochs * Double(stepsPerEpoch)).rounded())
    case .steps(let steps): steps
    case .percent(let percent): Int((percent / 100 * Double(total)).rounded())
    }
  }

  public var description: String {
    switch self {
    case .epochs(let epochs): JSONValue.text(of: epochs) + "ep"
    case .steps(let steps): "\(steps)it"
    case .percent(let percent): JSONValue.text(of: percent) + "%"
    }
  }
}
