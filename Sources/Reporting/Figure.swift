import Foundation

/// A figure: a gnuplot script that draws it from CSV files beside it, as SVG or PNG.
struct Figure {
  /// Of its files: NAME.gp, NAME.svg, NAME.png.
  let name: String
  let title: String
  /// What is drawn, from what, and what is left out.
  let caption: String
  /// The CSV files that the script reads.
  let data: [String]
  /// Pixels.
  let width: Int
  let height: Int
  /// What follows terminal and output.
  let commands: [String]

  /// In the folder of its data: `gnuplot NAME.gp` writes NAME.svg, and with `-e "format='png'"` NAME.png.
  var script: String {
    let header = [
      "# \(title)", "# gnuplot \(name).gp                      writes \(name).svg",
      "# gnuplot -e \"format='png'\" \(name).gp   writes \(name).png", "if (!exists('format')) format = 'svg'",
      "if (format eq 'png') {",
      "  set terminal pngcairo noenhanced size \(2 * width),\(2 * height) font 'sans,11' fontscale 2 linewidth 2 "
        + "pointscale 2",
      "} else {",
      "  set terminal svg noenhanced dynamic size \(width),\(height) font 'sans-serif,14'", "}",
      "set output '\(name).'.format", "set datafile separator comma", "set datafile columnheaders", "set border 3",
      "set tics nomirror out", "set grid lc rgb '#999999' lw 0.4 dt 3", "set key samplen 3 reverse Left",
      "set format '%h'",
    ]
    // On a page the heading stands above; alone, a picture needs one. Panels set theirs.
    let heading =
      commands.contains { $0.contains("set multiplot") }
      ? [] : ["if (format eq 'png') { set title \(Self.quoted(title)) }"]
    return (header + heading + commands + ["set output"]).joined(separator: "\n") + "\n"
  }

  /// As many columns of a legend as fit the width of a figure, two at most.
  static func legendColumns(_ titles: [String]) -> Int { titles.contains { $0.count > 27 } ? 1 : 2 }

  /// A string for gnuplot.
  static func quoted(_ text: String) -> String { "'" + text.replacingOccurrences(of: "'", with: "''") + "'" }

  /// Names on an axis, at whole numbers from `first`.
  static func tics(_ names: [String], from first: Int) -> String {
    names.enumerated().map { index, name in
      // A tic's label is a format.
      "\(quoted(name.replacingOccurrences(of: "%", with: "%%"))) \(first + index)"
    }.joined(separator: ", ")
  }

  /// `plot` of several elements, one a line.
  static func plot(_ elements: [String]) -> String { "plot \\\n  " + elements.joined(separator: ", \\\n  ") }
}

/// Colours of Okabe and Ito ("Color universal design", 2008) without yellow, which is faint on white; each with a dash type and a
/// point type of its own, so that lines can be told apart in print.
struct LineStyle {
  let color: String
  let dash: Int
  let point: Int

  /// The baseline's: black, or the colour of the text on a dark page.
  static let baseline = LineStyle(color: "black", dash: 2, point: 4)

  static func numbered(_ index: Int) -> LineStyle {
    let colors = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F"]
    let points = [7, 5, 9, 11, 13, 6, 8]
    return LineStyle(color: colors[index % 7], dash: [1, 4, 5, 3, 2, 1, 4][index % 7], point: points[index % 7])
  }

  var line: String { "lc rgb '\(color)' dt \(dash)" }
  var marker: String { "lc rgb '\(color)' pt \(point)" }
}
