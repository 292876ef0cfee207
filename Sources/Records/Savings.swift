/// What freezing saves, by the definitions that the papers' numbers follow.
public enum Savings {
  /// Frozen / freezable weights, mean over all training steps.
  ///
  /// - Parameters:
  ///   - layers: All convolution and linear layers.
  ///   - frozenWeightSteps: For each layer, the number of its frozen weights summed over the steps.
  ///   - steps: Training steps.
  /// - Returns: A share in [0, 1], nil where no weight may freeze or no step was done.
  public static func weightUpdatesEliminated(
    layers: [LayerDescription], frozenWeightSteps: [Int], steps: Int
  ) -> Double? {
    precondition(layers.count == frozenWeightSteps.count, "one sum a layer")
    let freezable = layers.reduce(0) { $0 + $1.freezableWeights }
    guard freezable > 0, steps > 0 else { return nil }
    return Double(frozenWeightSteps.reduce(0, +)) / (Double(freezable) * Double(steps))
  }

  /// Σ frozen share · weight-gradient MACs / Σ (input-gradient + weight-gradient MACs), over the layers; a layer's frozen share is
  /// the mean over the steps of frozen weights / weights.
  ///
  /// Parameters and result as of `weightUpdatesEliminated`.
  public static func backwardFLOPsEliminated(
    layers: [LayerDescription], frozenWeightSteps: [Int], steps: Int
  ) -> Double? {
    precondition(layers.count == frozenWeightSteps.count, "one sum a layer")
    let all = layers.reduce(0) { $0 + $1.inputGradientMACs + $1.weightGradientMACs }
    guard layers.contains(where: { $0.freezableWeights > 0 }), all > 0, steps > 0 else { return nil }
    let saved = zip(layers, frozenWeightSteps).reduce(0.0) { sum, layer in
      guard layer.0.weights > 0 else { return sum }
      let share = Double(layer.1) / (Double(layer.0.weights) * Double(steps))
      return sum + share * Double(layer.0.weightGradientMACs)
    }
    return saved / Double(all)
  }
}
