import Foundation

/// The settings of a run by key, read from its canonical configuration: keys of nested objects are joined by dots.
public struct RecordedSettings: Hashable, Encodable, Sendable {
  /// A setting's value.
  public enum Value: Hashable, Codable, Sendable, CustomStringConvertible {
    case absent
    case flag(Bool)
    case integer(Int)
    case real(Double)
    case text(String)
    case list([Value])

    public init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if container.decodeNil() {
        self = .absent
      } else if let flag = try? container.decode(Bool.self) {
        self = .flag(flag)
      } else if let integer = try? container.decode(Int.self) {
        self = .integer(integer)
      } else if let real = try? container.decode(Double.self) {
        self = .real(real)
      } else if let text = try? container.decode(String.self) {
        self = .text(text)
      } else {
        self = .list(try container.decode([Value].self))
      }
    }

    public func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .absent: try container.encodeNil()
      case .flag(let flag): try container.encode(flag)
      case .integer(let integer): try container.encode(integer)
      case .real(let real): try container.encode(real)
      case .text(let text): try container.encode(text)
      case .list(let values): try container.encode(values)
      }
    }

    /// For readers: numbers as short as they read back, lists with commas.
    public var description: String {
      switch self {
      case .absent: "none"
      case .flag(let flag): "\(flag)"
      case .integer(let integer): "\(integer)"
      case .real(let real): real == real.rounded() && abs(real) < 1e15 ? String(format: "%.0f", real) : "\(real)"
      case .text(let text): text
      case .list(let values): values.map(\.description).joined(separator: ", ")
      }
    }
  }

  /// By key path.
  public private(set) var values: [String: Value]

  /// By key path.
  public init(values: [String: Value]) { self.values = values }

  /// - Parameter configuration: a JSON object.
  /// - Throws: where it is none.
  public init(configuration: String) throws {
    var values: [String: Value] = [:]
    func add(_ node: Node, _ path: String) {
      switch node {
      case .value(let value): values[path] = value
      case .object(let members):
        for (key, node) in members { add(node, path.isEmpty ? key : "\(path).\(key)") }
      }
    }
    let members = try JSONDecoder().decode([String: Node].self, from: Data(configuration.utf8))
    add(.object(members), "")
    self.values = values
  }

  /// The value of that key; nil where there is none.
  public subscript(_ key: String) -> Value? { values[key] }

  /// The whole number of that key; nil where there is none.
  public func integer(_ key: String) -> Int? { if case .integer(let value)? = values[key] { value } else { nil } }

  /// The text of that key; nil where there is none.
  public func text(_ key: String) -> String? { if case .text(let value)? = values[key] { value } else { nil } }

  /// These settings without some of them.
  public func without(_ isLeftOut: (String) -> Bool) -> RecordedSettings {
    RecordedSettings(values: values.filter { !isLeftOut($0.key) })
  }

  /// These settings with another text for that key, where there is one.
  public func replacing(_ key: String, with text: (String) -> String?) -> RecordedSettings {
    guard case .text(let old)? = values[key], let new = text(old) else { return self }
    return RecordedSettings(values: values.merging([key: .text(new)]) { $1 })
  }

  public func encode(to encoder: any Encoder) throws { try values.encode(to: encoder) }

  private enum Node: Decodable {
    case value(Value)
    case object([String: Node])

    init(from decoder: any Decoder) throws {
      if let members = try? decoder.singleValueContainer().decode([String: Node].self) {
        self = .object(members)
      } else {
        self = .value(try Value(from: decoder))
      }
    }
  }
}
