import Foundation
import Tables
import TestSupport
import Testing

@Suite("Tables as text")
struct TableTextTests {
  private static let sample = Table(
    title: "Training, by epoch",
    columns: [
      .init("epoch", heading: "Epoch", description: "Epoch, from 1", .integers([1, 2, 3])),
      .init(
        "trainLoss", heading: "Training loss", unit: "nats", description: "Mean cross-entropy", decimals: 3,
        .doubles([2.25, 0.1, -1e-300])),
      .init("frozenShare", unit: "%", description: "Of freezable weights – λ·u", .floats([0, 0.1, 100])),
      .init("finished", description: "", .booleans([false, true, true])),
      .init("layer", heading: "Layer", description: "Name", .strings(["", "conv1", "läyer|2"])),
    ])

  @Test("CSV quotes what needs it, keeps full precision and leaves NaN empty")
  func csv() {
    let table = Table(columns: [
      .init("a,b", .strings(["plain", "with \"quotes\"", "two\nlines", "carriage\r\nreturn", ""])),
      .init("x", unit: "s", decimals: 1, .doubles([0.1, 1e-7, .nan, .infinity, 5])),
      .init("y", .floats([0.1, .nan, 3, 1e20, -2])), .init("z", .booleans([true, false, true, true, true])),
      .init("n", .integers([.min, 0, 1, 2, .max])),
    ])
    #expect(
      table.csv() == """
        "a,b",x,y,z,n\r
        plain,0.1,0.1,true,-9223372036854775808\r
        "with ""quotes""\",1e-07,,false,0\r
        "two
        lines",,3.0,true,1\r
        "carriage\r
        return",inf,1e+20,true,2\r
        ,5.0,-2.0,true,9223372036854775807\r

        """)
  }

  @Test("Markdown escapes, aligns and rounds")
  func markdown() {
    #expect(
      Self.sample.markdown() == """
        **Training, by epoch**

        | Epoch | Training loss (nats) | frozenShare (%) | finished | Layer |
        | ---: | ---: | ---: | --- | --- |
        | 1 | 2.250 | 0 | no |  |
        | 2 | 0.100 | 0.1 | yes | conv1 |
        | 3 | -0.000 | 100 | yes | läyer\\|2 |

        """)
    #expect(
      Table(columns: [.init("a_b", .strings(["*x*", "1\n2"])), .init("y", .doubles([.nan, 1.0 / 3]))]).markdown() == """
        | a\\_b | y |
        | --- | ---: |
        | \\*x\\* | – |
        | 1<br>2 | 0.333333 |

        """)
  }

  @Test("LaTeX escapes every special character")
  func latex() {
    let table = Table(
      title: "50 % & more",
      columns: [
        .init("a_b", unit: "%", .strings(["$#{}~^\\<>", "91.2 ± 0.3 – λ"])),
        .init("y", decimals: 2, .doubles([.nan, 1.005])),
      ])
    #expect(
      table.latex() == """
        % needs \\usepackage{booktabs,graphicx}
        \\begin{table}
          \\centering
          \\caption{50 \\% \\& more}
          \\resizebox{\\ifdim\\width>\\textwidth\\textwidth\\else\\width\\fi}{!}{%
            \\begin{tabular}{lr}
              \\toprule
              a\\_b (\\%) & y \\\\
              \\midrule
              \\$\\#\\{\\}\\textasciitilde{}\\textasciicircum{}\\textbackslash{}\\textless{}\\textgreater{} & -- \\\\
              91.2 $\\pm$ 0.3 -- $\\lambda$ & 1.00 \\\\
              \\bottomrule
            \\end{tabular}}
        \\end{table}

        """)
  }

  static let pdflatex: String? = ["/usr/bin/pdflatex", "/usr/local/bin/pdflatex"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  @Test(
    "A wide table with a quotation mark fits the page of a plain article", .enabled(if: pdflatex != nil, "no pdflatex"))
  func typeset() throws {
    let folder = try TemporaryFolder()
    let table = Table(
      title: "Wide & \"quoted\"",
      columns: (1...13).map {
        .init("column \($0)", heading: "A rather long heading of column \($0)", .strings(["91.23 ± 0.45 of \"this\""]))
      })
    let text =
      "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}\\listoftables\n"
      + table.latex(notes: ["Command: spqat sweep \"a b.json\" --set x=1_2."]) + "\\end{document}\n"
    #expect(text.contains("-{}-set x=1\\_2"))
    try Data(text.utf8).write(to: URL(fileURLWithPath: folder.file("a.tex")))
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(Self.pdflatex))
    process.arguments = ["-interaction=nonstopmode", "-halt-on-error", "-output-directory", folder.path, "a.tex"]
    process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    let log = String(decoding: try Data(contentsOf: URL(fileURLWithPath: folder.file("a.log"))), as: UTF8.self)
    #expect(process.terminationStatus == 0, "\(log)")
    #expect(!log.contains("Overfull"), "\(log)")
  }
}
