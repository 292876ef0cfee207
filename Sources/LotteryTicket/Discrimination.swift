public import Records

/// Weights by distance to their level, those that end with it apart from those that leave it: what tells how well a small distance
/// foretells a final level.
public struct Discrimination: Equatable, Sendable {
  /// By bin, from small distances to large ones: weights that end with the level they have.
  public private(set) var ending: [Int]
  /// The same of the weights that end with another level.
  public private(set) var leaving: [Int]

  /// - Precondition: As many bins in both.
  public init(ending: [Int], leaving: [Int]) {
    precondition(ending.count == leaving.count, "\(ending.count) bins beside \(leaving.count)")
    self.ending = ending
    self.leaving = leaving
  }

  /// The weights of all layers at one moment of a histogram.
  ///
  /// - Parameter includingDecided: whether weights count that were decided upon before. Where these froze they end with their level
  ///   as a matter of course.
  public init(_ histograms: DistanceHistograms, moment: Int, includingDecided: Bool) {
    func counts(endsWithLevel: Bool) -> [Int] {
      (0..<DistanceBins.count).map { bin in
        (0..<histograms.layers).reduce(0) { sum, layer in
          (includingDecided ? [false, true] : [false]).reduce(sum) { sum, frozen in
            sum
              + histograms.count(
                moment: moment, layer: layer, bin: bin, frozen: frozen, endsWithLevel: endsWithLevel)
          }
        }
      }
    }
    self.init(ending: counts(endsWithLevel: true), leaving: counts(endsWithLevel: false))
  }

  /// Weights of both kinds.
  public var weights: Int { ending.reduce(0, +) + leaving.reduce(0, +) }

  /// The area under the ROC curve of −D̄: the probability that a weight that ends with its level is closer to it than one that does
  /// not, ties counted half (Hanley and McNeil, 1982; the statistic of Mann and Whitney). 0.5 is chance. nil where one kind is missing.
  public var areaUnderCurve: Double? {
    let (all, others) = (ending.reduce(0, +), leaving.reduce(0, +))
    guard all > 0, others > 0 else { return nil }
    var farther = others
    var wins = 0.0
    for (mine, theirs) in zip(ending, leaving) {
      farther -= theirs
      wins += Double(mine) * (Double(farther) + Double(theirs) / 2)
    }
    return wins / (Double(all) * Double(others))
  }

  /// What a threshold would decide: the rule D̄ ≤ λ·u at this moment.
  public struct Decision: Equatable, Sendable {
    /// λ, in spacings u.
    public let threshold: Double
    /// Weights with D̄ ≤ λ·u, of all.
    public let decided: Share
    /// Of the decided ones, those that end with their level.
    public let precision: Share
    /// Of those that end with their level, the decided ones.
    public let recall: Share
  }

  /// The decision at each finite upper edge of a bin.
  ///
  /// - Parameter edges: of the bins, in spacings, ascending and closed above.
  public func decisions(upperEdges edges: [Double] = DistanceBins.upperEdges) -> [Decision] {
    precondition(edges.count == ending.count, "\(edges.count) edges for \(ending.count) bins")
    let (all, weights) = (ending.reduce(0, +), weights)
    var (right, wrong) = (0, 0)
    return zip(edges, zip(ending, leaving)).compactMap { edge, counts in
      right += counts.0
      wrong += counts.1
      guard edge.isFinite else { return nil }
      return Decision(
        threshold: edge, decided: Share(right + wrong, of: weights), precision: Share(right, of: right + wrong),
        recall: Share(right, of: all))
    }
  }

  /// Adds the weights of another moment or run.
  public static func += (left: inout Discrimination, right: Discrimination) {
    precondition(left.ending.count == right.ending.count, "the same bins in both")
    for bin in left.ending.indices {
      left.ending[bin] += right.ending[bin]
      left.leaving[bin] += right.leaving[bin]
    }
  }
}
