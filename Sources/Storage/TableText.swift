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

  /// A LaTeX table (packages booktabs and, for accents and symbols, inputenc utf8), numbers to the right, NaN as an en dash;
  /// the title, if any, as its caption.
  public func latex() -> String {
    func line(_ cells: [String]) -> String {
      "    " + cells.map(Self.escapedForLaTeX).joined(separator: " & ") + " \\\\\n"
    }
    let caption = title.isEmpty ? "" : "  \\caption{\(Self.escapedForLaTeX(title))}\n"
    return "% needs \\usepackage{booktabs}\n\\begin{table}\n  \\centering\n" + caption
      + "  \\begin{tabular}{\(columns.map { $0.isRightAligned ? "r" : "l" }.joined())}\n    \\toprule\n"
      + line(columns.map(\.headingWithUnit)) + "    \\midrule\n"
      + (0..<rowCount).map { row in line(columns.map { $0.readableText(row) }) }.joined()
      + "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n"
  }

  private static func escapedForLaTeX(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "&", "%", "$", "#", "_", "{", "}": result += "\\\(character)"
      case "\\": result += "\\textbackslash{}"
      case "~": result += "\\textasciitilde{}"
      case "^": result += "\\textasciicircum{}"
      case "<": result += "\\textless{}"
      case ">": result += "\\textgreater{}"
      case "|": result += "\\textbar{}"
      case "\"": result += "\\textquotedbl{}"
      case "±": result += "$\\pm$"
      case "×": result += "$\\times$"
      case "−": result += "$-$"
      case "≤": result += "$\\le$"
      case "≥": result += "$\\ge$"
      case "λ": result += "$\\lambda$"
      case "Δ": result += "$\\Delta$"
      case "–": result += "--"
      case "—": result += "---"
      case "…": result += "\\dots{}"
      case "\n", "\r\n", "\r": result += " "
      default: result.append(character)
      }
    }
    return result
  }
}

extension Table.Column {
  fileprivate var headingWithUnit: String {
    let text = heading.isEmpty ? name : heading
    return unit.isEmpty ? text : "\(text) (\(unit))"
  }

  fileprivate var isRightAligned: Bool {
    switch values {
    case .integers, .doubles, .floats: true
    case .booleans, .strings: false
    }
  }

  /// The value in as few characters as bring it back unchanged.
  fileprivate func exactText(_ row: Int) -> String {
    switch values {
    case .integers(let values): "\(values[row])"
    case .doubles(let values): values[row].isNaN ? "" : "\(values[row])"
    case .floats(let values): values[row].isNaN ? "" : "\(values[row])"
    case .booleans(let values): values[row] ? "true" : "false"
    case .strings(let values): values[row]
    }
  }

  fileprivate func readableText(_ row: Int) -> String {
    func text(_ value: Double) -> String {
      if value.isNaN { return "–" }
      return decimals.map { String(format: "%.\($0)f", value) } ?? String(format: "%.6g", value)
    }
    switch values {
    case .integers(let values): return "\(values[row])"
    case .doubles(let values): return text(values[row])
    case .floats(let values): return text(Double(values[row]))
    case .booleans(let values): return values[row] ? "yes" : "no"
    case .strings(let values): return values[row]
    }
  }
}
