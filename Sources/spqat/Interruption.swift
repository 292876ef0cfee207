import Foundation
import Synchronization

/// Ctrl-C and `kill` ask for a checkpoint and an end; a second one ends the program at once.
enum Interruption {
  private static let signal = Atomic<Int32>(0)

  /// From now on signals set a flag. Output that nobody reads any more is no reason to stop either.
  ///
  /// - Parameter endsAtSecond: a worker may get one signal from the terminal and one from its sweep, and still has to
  ///   write its checkpoint.
  static func listen(endsAtSecond: Bool = true) {
    Foundation.signal(SIGPIPE, SIG_IGN)
    // Whoever started this may have blocked them for itself, and that is inherited.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    sigaddset(&signals, SIGTERM)
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    for number in [SIGINT, SIGTERM] {
      if endsAtSecond {
        Foundation.signal(number) { number in
          if Interruption.signal.exchange(number, ordering: .relaxed) != 0 { _exit(128 + number) }
        }
      } else {
        Foundation.signal(number) { Interruption.signal.store($0, ordering: .relaxed) }
      }
    }
  }

  static var isRequested: Bool { signal.load(ordering: .relaxed) != 0 }

  /// 130 after Ctrl-C and so on, as shells have it; nil without a signal.
  static var exitStatus: Int32? {
    let number = signal.load(ordering: .relaxed)
    return number == 0 ? nil : 128 + number
  }
}
