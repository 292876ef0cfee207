/// A JSON document as a tree. Object members keep their order, so that what is printed reads like what was written.
public enum JSONValue: Hashable, Sendable {
  case null
  case bool(Bool)
  /// A number written without fraction and exponent, as far as it fits.
  case integer(Int)
  /// Any other number; a whole one of 2^53 and more may stand for another one that was written.
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([Member])

  /// One entry of an object. The parser refuses a key that appears twice in one object.
  public struct Member: Hashable, Sendable {
    /// Without quotation marks, its escapes resolved.
    public var key: String
    /// In merge patches null stands for the member's removal.
    public var value: JSONValue
    /// One entry of an object, made as in `Member("batchSize", .integer(128))`.
    public init(_ key: String, _ value: JSONValue) {
      self.key = key
      self.value = value
    }
  }

  /// The kind of value, with its article, for messages.
  var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .integer, .number: "a number"
    case .string: "a string"
    case .array: "a list"
    case .object: "an object"
    }
  }

  /// 2^53: from here on a floating-point number may not be the whole number that was written.
  static let firstInexact = 9_007_199_254_740_992.0

  /// As a whole number, where it is one for certain.
  package var integer: Int? {
    switch self {
    case .integer(let integer): integer
    case .number(let number) where abs(number) < Self.firstInexact: Int(exactly: number)
    default: nil
    }
  }

  /// As a floating-point number.
  package var double: Double? {
    switch self {
    case .integer(let integer): Double(integer)
    case .number(let number): number
    default: nil
    }
  }

  /// The value as messages quote it: short ones in full, long ones by kind.
  var found: String {
    switch self {
    case .array, .object: kind
    default: text
    }
  }

  /// The first member of that key; nil where there is none, or where this is no object.
  public subscript(key: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }

  /// The value at a dotted path, nil where there is none.
  subscript(path: SettingPath) -> JSONValue? {
    path.components.reduce(Optional(self)) { value, key in value?[key] }
  }

  /// This value with `patch` applied as a JSON merge patch (RFC 7396): objects merge member by member, null removes a
  /// member, anything else replaces.
  public func merging(_ patch: JSONValue) -> JSONValue {
    guard case .object(let changes) = patch else { return patch }
    var members: [Member] = []
    if case .object(let existing) = self { members = existing }
    for change in changes {
      let index = members.firstIndex { $0.key == change.key }
      if change.value == .null {
        if let index { members.remove(at: index) }
      } else if let index {
        members[index].value = members[index].value.merging(change.value)
      } else {
        members.append(Member(change.key, JSONValue.object([]).merging(change.value)))
      }
    }
    return .object(members)
  }

  /// One line of JSON.
  public var text: String {
    switch self {
    case .null: "null"
    case .bool(let value): value ? "true" : "false"
    case .integer(let value): String(value)
    case .number(let value): Self.text(of: value)
    case .string(let value): Self.quoted(value)
    case .array(let values): "[" + values.map(\.text).joined(separator: ", ") + "]"
    case .object(let members):
      "{" + members.map { "\(Self.quoted($0.key)): \($0.value.text)" }.joined(separator: ", ") + "}"
    }
  }

  /// As JSON, but strings without quotation marks.
  package var plain: String { if case .string(let text) = self { text } else { text } }

  /// The shortest decimal that reads back as the same number, without ".0" on whole ones.
  package static func text(of value: Double) -> String {
    if let whole = Int(exactly: value) { return String(whole) }
    return value.description
  }

  package static func quoted(_ value: String) -> String {
    var result = "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case let control where control.value < 0x20:
        let digits = String(control.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
