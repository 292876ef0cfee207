/// The JSON Schema of experiment files, by which editors complete and check them: the settings' own descriptions, written out.
package enum ExperimentSchema {
  /// What `configs/schema.json` holds.
  package static var text: String { document.laidOut() + "\n" }

  private static func reference(_ definition: String) -> JSONValue {
    .object([Member("$ref", .string("#/$defs/\(definition)"))])
  }
  /// Belong to the file as a whole: no profile sets them.
  private static let ofTheFile = ["$schema", "name", "profiles"]

  private static var document: JSONValue {
    let names = ConfigurationKeys.names(in: "")
    return .object([
      Member("$schema", .string("https://json-schema.org/draft/2020-12/schema")),
      Member("$id", .string("schema.json")),
      Member("title", .string("SpQAT experiment")),
      Member(
        "description",
        .string(
          "One experiment: settings that all runs share, the axes that a sweep varies, and profiles that override settings. "
            + "What is left out is as the recipe's authors have it.")),
      Member("allOf", .array([reference("settings")])),
      Member("required", .array([.string("name")])),
      Member("unevaluatedProperties", .bool(false)),
      Member("properties", properties(ofTheFile, in: "")),
      Member(
        "$defs",
        .object(
          [("settings", false), ("overrides", true)].map { name, isPatch in
            Member(
              name,
              .object([
                Member("type", .string("object")),
                Member("properties", properties(names.filter { !ofTheFile.contains($0) }, in: "", isPatch: isPatch)),
              ]))
          })),
    ])
  }

  /// - Parameter isPatch: of a profile, where null removes whatever key.
  private static func properties(_ names: [String], in section: String, isPatch: Bool = false) -> JSONValue {
    .object(
      names.map { name in
        let path = section.isEmpty ? name : "\(section).\(name)"
        let outline = ConfigurationKeys.outlines.first { $0.path == path }
        let schema = outline.map(value) ?? object(path, isPatch: isPatch)
        guard isPatch else { return Member(name, schema) }
        return Member(name, .object([Member("anyOf", .array([schema, .object([Member("type", .string("null"))])]))]))
      })
  }

  private static func object(_ path: String, isPatch: Bool) -> JSONValue {
    let section = ConfigurationKeys.described.first { $0.path == path }
    let object = JSONValue.string("object")
    return .object([
      Member("type", section?.isOptional == true ? .array([object, .string("null")]) : object),
      Member("description", .string(section?.text ?? "")),
      Member("properties", properties(ConfigurationKeys.names(in: path), in: path, isPatch: isPatch)),
      Member("additionalProperties", .bool(false)),
    ])
  }

  private static func value(_ outline: SettingOutline) -> JSONValue {
    switch outline.content {
    case .value(let schema): schema.json(default: outline.defaultValue)
    case .axes: axes
    case .profiles: profiles
    }
  }

  private static var axes: JSONValue {
    let pattern = "^(\(ConfigurationKeys.axes.joined(separator: "|")))(\\.[A-Za-z0-9]+)*$"
    return .object([
      Member("type", .string("array")),
      Member(
        "description",
        .string("What the sweep varies. Objects multiply into a grid; the lists in one object vary together.")),
      Member(
        "items",
        .object([
          Member("type", .string("object")), Member("minProperties", .integer(1)),
          Member("propertyNames", .object([Member("pattern", .string(pattern))])),
          Member(
            "additionalProperties",
            .object([Member("type", .string("array")), Member("minItems", .integer(1))])),
        ])),
    ])
  }

  private static var profiles: JSONValue {
    .object([
      Member("type", .string("object")),
      Member(
        "description",
        .string(
          "Overrides by name, chosen with --profile (\"\(Experiment.defaultProfile)\" where nothing is chosen). Objects merge, "
            + "null removes a key.")),
      Member(
        "additionalProperties", reference("overrides").merging(.object([Member("unevaluatedProperties", .bool(false))]))
      ),
    ])
  }
}

private typealias Member = JSONValue.Member

extension JSONValue {
  /// JSON to be read by people: what fits into a line of `width` stands in one, anything else a member or an element a line.
  func laidOut(width: Int = 120, indentation: Int = 0, after prefix: Int = 0) -> String {
    let line = text
    let parts: [(key: String, value: JSONValue)]
    let brackets: (open: String, close: String)
    switch self {
    case .object(let members) where !members.isEmpty:
      parts = members.map { (Self.quoted($0.key) + ": ", $0.value) }
      brackets = ("{", "}")
    case .array(let elements) where !elements.isEmpty:
      parts = elements.map { ("", $0) }
      brackets = ("[", "]")
    default: return line
    }
    // A comma may follow.
    if indentation + prefix + line.count < width { return line }
    let inner = indentation + 2
    let lines = parts.map { part in
      String(repeating: " ", count: inner) + part.key
        + part.value.laidOut(width: width, indentation: inner, after: part.key.count)
    }
    let close = String(repeating: " ", count: indentation) + brackets.close
    return brackets.open + "\n" + lines.joined(separator: ",\n") + "\n" + close
  }
}
