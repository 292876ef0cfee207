import Foundation
import Synchronization

/// Ctrl-C, `kill` and a terminal that goes away ask for a checkpoint and an end; a second signal ends the program at once.
enum Interruption {
  private static let signal = Atomic<Int32>(0)

  /// From now on signals set a flag. A SIGHUP that was ignored before, as under `nohup`, stays ignored.
  ///
  /// - Parameter endsAtSecond: a worker may get one signal from the terminal and one from its sweep, and still has to
  ///   write its checkpoint.
  static func listen(endsAtSecond: Bool = true) {
    var hangUp = sigaction()
    sigaction(SIGHUP, nil, &hangUp)
    let numbers = [SIGINT, SIGTERM] + (hangUp.isIgnored ? [] : [SIGHUP])
    // Whoever started this may have blocked them for itself, and that is inherited.
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in numbers { sigaddset(&signals, number) }
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    for number in numbers {
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

extension sigaction {
  fileprivate var isIgnored: Bool {
    #if canImport(Darwin)
      unsafeBitCast(__sigaction_u.__sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    #else
      unsafeBitCast(__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    #endif
  }
}
