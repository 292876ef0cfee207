import Kernels
public import Quantization

/// How one convolution or linear layer is quantized; what is nil stays float.
public struct LayerQuantizers {
  /// nil: the weights stay float.
  public var weight: (any WeightQuantizer)?
  /// Of the layer's input; nil: it stays float.
  public var activation: (any ActivationQuantizer)?
  /// Whether weights may freeze.
  public var freezes: Bool
  /// Of the weights' gradients, where the input is quantized and no image.
  public var gradients: GradientArithmetic

  /// - Precondition: An input is quantized, or weights freeze, only where weights are quantized.
  public init(
    weight: (any WeightQuantizer)?, activation: (any ActivationQuantizer)?, freezes: Bool,
    gradients: GradientArithmetic = .float32
  ) {
    precondition(weight != nil || (activation == nil && !freezes), "an input is quantized for quantized weights")
    self.weight = weight
    self.activation = activation
    self.freezes = freezes
    self.gradients = gradients
  }

  /// The quantizers of layer `name`, not yet initialized.
  init(_ quantization: QuantizationSpec?, _ name: String, _ place: Graph.Place) {
    guard let quantization else {
      self.init(weight: nil, activation: nil, freezes: false)
      return
    }
    self.init(
      weight: quantization.weightQuantizer(at: place, layer: name),
      activation: quantization.activationQuantizer(at: place, layer: name), freezes: quantization.scheme[place].freezes,
      gradients: place.seesImages ? .float32 : quantization.gradients)
  }

  /// For the layer's convolution.
  var levelGradients: LevelGradients {
    switch (gradients, activation) {
    case (.int16, let activation?): .int16(maximumInput: activation.maximumLevel)
    default: .float32
    }
  }

  /// Whether 16 bits hold the sums of products of levels.
  func sumsFit16Bits(_ shape: ConvolutionShape) -> Bool {
    guard let weight, let activation else { return false }
    return shape.sumsFit16Bits(maximumInput: activation.maximumLevel, maximumWeight: weight.grid.maximumLevel)
  }

  /// Whether levels of the weights fit a signed byte, as the integer kernels need it.
  var weightLevelsFitBytes: Bool {
    weight?.grid.levelsFitByte ?? false
  }
}
