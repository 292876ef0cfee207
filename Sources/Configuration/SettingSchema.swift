/// What a JSON Schema says about a value.
package struct SettingSchema: Equatable, Sendable {
  package indirect enum Kind: Equatable, Sendable {
    case boolean, integer, number, string
    /// Of at least one element.
    case array(of: SettingSchema, isSet: Bool = false)

    var name: String {
      switch self {
      case .boolean: "boolean"
      case .integer: "integer"
      case .number: "number"
      case .string: "string"
      case .array: "array"
      }
    }
  }

  /// nil: one of `choices` and nothing else.
  package var kind: Kind?
  package var choices: [String] = []
  package var minimum: Double?
  package var exclusiveMinimum: Double?
  package var maximum: Double?
  package var exclusiveMaximum: Double?
  /// A regular expression for the whole string.
  package var pattern: String?
  package var examples: [String] = []
  /// Whether null, which removes a key, stands for "none".
  package var isOptional = false
  /// What the value means, as editors show it.
  package var text: String?

  /// The keywords, without `text`.
  private var constraints: [JSONValue.Member] {
    let names = JSONValue.array(choices.map(JSONValue.string))
    guard let kind else { return [JSONValue.Member("enum", names)] }
    let name = JSONValue.string(kind.name)
    var members = [JSONValue.Member("type", isOptional ? .array([name, .string("null")]) : name)]
    let bounds = [
      ("minimum", minimum), ("exclusiveMinimum", exclusiveMinimum), ("maximum", maximum),
      ("exclusiveMaximum", exclusiveMaximum),
    ]
    for (keyword, bound) in bounds {
      if let bound { members.append(JSONValue.Member(keyword, .number(bound))) }
    }
    if let pattern { members.append(JSONValue.Member("pattern", .string("^(\(pattern))$"))) }
    if case .array(let element, let isSet) = kind {
      members.append(JSONValue.Member("items", element.json()))
      members.append(JSONValue.Member("minItems", .integer(1)))
      if isSet { members.append(JSONValue.Member("uniqueItems", .bool(true))) }
    }
    // A value of the kind, or a name.
    if !choices.isEmpty {
      return [JSONValue.Member("anyOf", .array([.object(members), .object([JSONValue.Member("enum", names)])]))]
    }
    return members
  }

  /// - Parameter defaultValue: what the value is where there is none; nil: that depends.
  func json(default defaultValue: JSONValue? = nil) -> JSONValue {
    var members = constraints
    if let defaultValue { members.append(JSONValue.Member("default", defaultValue)) }
    if !examples.isEmpty { members.append(JSONValue.Member("examples", .array(examples.map(JSONValue.string)))) }
    if let text { members.append(JSONValue.Member("description", .string(text))) }
    return .object(members)
  }
}

extension SettingCodec {
  /// The same with what editors say of the value.
  func described(_ text: String) -> SettingCodec {
    var schema = schema
    schema.text = text
    return SettingCodec(remedy: remedy, schema: schema, decode: decode, encode: encode)
  }
}
