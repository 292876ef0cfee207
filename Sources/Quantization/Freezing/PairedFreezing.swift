/// When the weights of another run froze, layer by layer: what a criterion needs to freeze as many.
public struct PairedFreezing: Equatable, Sendable {
  private let layers: [String]
  /// By layer, then step: how many weights froze.
  private let counts: [String: [Int: Int]]
  /// The share of all weights' updates that freezing eliminated, in [0, 1].
  public let eliminated: Double

  /// - Parameters:
  ///   - freezingSteps: by layer, the step (1-based) in which each of its freezable weights froze, 0 for those that never did.
  ///   - totalSteps: of the run.
  public init(freezingSteps: [(layer: String, steps: [Int32])], totalSteps: Int) {
    var counts: [String: [Int: Int]] = [:]
    var (saved, weights) = (0, 0)
    for (layer, steps) in freezingSteps {
      for step in steps where step > 0 {
        counts[layer, default: [:]][Int(step), default: 0] += 1
        saved += totalSteps - Int(step) + 1
      }
      weights += steps.count
    }
    layers = freezingSteps.map(\.layer)
    self.counts = counts
    eliminated = weights == 0 ? 0 : Double(saved) / (Double(weights) * Double(totalSteps))
  }

  /// The layer's place among those with freezable weights; nil where it has none.
  func number(of layer: String) -> Int? { layers.firstIndex(of: layer) }

  /// How many weights of the layer froze in that step.
  public func count(layer: String, step: Int) -> Int { counts[layer]?[step] ?? 0 }
}
