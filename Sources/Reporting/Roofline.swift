import Foundation
public import Tables

/// Kernels below a machine's roofs: operations a second over operations for each byte, and what peak and bandwidth allow (Williams,
/// Waterman and Patterson, "Roofline: an insightful visual performance model", 2009).
public struct Roofline: Sendable {
  /// Of many measurements those that tell the story; the table beside the figure has all.
  static let series = [
    "forward, float", "forward, 2-bit integers", "input gradient", "weight gradient, levels",
    "weight gradient, levels, 60 % frozen", "weight gradient, levels, int16",
  ]

  let figure: Figure
  let table: Table

  /// - Parameters:
  ///   - kernels: with columns `kernel`, `intensity` (FLOP/byte) and `gflops`.
  ///   - operations: floating-point operations a second at best.
  ///   - bandwidth: bytes a second, read and written together.
  ///   - name: of the files.
  public init(kernels: Table, operations: Double, bandwidth: Double, name: String) {
    var measured: [String] = []
    if case .strings(let kernels)? = kernels.column("kernel")?.values { measured = kernels }
    let drawn = Self.series.filter(measured.contains)
    // Series are told apart by number, since gnuplot does not take a field with a comma for what it says.
    let number = Table.Column(
      "series", description: "Of the figure's legend; -1: not drawn",
      .integers(measured.map { drawn.firstIndex(of: $0) ?? -1 }))
    table = Table(title: kernels.title, columns: kernels.columns + [number])
    let points = drawn.enumerated().map { index, kernel in
      "'\(name).csv' using (column('series') == \(index) ? column('intensity') : NaN):(column('gflops')) "
        + "with points \(LineStyle.numbered(index).marker) ps 0.9 title \(Figure.quoted(kernel))"
    }
    figure = Figure(
      name: name, title: kernels.title,
      caption:
        "Each point is a kernel on one shape. Line: the float32 multiply-add peak, and the bandwidth of a copy that no cache "
        + "holds. Integers and minimal filtering do more than the first, operands in caches more than the second.",
      data: ["\(name).csv"], width: 720, height: 520,
      commands: [
        "set logscale xy", "set xlabel 'operations for each byte of operands and result (FLOP/byte)'",
        "set ylabel 'operations a second (GFLOP/s)'", "set xrange [0.5:1000]", "set key above maxcols 2", "set grid",
        "set samples 500",
        "roof(x) = x * \(bandwidth / 1e9) < \(operations / 1e9) ? x * \(bandwidth / 1e9) : \(operations / 1e9)",
        Figure.plot(["roof(x) with lines lc rgb 'black' lw 1.5 title 'what peak and bandwidth allow'"] + points),
      ])
  }

  /// Writes NAME.csv, NAME.gp, NAME.svg and NAME.png.
  ///
  /// - Parameter folder: made where it does not exist.
  /// - Throws: where files cannot be written, or gnuplot is missing or fails.
  public func write(to folder: String) throws {
    try DrawnFigures(figures: [figure], tables: [(name: figure.name, table: table)]).write(
      to: folder, option: "--roofline")
  }
}
