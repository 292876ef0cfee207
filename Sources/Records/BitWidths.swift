/// Bits of weights and activations in the layers that are quantized as configured.
public struct BitWidths: Hashable, Codable, Sendable, CustomStringConvertible {
  public var weights: Int
  public var activations: Int

  public init(weights: Int, activations: Int) {
    self.weights = weights
    self.activations = activations
  }

  /// "2/4": weights, activations.
  public var description: String { "\(weights)/\(activations)" }
}
