import Foundation
import Host
import Runs

/// The table of `status --watch` on standard output: redrawn in place on a terminal, elsewhere a line for each run that
/// changed.
struct StatusDisplay {
  private let isTerminal = StandardStreams.isInteractive(STDOUT_FILENO)
  private var height = 0
  private var shown: [String: RunLine] = [:]
  private var shownSummary: String?

  mutating func show(_ runs: [RunLine], summary: String?) {
    if isTerminal {
      var size = winsize()
      let isKnown = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 20 && size.ws_row > 4
      let lines = Self.table(
        runs, summary: summary, columns: isKnown ? Int(size.ws_col) : 100, rows: isKnown ? Int(size.ws_row) : 24)
      // Up to where the last table began, and nothing below.
      print((height > 0 ? "\u{1B}[\(height)A" : "") + "\r\u{1B}[J" + lines.joined(separator: "\n"))
      height = lines.count
    } else {
      for run in runs where shown[run.id]?.text != run.text { print(run) }
      if let summary, summary != shownSummary { print(summary) }
      shown = Dictionary(runs.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
      shownSummary = summary
    }
  }

  /// Head, one line a run, and the summary, of at most `columns` characters and, so that it can be redrawn, fewer than
  /// `rows` lines: those that run come first where there is no room for all, and the rest is counted.
  static func table(_ runs: [RunLine], summary: String?, columns: Int, rows: Int) -> [String] {
    let room = max(1, rows - 4)
    let order: [RunStatus.Group] = [.running, .failed, .waiting, .finished]
    let kept =
      runs.count <= room
      ? Set(runs.map(\.id)) : Set(order.flatMap { group in runs.filter { $0.group == group } }.prefix(room).map(\.id))
    let visible = runs.filter { kept.contains($0.id) }

    // What follows the label has a fixed width, so the label takes what is left of the line.
    let labels = visible.map { $0.label ?? $0.id }
    let width = max(8, min(labels.map(\.count).max() ?? 8, columns - 57))
    var lines = [row("run", width, ["progress", "steps", "top-1", "frozen", "left"])]
    for (run, label) in zip(visible, labels) {
      let share = run.totalSteps.map { $0 > 0 ? min(1, Double(run.step) / Double($0)) : 0 }
      let cells: [String] = [
        bar(run, share: share), run.totalSteps.map { "\(run.step)/\($0)" } ?? "\(run.step)",
        run.topOne.map { decimal(100 * $0, 1) + " %" } ?? "", run.frozenShare.map { decimal(100 * $0, 1) + " %" } ?? "",
        run.secondsLeft.map(ProgressLine.duration) ?? "",
      ]
      lines.append(row(label, width, cells))
    }
    if visible.count < runs.count { lines.append("and \(runs.count - visible.count) more") }
    if let summary { lines.append(summary) }
    return lines.map { String($0.prefix(columns - 1)) }
  }

  private static func bar(_ run: RunLine, share: Double?) -> String {
    guard run.group == .running || run.group == .waiting && run.step > 0, let share else { return run.group.rawValue }
    let filled = Int(10 * share)
    return String(repeating: "#", count: filled) + String(repeating: "-", count: 10 - filled)
  }

  private static func row(_ label: String, _ width: Int, _ cells: [String]) -> String {
    let name = label.count > width ? label.prefix(width - 1) + "…" : label[...]
    let columns = zip(cells, [10, 13, 7, 7, 13]).enumerated().map { index, cell in
      let padding = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
      return index == 0 ? cell.0 + padding : padding + cell.0
    }
    return name + String(repeating: " ", count: width - name.count) + "  " + columns.joined(separator: " ")
  }
}
