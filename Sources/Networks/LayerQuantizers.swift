import Kernels
public import Quantization

/// How one convolution or linear layer is quantized; what is nil stays float.
public struct LayerQuantizers {
  public var weight: WeightQuantizer?
  public var activation: ActivationQuantizer?
  /// Whether weights may freeze.
  public var freezes: Bool

  public init(weight: WeightQuantizer?, activation: ActivationQuantizer?, freezes: Bool) {
    precondition(weight != nil || (activation == nil && !freezes), "an input is quantized for quantized weights")
    self.weight = weight
    self.activation = activation
    self.freezes = freezes
  }

  /// The quantizers of layer `name`, not yet initialized.
  init(_ quantization: QuantizationSpec?, _ name: String, _ place: Graph.Place) {
    guard let quantization else {
      self.init(weight: nil, activation: nil, freezes: false)
      return
    }
    let isSpqat = quantization.recipe == .spqat
    // `spqat` keeps 8 bits in the first and last layers, and the images as they are; `lts` quantizes all alike.
    let weightBits = isSpqat && place != .middle ? 8 : quantization.weightBits
    let activationBits = isSpqat && place == .last ? 8 : quantization.activationBits
    self.init(
      weight: WeightQuantizer(
        recipe: quantization.recipe, bits: weightBits, rangeGradient: quantization.rangeGradient,
        isRescaled: isSpqat && place == .last, layer: name),
      activation: isSpqat && place == .first
        ? nil : ActivationQuantizer(recipe: quantization.recipe, bits: activationBits, layer: name),
      freezes: !(isSpqat && place == .last))
  }

  /// Whether levels of the weights fit a signed byte, as the integer kernels need it.
  var weightLevelsFitBytes: Bool {
    weight.map { $0.grid.maximumLevel <= ($0.recipe == .spqat ? 128 : 127) } ?? false
  }
}
