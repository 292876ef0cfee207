import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What happens where the machine has less memory or fewer threads than a computation needs. Nothing can be computed then,
/// however deep in a pass it shows, so it is the program that decides how to end, not the callers in between.
public enum Shortage {
  private static let handler = Mutex<@Sendable (String) -> Never>({ problem in fatalError(problem) })

  /// From now on shortages are told to `handler`, in one line.
  public static func handle(with handler: @escaping @Sendable (String) -> Never) {
    Self.handler.withLock { $0 = handler }
  }

  /// Ends the program.
  public static func report(_ problem: String) -> Never {
    let handler = Self.handler.withLock { $0 }
    handler(problem)
  }

  /// Ends the program where `bytes` of memory cannot be had for `purpose`; for memory that Swift allocates.
  public static func check(bytes: Int, for purpose: String) {
    guard let memory = malloc(bytes) else { report("out of memory: \(bytes) bytes for \(purpose)") }
    free(memory)
  }
}
