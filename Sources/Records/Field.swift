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
  }

  let name: String
  let unit: String
  let description: String
  let path: Path

  init(_ name: String, unit: String = "", _ description: String, _ path: Path) {
    self.name = name
    self.unit = unit
    self.description = description
    self.path = path
  }
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
          }
        return Table.Column(field.name, unit: field.unit, description: field.description, values)
      })
  }

  static func read(_ name: String, in group: HDF5Group) throws(StorageError) -> [Self] {
    let table = try group.readTable(name)
    var records = [Self](repeating: .blank, count: table.rowCount)
    for field in fields {
      func mismatch(_ problem: String) -> StorageError {
        StorageError(
          .missing, file: group.file.path, object: "\(group.path)/\(name)", "column '\(field.name)' \(problem)")
      }
      guard let column = table.column(field.name) else { throw mismatch("is missing") }
      func fill<Value>(_ path: WritableKeyPath<Self, Value>, _ values: [Value]) {
        for (index, value) in values.enumerated() { records[index][keyPath: path] = value }
      }
      switch (field.path, column.values) {
      case (.integer(let path), .integers(let values)): fill(path, values)
      case (.optionalInteger(let path), .integers(let values)): fill(path, values.map { $0 == 0 ? nil : $0 })
      case (.real(let path), .doubles(let values)): fill(path, values)
      case (.optionalReal(let path), .doubles(let values)): fill(path, values.map { $0.isNaN ? nil : $0 })
      case (.flag(let path), .booleans(let values)): fill(path, values)
      case (.text(let path), .strings(let values)): fill(path, values)
      case (.optionalText(let path), .strings(let values)): fill(path, values.map { $0.isEmpty ? nil : $0 })
      default: throw mismatch("has another type than this program writes")
      }
    }
    return records
  }

  // MARK: - One record: the attributes of a group

  func write(to group: HDF5Group) throws(StorageError) {
    for field in Self.fields {
      switch field.path {
      case .integer(let path): try group.setAttribute(field.name, to: self[keyPath: path])
      case .optionalInteger(let path): try group.setAttribute(field.name, to: self[keyPath: path] ?? 0)
      case .real(let path): try group.setAttribute(field.name, to: self[keyPath: path])
      case .optionalReal(let path): try group.setAttribute(field.name, to: self[keyPath: path] ?? .nan)
      case .flag(let path): try group.setAttribute(field.name, to: UInt8(self[keyPath: path] ? 1 : 0))
      case .text(let path): try group.setAttribute(field.name, to: self[keyPath: path])
      case .optionalText(let path): try group.setAttribute(field.name, to: self[keyPath: path] ?? "")
      }
    }
  }

  init(from group: HDF5Group) throws(StorageError) {
    self = .blank
    for field in Self.fields {
      switch field.path {
      case .integer(let path): self[keyPath: path] = try group.attribute(field.name)
      case .optionalInteger(let path):
        let value: Int = try group.attribute(field.name)
        self[keyPath: path] = value == 0 ? nil : value
      case .real(let path): self[keyPath: path] = try group.attribute(field.name)
      case .optionalReal(let path):
        let value: Double = try group.attribute(field.name)
        self[keyPath: path] = value.isNaN ? nil : value
      case .flag(let path): self[keyPath: path] = try group.attribute(field.name, as: UInt8.self) != 0
      case .text(let path): self[keyPath: path] = try group.stringAttribute(field.name)
      case .optionalText(let path):
        let value = try group.stringAttribute(field.name)
        self[keyPath: path] = value.isEmpty ? nil : value
      }
    }
  }
}
