/// Named columns of equal length, each with a unit and a description: what every table in a file or report is made of.
public struct Table: Equatable, Sendable {
  /// One column.
  public struct Column: Equatable, Sendable {
    /// The values, one a row. A missing number is NaN.
    public enum Values: Equatable, Sendable {
      case integers([Int])
      case doubles([Double])
      case floats([Float])
      case booleans([Bool])
      case strings([String])
    }

    /// The name for programs: a Python identifier where possible, and without "/".
    public var name: String
    /// The heading for readers; the name where it is empty.
    public var heading: String
    /// The unit such as "s" or "%", empty for counts, ratios and text.
    public var unit: String
    /// One sentence on what the column holds.
    public var description: String
    /// Decimals in Markdown and LaTeX; nil for as many as it takes, up to six significant digits.
    public var decimals: Int?
    /// One a row.
    public var values: Values

    /// - Precondition: 0 to 17 decimals.
    public init(
      _ name: String, heading: String = "", unit: String = "", description: String = "", decimals: Int? = nil,
      _ values: Values
    ) {
      precondition(decimals.map { (0...17).contains($0) } ?? true, "a column has 0 to 17 decimals")
      self.name = name
      self.heading = heading
      self.unit = unit
      self.description = description
      self.decimals = decimals
      self.values = values
    }

    /// Number of rows.
    public var count: Int {
      switch values {
      case .integers(let values): values.count
      case .doubles(let values): values.count
      case .floats(let values): values.count
      case .booleans(let values): values.count
      case .strings(let values): values.count
      }
    }
  }

  /// What the table shows, for captions; may be empty.
  public var title: String
  /// From left to right, equally long and with different names.
  public let columns: [Column]

  /// - Precondition: The columns are equally long and their names differ.
  public init(title: String = "", columns: [Column]) {
    precondition(Set(columns.map(\.count)).count <= 1, "the columns of a table have the same number of rows")
    precondition(Set(columns.map(\.name)).count == columns.count, "the columns of a table have different names")
    self.title = title
    self.columns = columns
  }

  /// 0 for a table without columns.
  public var rowCount: Int { columns.first?.count ?? 0 }

  /// The column of that name; nil where there is none.
  public func column(_ name: String) -> Column? { columns.first { $0.name == name } }
}
