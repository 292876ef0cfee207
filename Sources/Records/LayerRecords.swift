/// A layer with weights.
public enum LayerKind: String, Codable, Sendable, CaseIterable {
  case convolution, linear
}

/// A convolution or linear layer: what it holds and costs.
public struct LayerDescription: Codable, Equatable, Sendable {
  /// As in PyTorch's state dictionaries, such as "layer1.0.conv1".
  public var name: String
  /// What it computes.
  public var kind: LayerKind
  /// Number of weights, bias excluded.
  public var weights: Int
  /// Weights that may freeze; 0 where the layer never freezes.
  public var freezableWeights: Int
  /// nil where weights, or the layer's input, are not quantized.
  public var weightBits: Int?
  /// Bits of the layer's input; nil where it is not quantized.
  public var activationBits: Int?
  /// Multiply-accumulates an image.
  public var forwardMACs: Int
  /// 0 in the first layer, which needs no input gradient.
  public var inputGradientMACs: Int
  /// Multiply-accumulates an image.
  public var weightGradientMACs: Int
  /// Frozen share from which the sparse weight gradient is used; nil where it never is.
  public var sparseThreshold: Double?

  /// All that a layer has, in the order of its columns.
  public init(
    name: String, kind: LayerKind, weights: Int, freezableWeights: Int, weightBits: Int?, activationBits: Int?,
    forwardMACs: Int, inputGradientMACs: Int, weightGradientMACs: Int, sparseThreshold: Double?
  ) {
    self.name = name
    self.kind = kind
    self.weights = weights
    self.freezableWeights = freezableWeights
    self.weightBits = weightBits
    self.activationBits = activationBits
    self.forwardMACs = forwardMACs
    self.inputGradientMACs = inputGradientMACs
    self.weightGradientMACs = weightGradientMACs
    self.sparseThreshold = sparseThreshold
  }
}

extension LayerDescription: Storable {
  static var blank: LayerDescription {
    LayerDescription(
      name: "", kind: .convolution, weights: 0, freezableWeights: 0, weightBits: nil, activationBits: nil,
      forwardMACs: 0,
      inputGradientMACs: 0, weightGradientMACs: 0, sparseThreshold: nil)
  }

  static let fields: [Field<LayerDescription>] = [
    Field("layer", "Layer", .text(\.name)),
    Field("kind", "convolution or linear", .choice(\.kind)),
    Field("weights", "Weights", .integer(\.weights)),
    Field("freezable_weights", "Weights that may freeze", .integer(\.freezableWeights)),
    Field("weight_bits", unit: "bit", "Bits of a weight, 0 where not quantized", .optionalInteger(\.weightBits)),
    Field(
      "activation_bits", unit: "bit", "Bits of the layer's input, 0 where not quantized",
      .optionalInteger(\.activationBits)),
    Field("forward_macs", "Multiply-accumulates an image, forward", .integer(\.forwardMACs)),
    Field("input_gradient_macs", "Multiply-accumulates an image, input gradient", .integer(\.inputGradientMACs)),
    Field("weight_gradient_macs", "Multiply-accumulates an image, weight gradient", .integer(\.weightGradientMACs)),
    Field(
      "sparse_threshold", "Frozen share from which the sparse weight gradient is used",
      .optionalReal(\.sparseThreshold)),
  ]
}

/// One layer in one epoch.
public struct LayerEpochRecord: Codable, Equatable, Sendable {
  /// 1-based.
  public var epoch: Int
  /// The layer's name.
  public var layer: String
  /// Frozen weights after the epoch's last step.
  public var frozen: Int = 0
  /// Frozen weights / weights of the layer, mean over the epoch's steps.
  public var meanFrozenShare: Double = 0
  /// Wall-clock seconds of the layer in this epoch.
  public var secondsForward: Double = 0
  /// Wall-clock seconds of the input gradients.
  public var secondsInputGradient: Double = 0
  /// Wall-clock seconds of the weight gradients.
  public var secondsWeightGradient: Double = 0
  /// The quantizers after the epoch's last step. Recipe `lts`: the ends of the ranges. Recipe `spqat`: the scales s_W and s_A as
  /// upper ends, and no lower ones.
  public var upperWeight: Double?
  /// Lower end of the weights' range.
  public var lowerWeight: Double?
  /// Upper end of the activations' range, or their scale.
  public var upperActivation: Double?
  /// Lower end of the activations' range.
  public var lowerActivation: Double?

  /// An entry of which nothing else is known yet.
  public init(epoch: Int, layer: String) {
    self.epoch = epoch
    self.layer = layer
  }
}

extension LayerEpochRecord: Storable {
  static var blank: LayerEpochRecord { LayerEpochRecord(epoch: 0, layer: "") }

  static let fields: [Field<LayerEpochRecord>] = [
    Field("epoch", "Epoch, from 1", .integer(\.epoch)),
    Field("layer", "Layer", .text(\.layer)),
    Field("frozen", "Frozen weights after the last step", .integer(\.frozen)),
    .share("mean_frozen_share", "Frozen weights / weights, mean over the steps", .real(\.meanFrozenShare)),
    .seconds("seconds_forward", "Forward passes", .real(\.secondsForward)),
    .seconds("seconds_input_gradient", "Gradients of the input", .real(\.secondsInputGradient)),
    .seconds("seconds_weight_gradient", "Gradients of the weights", .real(\.secondsWeightGradient)),
    Field("upper_weight", "Upper end of the weight range, or the weight scale", .optionalReal(\.upperWeight)),
    Field("lower_weight", "Lower end of the weight range", .optionalReal(\.lowerWeight)),
    Field(
      "upper_activation", "Upper end of the activation range, or the activation scale",
      .optionalReal(\.upperActivation)),
    Field("lower_activation", "Lower end of the activation range", .optionalReal(\.lowerActivation)),
  ]
}
