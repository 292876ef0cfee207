/// What maps of layers over time have in common, as gnuplot commands.
enum HeatMap {
  /// Colours for 0 to 100 percent, and the layers' names from the top.
  static func commands(layers: [String], label: String) -> [String] {
    let tics = layers.enumerated().map { "\(Figure.quoted($1)) \($0)" }.joined(separator: ", ")
    return [
      // Viridis: even steps of lightness, so that it survives colour blindness and print.
      "set palette defined (0 '#440154', 1 '#3B528B', 2 '#21918C', 3 '#5EC962', 4 '#FDE725')",
      "set cbrange [0:100]", "set cblabel '\(label)'", "unset grid", "unset key", "set border 15", "set lmargin 18",
      "set ytics (\(tics)) font ',11'", "set yrange [\(Double(layers.count) - 0.5):-0.5]",
    ]
  }

  /// A rectangle for each row of `file`.csv, a layer high and coloured by the column `value`; `x`, `from` and `to` as gnuplot's
  /// `using` takes them. They overlap a little, or hairlines show between.
  static func boxes(_ file: String, x: String, from: String, to: String, value: String) -> String {
    "'\(file).csv' using \(x):'position':\(from):\(to):(column('position') - 0.51):(column('position') + 0.51):'\(value)' "
      + "with boxxyerror fs solid noborder lc palette"
  }
}
