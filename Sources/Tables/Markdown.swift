extension Table {
  /// A GitHub-flavoured Markdown table, numbers to the right, NaN as "–"; the title, if any, in bold above it.
  public func markdown() -> String {
    func escaped(_ text: String) -> String {
      var result = ""
      for character in text {
        switch character {
        case "\\", "|", "*", "_", "`", "<", "[", "]", "~": result += "\\\(character)"
        case "\n", "\r\n", "\r": result += "<br>"
        default: result.append(character)
        }
      }
      return result
    }
    func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |\n" }
    let title = title.isEmpty ? "" : "**\(escaped(title))**\n\n"
    return title + line(columns.map { escaped($0.headingWithUnit) })
      + line(columns.map { $0.isRightAligned ? "---:" : "---" })
      + (0..<rowCount).map { row in line(columns.map { escaped($0.readableText(row)) }) }.joined()
  }
}
