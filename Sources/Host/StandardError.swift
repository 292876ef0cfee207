import Foundation
import Synchronization

/// What is written for people while a program works. Nobody may be reading it any more, or its disk may be full: a line
/// that cannot be written is dropped, and nothing ends for it.
public enum StandardError {
  /// Whether the cursor stands behind a line that `redraw` wrote.
  private static let isOpen = Mutex(false)

  /// Whether lines can be redrawn: a terminal that knows escape sequences.
  public static let isInteractive = StandardStreams.isInteractive(STDERR_FILENO)

  /// Writes a whole line, in place of one that `redraw` left.
  public static func line(_ text: String) {
    isOpen.withLock { isOpen in
      write((isOpen ? erasing : "") + text + "\n")
      isOpen = false
    }
  }

  /// Writes a line that the next one replaces. For interactive terminals only.
  public static func redraw(_ text: String) {
    isOpen.withLock { isOpen in
      write(erasing + text)
      isOpen = true
    }
  }

  /// Leaves what `redraw` wrote last where it is, and begins a new line.
  public static func endLine() {
    isOpen.withLock { isOpen in
      if isOpen { write("\n") }
      isOpen = false
    }
  }

  /// Back to the first column, and nothing behind it.
  private static let erasing = "\r\u{1B}[K"

  private static func write(_ text: String) {
    Array(text.utf8).withUnsafeBytes { bytes in
      var left = bytes[...]
      while !left.isEmpty {
        let written = Foundation.write(STDERR_FILENO, UnsafeRawBufferPointer(rebasing: left).baseAddress, left.count)
        if written > 0 {
          left = left.dropFirst(written)
        } else if written == 0 || errno != EINTR {
          return
        }
      }
    }
  }
}
