/// How the freezable weights of a quantized run came to their final levels, and what its criterion decided: what is needed to
/// measure how early weights settle and whether a criterion tells which ones do.
///
/// Steps are training forwards from 1; levels are those of a step's forward, before its update, as numbers 0 ..< 2^bits from the
/// lowest level. Values by weight lie flat over the layers with freezable weights (`RunRecord.freezableRanges`), within a layer
/// as in PyTorch.
public struct ObservationRecord: Equatable, Sendable {
  /// Steps whose levels are kept, ascending: 1, ends of epochs, and last the run's last.
  public var moments: [Int]
  /// By weight, then moment: the level of weight i at moment m is `levels[i * moments.count + m]`.
  public var levels: [UInt8]
  /// By weight: the last step whose level differs from that of the step before, 0 where it never did.
  public var settlingSteps: [Int32]
  /// By weight: how often the level differed from that of the step before.
  public var levelChanges: [Int32]
  /// nil where no criterion decides, in full QAT.
  public var decisions: Decisions?
  /// D/u, the distances to the level in levels' spacings.
  public var distances: DistanceHistograms
  /// D̄/u, which the criterion is given, at the same steps; nil where none decides.
  public var meanDistances: DistanceHistograms?

  /// What the criterion decided on each weight: in a shadow run what it would have frozen.
  public struct Decisions: Equatable, Sendable {
    /// By weight: the step in which it froze, whose update it no longer took; 0: never.
    public var steps: [Int32]
    /// By weight: its level in that step; 0 where it never froze.
    public var levels: [UInt8]
    /// Weights by layer and bin of the D/u that they froze with, layers outermost.
    public var distances: [Int32]

    /// By weight, but for `distances`, which has a row of `DistanceBins.count` for each layer with freezable weights.
    public init(steps: [Int32], levels: [UInt8], distances: [Int32]) {
      self.steps = steps
      self.levels = levels
      self.distances = distances
    }
  }

  /// All that is recorded; `levels` has `moments.count` values for each weight.
  public init(
    moments: [Int], levels: [UInt8], settlingSteps: [Int32], levelChanges: [Int32], decisions: Decisions?,
    distances: DistanceHistograms, meanDistances: DistanceHistograms?
  ) {
    self.moments = moments
    self.levels = levels
    self.settlingSteps = settlingSteps
    self.levelChanges = levelChanges
    self.decisions = decisions
    self.distances = distances
    self.meanDistances = meanDistances
  }

  /// Weights that may freeze, N.
  public var weights: Int { settlingSteps.count }

  /// The level of a weight at `moments[moment]`.
  public func level(_ weight: Int, at moment: Int) -> UInt8 { levels[weight * moments.count + moment] }

  /// The level that a weight ends with, q(T).
  public func finalLevel(_ weight: Int) -> UInt8 { level(weight, at: moments.count - 1) }
}

/// Which steps are looked at.
extension ObservationRecord {
  /// Step 1 and the ends of epochs: of the first ten, of others evenly, of the last; 25 steps at most, so that 2-bit
  /// levels of ResNet-20 take a megabyte at most.
  package static func moments(stepsPerEpoch: Int, totalSteps: Int) -> [Int] {
    let ends = (1...(totalSteps + stepsPerEpoch - 1) / stepsPerEpoch).map { min($0 * stepsPerEpoch, totalSteps) }
    let chosen: [Int] = ends.count < 25 ? ends : ends.prefix(10) + evenly(14, of: Array(ends.dropFirst(10)))
    return chosen.first == 1 ? chosen : [1] + chosen
  }

  /// Of the moments, ten at most.
  package static func distanceSteps(among moments: [Int]) -> [Int] { evenly(10, of: moments) }

  /// `count` of the elements at equal distances, the first and the last among them; all where there are no more.
  private static func evenly(_ count: Int, of elements: [Int]) -> [Int] {
    guard elements.count > count else { return elements }
    return (0..<count).map { elements[($0 * (elements.count - 1) + (count - 1) / 2) / (count - 1)] }
  }
}

/// How distances are counted: in bins that are closed above, as the rule D̄ ≤ λ·u is. Distances up to λ = (k + 1) / 200 are
/// those of the bins up to k.
public enum DistanceBins {
  /// Bins within a spacing.
  private static let perSpacing = 200
  /// 200 within a spacing u, the first with 0, and one for all above it.
  public static let count = perSpacing + 1
  /// The bin of a distance in spacings; NaN is in the last.
  public static func bin(of distance: Float) -> Int {
    guard distance <= 1 else { return count - 1 }
    // As the rule compares with λ·u: in single precision. The product may be rounded over an edge.
    let near = max(0, Int((distance * Float(perSpacing)).rounded(.up)) - 1)
    if near > 0, distance <= Float(upperEdges[near - 1]) { return near - 1 }
    return distance <= Float(upperEdges[near]) ? near : near + 1
  }

  /// Of every bin, in spacings: 1/200, 2/200 … 1, infinity.
  public static let upperEdges: [Double] =
    (1...perSpacing).map { Double($0) / Double(perSpacing) } + [.infinity]
}

/// Weights by the distance to their level, at some steps.
public struct DistanceHistograms: Equatable, Sendable {
  /// At most ten, ascending, all among the record's moments: the first, the last, and others between.
  public var steps: [Int]
  /// How many weights, row-major: by step, layer with freezable weights, bin, frozen (decided upon) by then, and level equal to
  /// the final one; each of the last two 0 for no and 1 for yes.
  public var counts: [Int32]

  /// `counts` has 4 · `DistanceBins.count` values for each layer and step.
  public init(steps: [Int], counts: [Int32]) {
    self.steps = steps
    self.counts = counts
  }

  /// Layers with freezable weights.
  public var layers: Int { steps.isEmpty ? 0 : counts.count / (steps.count * DistanceBins.count * 4) }

  /// Weights of a layer in a bin at `steps[moment]`.
  public func count(moment: Int, layer: Int, bin: Int, frozen: Bool, endsWithLevel: Bool) -> Int {
    let row = (moment * layers + layer) * DistanceBins.count + bin
    return Int(counts[row * 4 + (frozen ? 2 : 0) + (endsWithLevel ? 1 : 0)])
  }
}

/// Weights of all layers by their distance D/u to their level at one step, in the bins of `DistanceBins`.
public struct WeightDistances: Equatable, Sendable {
  /// Training forwards from 1.
  public var step: Int
  /// By bin, the weights that had not frozen by then.
  public var unfrozen = [Int](repeating: 0, count: DistanceBins.count)
  /// By bin, the others; in a shadow run those decided upon.
  public var frozen = [Int](repeating: 0, count: DistanceBins.count)

  /// No weights yet.
  public init(step: Int) { self.step = step }

  /// Counts weights.
  public mutating func add(_ count: Int = 1, bin: Int, frozen isFrozen: Bool) {
    if isFrozen { frozen[bin] += count } else { unfrozen[bin] += count }
  }
}

extension DistanceHistograms {
  /// The sums over layers and final levels, at the recorded steps among these.
  public func totals(in range: ClosedRange<Int>) -> [WeightDistances] {
    steps.enumerated().filter { range.contains($0.element) }.map { moment, step in
      var total = WeightDistances(step: step)
      for layer in 0..<layers {
        for bin in 0..<DistanceBins.count {
          for (frozen, ends) in [(false, false), (false, true), (true, false), (true, true)] {
            total.add(
              count(moment: moment, layer: layer, bin: bin, frozen: frozen, endsWithLevel: ends), bin: bin,
              frozen: frozen)
          }
        }
      }
      return total
    }
  }
}

extension RunRecord {
  /// The layers with freezable weights, in order, and where each one's weights lie among all of them.
  public var freezableRanges: [(layer: String, range: Range<Int>)] {
    var begin = 0
    return layers.filter { $0.freezableWeights > 0 }.map { layer in
      defer { begin += layer.freezableWeights }
      return (layer.name, begin..<begin + layer.freezableWeights)
    }
  }
}
