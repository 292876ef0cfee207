import Foundation
import Storage
import TestSupport
import Testing

@Suite("Tables")
struct TableTests {
  static let sample = Table(
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

  private func roundTrip(_ table: Table, plottedAgainst axis: String? = nil) throws -> HDF5Group {
    let folder = try TemporaryFolder()
    let path = folder.file("table.h5")
    try HDF5File.writeAtomically(to: path) { try $0.write(table, to: "run/epochs", plottedAgainst: axis) }
    return try HDF5File.open(path).root
  }

  @Test("A table comes back with its units, headings and descriptions")
  func complete() throws {
    let root = try roundTrip(Self.sample)
    #expect(try root.readTable("run/epochs") == Self.sample)
    #expect(
      try root.stringAttributes("column_order", on: "run/epochs")
        == ["epoch", "trainLoss", "frozenShare", "finished", "layer"])
    #expect(try root.stringAttributes("units", on: "run/epochs") == ["", "nats", "%", "", ""])
    #expect(try root.group("run").names() == ["epochs"])
  }

  @Test("An empty table comes back with its columns")
  func empty() throws {
    let table = Table(
      title: "none",
      columns: [
        .init("a", .integers([])), .init("b", unit: "s", .doubles([])), .init("c", .floats([])),
        .init("d", .booleans([])), .init("e", .strings([])),
      ])
    #expect(try roundTrip(table, plottedAgainst: "a").readTable("run/epochs") == table)
  }

  @Test("A table of many rows comes back", arguments: [1, 1000, 100_000])
  func long(rows: Int) throws {
    let table = Table(columns: [
      .init("i", .integers(Array(0..<rows))), .init("x", .doubles((0..<rows).map { Double($0).squareRoot() })),
      .init("s", .strings((0..<rows).map { "row \($0)" })),
    ])
    #expect(try roundTrip(table).readTable("run/epochs") == table)
  }

  @Test("Numeric columns are stored again for plotting, sharing the axis")
  func plots() throws {
    let root = try roundTrip(Self.sample, plottedAgainst: "epoch")
    let plots = try root.group("run/epochs_plots")
    #expect(try plots.names() == ["finished", "frozenShare", "trainLoss"])
    #expect(try plots.stringAttribute("NX_class", on: "trainLoss") == "NXdata")
    #expect(try plots.stringAttribute("signal", on: "trainLoss") == "trainLoss")
    #expect(try plots.stringAttributes("axes", on: "trainLoss") == ["epoch"])
    for name in try plots.names() { #expect(try plots.read("\(name)/epoch") == [1, 2, 3]) }
    #expect(try plots.read("trainLoss/trainLoss") == [2.25, 0.1, -1e-300])
    #expect(try plots.stringAttribute("long_name", on: "trainLoss/trainLoss") == "Training loss (nats)")
    #expect(try plots.stringAttribute("units", on: "trainLoss/trainLoss") == "nats")
  }

  @Test("Tables that cannot be stored say why", arguments: ["", ".", "a/b"])
  func badColumns(name: String) throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.h5")
    #expect {
      try HDF5File.writeAtomically(to: path) { try $0.write(Table(columns: [.init(name, .integers([]))]), to: "t") }
    } throws: {
      "\($0)" == "\(path): /t: column name '\(name)' is empty, '.', or has a '/' or NUL character"
    }
    #expect {
      try HDF5File.writeAtomically(to: path) { try $0.write(Table(columns: []), to: "t") }
    } throws: {
      "\($0)" == "\(path): /t: a table without columns cannot be stored"
    }
  }

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
        % needs \\usepackage{booktabs}
        \\begin{table}
          \\centering
          \\caption{50 \\% \\& more}
          \\begin{tabular}{lr}
            \\toprule
            a\\_b (\\%) & y \\\\
            \\midrule
            \\$\\#\\{\\}\\textasciitilde{}\\textasciicircum{}\\textbackslash{}\\textless{}\\textgreater{} & -- \\\\
            91.2 $\\pm$ 0.3 -- $\\lambda$ & 1.00 \\\\
            \\bottomrule
          \\end{tabular}
        \\end{table}

        """)
  }
}
