import Foundation

extension Table {
  /// RFC 4180: the column names, then the rows, each ended by CR LF. Numbers in full precision, NaN as an empty field.
  public func csv() -> String {
    func field(_ text: String) -> String {
      // By bytes: Swift takes CR LF for one character.
      let special: Set<UInt8> = [0x22, 0x2C, 0x0A, 0x0D]
      guard text.utf8.contains(where: special.contains) else { return text }
      return "\"" + text.replacingOccurrences(of: "\"", with: "\"\"") + "\""
    }
    func line(_ fields: [String]) -> String { fields.map(field).joined(separator: ",") + "\r\n" }
    return line(columns.map(\.name))
      + (0..<rowCount).map { row in line(columns.map { $0.exactText(row) }) }.joined()
  }
}
