extension Table {
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
