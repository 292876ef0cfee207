public import Kernels

/// How training forwards are counted for freezing, and what the first of them do to levels and distances.
public struct FreezingClock: Hashable, Sendable {
  /// t before the first training forward.
  public let countsFrom: Int
  /// Rules of the first training forwards; the whole rule applies to all later ones.
  public let startUp: [FreezingStep.Rule]

  /// Forward i (1-based) is at time `countsFrom` + i and follows rule i of `startUp`, or the whole rule after its end.
  public init(countsFrom: Int, startUp: [FreezingStep.Rule]) {
    self.countsFrom = countsFrom
    self.startUp = startUp
  }

  /// The first generation: the whole rule from the first step, to a D̄ and a previous level of 0.
  public static let fromZero = FreezingClock(countsFrom: 0, startUp: [])
  /// The second generation: the first forward is step 0 and records levels, the second one starts D̄.
  public static let fromMinusOne = FreezingClock(countsFrom: -1, startUp: [.recordLevels, .startDistance])

  /// t of the `forward`-th training forward (1-based).
  public func time(forward: Int) -> Int { countsFrom + forward }

  /// The rule of the `forward`-th training forward (1-based).
  public func rule(forward: Int) -> FreezingStep.Rule { forward <= startUp.count ? startUp[forward - 1] : .full }
}
