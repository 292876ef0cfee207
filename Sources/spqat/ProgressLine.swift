import Foundation
import Host
import Synchronization

/// One line of progress on standard error: redrawn in place on a terminal, with the time left, and ended when all is done;
/// a plain line now and then when the output goes to a file or a pipe.
final class ProgressLine: Sendable {
  private struct State {
    var title = ""
    var started = ContinuousClock.now
    var shown: ContinuousClock.Instant?
  }

  private let isTerminal: Bool
  private let interval: Duration
  private let state = Mutex(State())

  init() {
    isTerminal = StandardError.isInteractive
    interval = isTerminal ? .milliseconds(100) : .seconds(10)
  }

  /// Shows `done` of `total` (0: unknown) under `title`; a new title begins a new line. `note` follows the count.
  func update(_ title: String, done: Int, total: Int, note: String = "") {
    state.withLock { state in
      let now = ContinuousClock.now
      if title != state.title {
        StandardError.endLine()
        // Work that is soon done needs no lines in a log but its last.
        state = State(title: title, started: now, shown: isTerminal ? nil : now)
      }
      let isLast = total > 0 && done >= total
      if let shown = state.shown, now - shown < interval, !isLast { return }
      state.shown = now

      var line = title
      if total > 0 {
        line += String(format: " %3d%% %d/%d", 100 * done / total, done, total)
      } else if done > 0 {
        line += " \(done)"
      }
      if !note.isEmpty { line += " \(note)" }
      if done > 0 && done < total {
        let seconds = (now - state.started) / .seconds(1) * Double(total - done) / Double(done)
        line += ", \(Self.duration(seconds)) left"
      }
      if isTerminal { StandardError.redraw(line) } else { StandardError.line(line) }
      // Nobody may call `finish` for what is decoded later, in the midst of other work.
      if isLast { StandardError.endLine() }
    }
  }

  /// Ends the line, so that other output can follow.
  func finish() {
    state.withLock { state in
      StandardError.endLine()
      state = State()
    }
  }

  /// Such as "8 s", "3 min 20 s" or "2 h 5 min".
  static func duration(_ seconds: Double) -> String {
    guard seconds < 1e9 else { return "long" }
    let whole = Int(max(0, seconds).rounded(.up))
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(whole / 3600) h \(whole % 3600 / 60) min"
  }

  /// "43 images/s", in whole images, of any number.
  static func rate(_ imagesPerSecond: Double) -> String {
    "\(Int(exactly: imagesPerSecond.rounded(.towardZero)).map { "\($0)" } ?? "?") images/s"
  }
}
