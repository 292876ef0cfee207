/// Where a value sits in a configuration: object keys joined by dots ("freezing.threshold").
public struct SettingPath: Hashable, Sendable, CustomStringConvertible {
  /// Keys from the outermost inwards; empty: the root.
  public var components: [String]

  /// Takes each key as it is, dots included.
  public init(_ components: [String] = []) { self.components = components }
  /// Splits at every dot, so that a key with a dot in it cannot be reached; nothing between two dots is an empty key.
  public init(dotted text: String) {
    components = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
      .map { String(Substring($0)) }
  }

  func appending(_ key: String) -> SettingPath { SettingPath(components + [key]) }
  package func starts(with prefix: SettingPath) -> Bool { components.starts(with: prefix.components) }
  /// On one line, whatever the keys hold.
  public var description: String {
    components.map { $0.contains(where: \.isNewline) ? JSONValue.quoted($0) : $0 }.joined(separator: ".")
  }

  /// `value` wrapped in the objects that lead to it.
  func wrapping(_ value: JSONValue) -> JSONValue {
    components.reversed().reduce(value) { inner, key in .object([JSONValue.Member(key, inner)]) }
  }
}
