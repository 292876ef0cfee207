extension Table {
  /// A LaTeX table for pages of any width, numbers to the right, NaN as an en dash; needs the packages booktabs and graphicx
  /// (and before 2018 inputenc with utf8), and no particular font encoding.
  ///
  /// Headings are broken over lines, and a table that is still wider than the text is scaled down to it.
  /// - Parameter notes: sentences that stand below the table within its float. The caption is the title alone, so that it
  ///   can go into a list of tables.
  public func latex(notes: [String] = []) -> String {
    func line(_ cells: [String]) -> String { "      " + cells.joined(separator: " & ") + " \\\\\n" }
    let caption = title.isEmpty ? "" : "  \\caption{\(Self.escapedForLaTeX(title))}\n"
    let below =
      notes.isEmpty
      ? ""
      : "\n  \\medskip\n  \\begin{minipage}{\\textwidth}\n    \\footnotesize\\raggedright\n"
        + notes.map { "    \(Self.escapedForLaTeX($0))\\par\n" }.joined() + "  \\end{minipage}\n"
    return "% needs \\usepackage{booktabs,graphicx}\n\\begin{table}\n  \\centering\n" + caption
      + "  \\resizebox{\\ifdim\\width>\\textwidth\\textwidth\\else\\width\\fi}{!}{%\n"
      + "    \\begin{tabular}{\(columns.map { $0.isRightAligned ? "r" : "l" }.joined())}\n      \\toprule\n"
      + line(columns.map(Self.headingForLaTeX)) + "      \\midrule\n"
      + (0..<rowCount).map { row in line(columns.map { Self.escapedForLaTeX($0.readableText(row)) }) }.joined()
      + "      \\bottomrule\n    \\end{tabular}}\n" + below + "\\end{table}\n"
  }

  /// A heading in lines of about twelve letters.
  private static func headingForLaTeX(_ column: Column) -> String {
    var lines: [String] = []
    for word in column.headingWithUnit.split(separator: " ") {
      if let last = lines.last, last.count + word.count < 14 {
        lines[lines.count - 1] = last + " " + word
      } else {
        lines.append(String(word))
      }
    }
    guard lines.count > 1 else { return escapedForLaTeX(column.headingWithUnit) }
    let side = column.isRightAligned ? "r" : "l"
    return "\\shortstack[\(side)]{" + lines.map(escapedForLaTeX).joined(separator: "\\\\") + "}"
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
      // In typewriter type it is straight in every encoding.
      case "\"": result += "\\texttt{\\char34}"
      case "±": result += "$\\pm$"
      case "×": result += "$\\times$"
      case "−": result += "$-$"
      case "≤": result += "$\\le$"
      case "≥": result += "$\\ge$"
      case "λ": result += "$\\lambda$"
      case "Δ": result += "$\\Delta$"
      // Two of them would make a dash of an option.
      case "-" where result.hasSuffix("-"): result += "{}-"
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
