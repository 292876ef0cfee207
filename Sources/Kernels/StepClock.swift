#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The parts of a training step that seconds are kept for.
public enum StepPart: Int, CaseIterable, Sendable {
  case forward, inputGradient, weightGradient, normalizationAndQuantization, optimizer, data
}

/// Seconds by part of a training step.
public final class StepClock {
  /// By part, since the last `reset()`.
  public private(set) var seconds = [Double](repeating: 0, count: StepPart.allCases.count)

  /// All parts at 0 seconds.
  public init() {}

  /// Adds seconds that were measured elsewhere.
  public func add(_ elapsed: Double, to part: StepPart) { seconds[part.rawValue] += elapsed }

  /// All parts to 0 seconds, without allocating.
  public func reset() {
    for index in seconds.indices { seconds[index] = 0 }
  }

  /// Monotonic seconds.
  public static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}

extension Backend {
  /// Runs `body` and adds its wall time to `part`; returns the seconds it took.
  @discardableResult
  public func measure(_ part: StepPart, _ body: () throws -> Void) rethrows -> Double {
    let start = StepClock.now()
    try body()
    let elapsed = StepClock.now() - start
    clock.add(elapsed, to: part)
    return elapsed
  }

  /// Adds seconds that were measured elsewhere to `clock`.
  public func add(_ elapsed: Double, to part: StepPart) { clock.add(elapsed, to: part) }
  /// By part, since the last `resetSeconds()`.
  public var seconds: [Double] { clock.seconds }
  /// All parts of `clock` to 0 seconds.
  public func resetSeconds() { clock.reset() }
}
