import Diagnostics
import Storage
import Tables

/// One stored property of a record: its name in files, what it means, and where it is. A list of these, beside each record,
/// is the only place that says how the record is stored.
struct Field<Record>: Sendable {
  enum Path: Sendable {
    case integer(any WritableKeyPath<Record, Int> & Sendable)
    /// Stored as 0 where it is nil.
    case optionalInteger(any WritableKeyPath<Record, Int?> & Sendable)
    case real(any WritableKeyPath<Record, Double> & Sendable)
    /// Stored as NaN where it is nil.
    case optionalReal(any WritableKeyPath<Record, Double?> & Sendable)
    case flag(any WritableKeyPath<Record, Bool> & Sendable)
    case text(any WritableKeyPath<Record, String> & Sendable)
    /// Stored as "" where it is nil.
    case optionalText(any WritableKeyPath<Record, String?> & Sendable)
    /// One of a few names: `set` returns false for any other.
    case choice(
      get: @Sendable (Record) -> String, set: @Sendable (inout Record, String) -> Bool, allowed: [String])

    static func choice<Value: RawRepresentable<String> & CaseIterable & SendableMetatype>(
      _ path: any WritableKeyPath<Record, Value> & Sendable
    ) -> Path {
      .choice(
        get: { $0[keyPath: path].rawValue },
        set: { record, name in
          guard let value = Value(rawValue: name) else { return false }
          record[keyPath: path] = value
          return true
        }, allowed: Value.allCases.map(\.rawValue))
    }
  }

  let name: String
  let unit: String
  let description: String
  let path: Path
  /// What files may hold, beside NaN; nil for any number.
  let allowed: ClosedRange<Double>?
  /// Whether files from before the field was there lack it as a column, which then stands for nil.
  let mayBeAbsent: Bool

  init(
    _ name: String, unit: String = "", _ description: String, _ path: Path, allowed: ClosedRange<Double>? = nil,
    mayBeAbsent: Bool = false
  ) {
    self.mayBeAbsent = mayBeAbsent
    self.name = name
    self.unit = unit
    self.description = description
    self.path = path
    self.allowed = allowed
  }

  /// A share in [0, 1], with room for the rounding of means.
  static func share(_ name: String, _ description: String, _ path: Path) -> Field {
    Field(name, description, path, allowed: 0...(1 + 1e-9))
  }

  /// Wall-clock seconds.
  static func seconds(_ name: String, _ description: String, _ path: Path) -> Field {
    Field(name, unit: "s", description, path, allowed: 0...Double.greatestFiniteMagnitude)
  }

  /// What is wrong with a number that was read, nil where nothing is.
  func problem(_ value: Double) -> String? {
    guard let allowed, !value.isNaN, !allowed.contains(value) else { return nil }
    let upper = allowed.upperBound == .greatestFiniteMagnitude ? "any finite number" : "\(Int(allowed.upperBound))"
    return "is \(value); allowed: \(Int(allowed.lowerBound)) to \(upper)"
  }

  /// What is wrong with a whole number that was read: all of them count something.
  func problem(_ value: Int) -> String? { value < 0 ? "is \(value); allowed: 0 or more" : nil }
}

/// A record that can be filled property by property.
protocol Storable {
  static var fields: [Field<Self>] { get }
  static var blank: Self { get }
}

extension Storable {
  // MARK: - Many records: a table

  static func table(_ records: [Self], title: String) -> Table {
    Table(
      title: title,
      columns: fields.map { field in
        let values: Table.Column.Values =
          switch field.path {
          case .integer(let path): .integers(records.map { $0[keyPath: path] })
          case .optionalInteger(let path): .integers(records.map { $0[keyPath: path] ?? 0 })
          case .real(let path): .doubles(records.map { $0[keyPath: path] })
          case .optionalReal(let path): .doubles(records.map { $0[keyPath: path] ?? .nan })
          case .flag(let path): .booleans(records.map { $0[keyPath: path] })
          case .text(let path): .strings(records.map { $0[keyPath: path] })
          case .optionalText(let path): .strings(records.map { $0[keyPath: path] ?? "" })
          case .choice(let get, _, _): .strings(records.map(get))
          }
        return Table.Column(field.name, unit: field.unit, description: field.description, values)
      })
  }

  static func read(_ name: String, in group: HDF5Group) throws(Diagnostic) -> [Self] {
    let table = try group.readTable(name)
    var records = [Self](repeating: .blank, count: table.rowCount)
    for field in fields {
      func mismatch(_ problem: String) -> Diagnostic {
        Diagnostic(
          group.file.path, at: group.path == "/" ? "/\(name)" : "\(group.path)/\(name)",
          "column '\(field.name)' \(problem)")
      }
      guard let column = table.column(field.name) else {
        if field.mayBeAbsent { continue }
        throw mismatch("is missing")
      }
      func fill<Value>(_ path: WritableKeyPath<Self, Value>, _ values: [Value]) {
        for (index, value) in values.enumerated() { records[index][keyPath: path] = value }
      }
      func check(_ problems: [String?]) throws(Diagnostic) {
        for (row, problem) in problems.enumerated() {
          if let problem { throw mismatch("\(problem) (row \(row + 1))") }
        }
      }
      switch (field.path, column.values) {
      case (.integer(let path), .integers(let values)):
        try check(values.map(field.problem))
        fill(path, values)
      case (.optionalInteger(let path), .integers(let values)):
        try check(values.map(field.problem))
        fill(path, values.map { $0 == 0 ? nil : $0 })
      case (.real(let path), .doubles(let values)):
        try check(values.map(field.problem))
        fill(path, values)
      case (.optionalReal(let path), .doubles(let values)):
        try check(values.map(field.problem))
        fill(path, values.map { $0.isNaN ? nil : $0 })
      case (.flag(let path), .booleans(let values)): fill(path, values)
      case (.text(let path), .strings(let values)): fill(path, values)
      case (.optionalText(let path), .strings(let values)): fill(path, values.map { $0.isEmpty ? nil : $0 })
      case (.choice(_, let set, let allowed), .strings(let values)):
        try check(values.indices.map { set(&records[$0], values[$0]) ? nil : unknown(values[$0], allowed) })
      default: throw mismatch("has another type than this program writes")
      }
    }
    return records
  }

  // MARK: - One record: the attributes of a group

  func write(to group: HDF5Group) throws(Diagnostic) {
    for field in Self.fields {
      switch field.path {
      case .integer(let path): try group.setAttribute(field.name, to: self[keyPath: path])
      case .optionalInteger(let path): try group.setAttribute(field.name, to: self[keyPath: path] ?? 0)
      case .real(let path): try group.setAttribute(field.name, to: self[keyPath: path])
      case .optionalReal(let path): try group.setAttribute(field.name, to: self[keyPath: path] ?? .nan)
      case .flag(let path): try group.setAttribute(field.name, to: UInt8(self[keyPath: path] ? 1 : 0))
      case .text(let path): try group.setAttribute(field.name, to: self[keyPath: path])
      case .optionalText(let path): try group.setAttribute(field.name, to: self[keyPath: path] ?? "")
      case .choice(let get, _, _): try group.setAttribute(field.name, to: get(self))
      }
    }
  }

  init(from group: HDF5Group) throws(Diagnostic) {
    self = .blank
    func checked(_ field: Field<Self>, _ problem: String?) throws(Diagnostic) {
      if let problem { throw Diagnostic(group.file.path, at: "\(group.path)@\(field.name)", problem) }
    }
    for field in Self.fields {
      switch field.path {
      case .integer(let path):
        let value: Int = try group.attribute(field.name)
        try checked(field, field.problem(value))
        self[keyPath: path] = value
      case .optionalInteger(let path):
        // Files from before the field was there have none.
        guard try group.hasAttribute(field.name) else { continue }
        let value: Int = try group.attribute(field.name)
        try checked(field, field.problem(value))
        self[keyPath: path] = value == 0 ? nil : value
      case .real(let path):
        let value: Double = try group.attribute(field.name)
        try checked(field, field.problem(value))
        self[keyPath: path] = value
      case .optionalReal(let path):
        let value: Double = try group.attribute(field.name)
        try checked(field, field.problem(value))
        self[keyPath: path] = value.isNaN ? nil : value
      case .flag(let path): self[keyPath: path] = try group.attribute(field.name, as: UInt8.self) != 0
      case .text(let path): self[keyPath: path] = try group.stringAttribute(field.name)
      case .optionalText(let path):
        // Files from before the field was there have none.
        guard try group.hasAttribute(field.name) else { continue }
        let value = try group.stringAttribute(field.name)
        self[keyPath: path] = value.isEmpty ? nil : value
      case .choice(_, let set, let allowed):
        let name = try group.stringAttribute(field.name)
        try checked(field, set(&self, name) ? nil : unknown(name, allowed))
      }
    }
  }
}

private func unknown(_ name: String, _ allowed: [String]) -> String {
  "is '\(name)', not one of \(allowed.joined(separator: ", "))"
}

// MARK: - JSON

/// A coding key of any text.
struct FieldKey: CodingKey {
  let stringValue: String
  var intValue: Int? { nil }

  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { nil }
}

/// A record as a JSON object with the names that files have; what is nil is null.
struct EncodedFields<Record: Storable>: Encodable {
  let record: Record

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: FieldKey.self)
    for field in Record.fields {
      let key = FieldKey(stringValue: field.name)
      switch field.path {
      case .integer(let path): try container.encode(record[keyPath: path], forKey: key)
      case .optionalInteger(let path): try container.encode(record[keyPath: path], forKey: key)
      case .real(let path): try container.encode(record[keyPath: path], forKey: key)
      case .optionalReal(let path): try container.encode(record[keyPath: path], forKey: key)
      case .flag(let path): try container.encode(record[keyPath: path], forKey: key)
      case .text(let path): try container.encode(record[keyPath: path], forKey: key)
      case .optionalText(let path): try container.encode(record[keyPath: path], forKey: key)
      case .choice(let get, _, _): try container.encode(get(record), forKey: key)
      }
    }
  }
}
