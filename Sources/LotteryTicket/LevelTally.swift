/// The levels of some weights at some moments, counted: what reached share and chance are computed from.
///
/// Both follow from counts alone, so that tallies of layers add up to that of the network.
public struct LevelTally: Equatable, Sendable {
  /// A level is a byte.
  private static let levels = 256

  /// How many weights were counted.
  public private(set) var weights: Int
  /// By moment: how many have the level that they end with.
  private var reached: [Int]
  /// By moment, then level: how many have it.
  private var counts: [Int]

  /// Nothing counted yet.
  public init(moments: Int) {
    weights = 0
    reached = Array(repeating: 0, count: moments)
    counts = Array(repeating: 0, count: moments * Self.levels)
  }

  /// - Parameters:
  ///   - levels: by weight, then moment; the last moment is the end of the run.
  ///   - moments: at least one.
  public init(_ levels: ArraySlice<UInt8>, moments: Int) {
    precondition(moments > 0 && levels.count % moments == 0, "\(levels.count) levels at \(moments) moments")
    self.init(moments: moments)
    weights = levels.count / moments
    levels.withUnsafeBufferPointer { levels in
      reached.withUnsafeMutableBufferPointer { reached in
        counts.withUnsafeMutableBufferPointer { counts in
          for begin in stride(from: 0, to: levels.count, by: moments) {
            let last = levels[begin + moments - 1]
            for moment in 0..<moments {
              let level = levels[begin + moment]
              if level == last { reached[moment] += 1 }
              counts[moment * Self.levels + Int(level)] += 1
            }
          }
        }
      }
    }
  }

  /// Number of moments.
  public var moments: Int { reached.count }

  /// R(t) = |{i : q_i(t) = q_i(T)}| / N: the share of the weights whose level is the one that they end with, whether or not they
  /// left it in between.
  public func reachedShare(at moment: Int) -> Double? { Share(reached[moment], of: weights).value }

  /// C(t) = Σ_k p_k(t) · p_k(T) over the levels k, p their shares: what the reached share would be if the levels at the two moments
  /// had nothing to do with one another.
  public func chance(at moment: Int) -> Double? {
    guard weights > 0 else { return nil }
    let last = (moments - 1) * Self.levels
    let products = (0..<Self.levels).reduce(0.0) { sum, level in
      sum + Double(counts[moment * Self.levels + level]) * Double(counts[last + level])
    }
    return products / (Double(weights) * Double(weights))
  }

  /// Adds other weights at the same moments.
  public static func += (left: inout LevelTally, right: LevelTally) {
    precondition(left.moments == right.moments, "tallies of the same moments")
    left.weights += right.weights
    for index in left.reached.indices { left.reached[index] += right.reached[index] }
    for index in left.counts.indices { left.counts[index] += right.counts[index] }
  }
}

/// Σ_k p_k · q_k over levels k, p and q their shares in the one list and the other: how many pairs would agree by chance (the expected
/// agreement in Cohen's κ, 1960). nil for empty lists.
public func chanceAgreement(_ levels: [UInt8], _ others: [UInt8]) -> Double? {
  guard !levels.isEmpty, !others.isEmpty else { return nil }
  func counts(_ levels: [UInt8]) -> [Double] {
    levels.reduce(into: [Double](repeating: 0, count: 256)) { $0[Int($1)] += 1 }
  }
  return zip(counts(levels), counts(others)).reduce(0) { $0 + $1.0 * $1.1 }
    / (Double(levels.count) * Double(others.count))
}

/// S(t) = |{i : s_i ≤ t}| / N: the share of the weights that have the level they end with, and keep it from then on.
///
/// - Parameters:
///   - settlingSteps: s_i, the last step whose level differs from that of the step before; 0 where none does.
///   - steps: t, any.
/// - Returns: a share for each of `steps`; nil where there are no weights.
public func settledShares(_ settlingSteps: ArraySlice<Int32>, at steps: [Int]) -> [Double]? {
  sharesUpTo(steps, of: settlingSteps)
}

/// The share of the weights that a criterion has decided upon by each of these steps; a decision in step 0 stands for none.
public func decidedShares(_ decisionSteps: ArraySlice<Int32>, at steps: [Int]) -> [Double]? {
  sharesUpTo(steps, of: decisionSteps) { $0 > 0 }
}

private func sharesUpTo(
  _ steps: [Int], of values: ArraySlice<Int32>, where counts: (Int32) -> Bool = { _ in true }
) -> [Double]? {
  guard !values.isEmpty else { return nil }
  let sorted = values.filter(counts).sorted()
  return steps.map { step in
    var (low, high) = (0, sorted.count)
    while low < high {
      let middle = (low + high) / 2
      if Int(sorted[middle]) <= step { low = middle + 1 } else { high = middle }
    }
    return Double(low) / Double(values.count)
  }
}
