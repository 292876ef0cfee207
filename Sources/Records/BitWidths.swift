/// Bits of weights and activations in the layers that are quantized as configured.
public struct BitWidths: Hashable, Codable, Sendable, CustomStringConvertible {
  /// Bits of a weight.
  public var weights: Int
  /// Bits of an activation.
  public var activations: Int

  /// Both in bits.
  public init(weights: Int, activations: Int) {
    self.weights = weights
    self.activations = activations
  }

  /// "2/4": weights, activations.
  public var description: String { "\(weights)/\(activations)" }
}
