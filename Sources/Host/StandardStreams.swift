@preconcurrency import Foundation

/// The three descriptors that a program is started with, which its starter may have closed.
public enum StandardStreams {
  /// To be called before anything is opened: whatever is opened in a closed stream's place would be written to as that
  /// stream. Writing to a pipe that nobody reads becomes an error instead of the program's end.
  public static func prepare() {
    signal(SIGPIPE, SIG_IGN)
    for (descriptor, mode) in [
      (STDIN_FILENO, O_RDONLY),
      // Data written there would be lost, so writing has to fail.
      (STDOUT_FILENO, O_RDONLY),
      (STDERR_FILENO, O_WRONLY),
    ] where fcntl(descriptor, F_GETFD) < 0 {
      // The lowest free descriptor, which is this one.
      _ = open("/dev/null", mode)
    }
  }

  /// Whether a descriptor is a terminal that knows escape sequences.
  public static func isInteractive(_ descriptor: Int32) -> Bool {
    isatty(descriptor) == 1 && ProcessInfo.processInfo.environment["TERM"].map { $0 != "dumb" && $0 != "" } ?? false
  }

  /// Writes what waits in the buffer of standard output. Returns why not all of the output since the start could be
  /// written; nil where it could.
  public static func flushOutput() -> String? {
    if fflush(stdout) != 0 { return String(cString: strerror(errno)) }
    return ferror(stdout) != 0 ? "an earlier write failed" : nil
  }
}
