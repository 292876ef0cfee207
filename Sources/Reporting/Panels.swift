/// Two panels over one another with a common legend below them, as gnuplot commands.
struct Panels {
  /// Placeholders for the commands that begin a panel.
  static let top = "TOP"
  static let bottom = "BOTTOM"

  /// Of the figure, pixels.
  let height: Int
  private let title: String
  private let legendRows: Int
  private let legendColumns: Int
  /// For the labels below the lower panel, pixels.
  private let room: Int

  /// - Parameters:
  ///   - legend: the titles in it.
  ///   - height: of the panels without it, pixels.
  ///   - room: for what stands between the lower panel and the legend, pixels; numbers and a title by default.
  init(title: String, legend: [String], height: Int, room: Int = 68) {
    self.title = title
    self.room = room
    legendColumns = Figure.legendColumns(legend)
    legendRows = (legend.count + legendColumns - 1) / legendColumns
    self.height = height + Self.rowHeight * legendRows
  }

  private static let rowHeight = 22

  /// The commands of a whole figure, from those of its panels.
  func commands(_ panels: [String]) -> [String] {
    // The key's place is its upper edge; below it there is room for all its rows.
    let legend = Double(Self.rowHeight * legendRows + 8) / Double(height)
    let bottom = Double(Self.rowHeight * legendRows + 8 + room) / Double(height)
    let middle = bottom + (0.97 - bottom) * 0.42
    return [
      "upper = (format eq 'png') ? 0.93 : 0.97",
      "if (format eq 'png') { set multiplot title \(Figure.quoted(title)) } else { set multiplot }",
      "set lmargin at screen 0.12", "set rmargin at screen 0.97",
      "set key at screen 0.5, screen \(legend) center top horizontal maxcols \(legendColumns)",
    ]
      + panels.map { command in
        switch command {
        case Self.top: "set tmargin at screen upper\nset bmargin at screen \(middle + 0.04)"
        case Self.bottom: "set tmargin at screen \(middle - 0.01)\nset bmargin at screen \(bottom)"
        default: command
        }
      } + ["unset multiplot"]
  }
}
