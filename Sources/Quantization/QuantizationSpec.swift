/// What the gradient of a learned weight range sums over.
public enum RangeGradient: String, Sendable, CaseIterable {
  /// Every weight, frozen ones too: the published code, which needs the whole weight gradient.
  case dense
  /// Unfrozen weights alone: what a real saving needs.
  case unfrozen
}

/// Numbers in which the weight gradients of layers with a quantized input are formed.
public enum GradientArithmetic: String, Sendable, CaseIterable {
  case float32
  /// Of the output gradient, in fixed point with a unit for each channel of a few images; sums of products are exact.
  case int16
}

/// Which quantizers a network has, by place, and how they start and freeze: what a recipe says about quantization.
public struct QuantizationScheme: Hashable, Sendable, CustomStringConvertible {
  /// Where a convolution or linear layer stands in its network.
  public enum Place: Hashable, Sendable, CaseIterable {
    /// Sees the images.
    case first
    case middle
    /// Gives the logits.
    case last
    /// As `first`, in a network for ImageNet.
    case imageNetFirst
    /// As `last`, in a network for ImageNet.
    case imageNetLast

    /// Whether the images are what the layer reads.
    public var seesImages: Bool { self == .first || self == .imageNetFirst }
  }

  /// How the layers of one place are quantized.
  public struct Layer: Hashable, Sendable {
    /// The rule for the layer's weights; biases stay as they are. nil: the whole layer is in full precision.
    public var weights: WeightRule?
    /// nil: the input stays as it is.
    public var activations: ActivationRule?
    /// nil: as many as the run has.
    public var weightBits: Int?
    /// nil: as many as the run has.
    public var activationBits: Int?
    /// Whether weights may freeze here; where not, none count as freezable.
    public var freezes: Bool

    /// Neither weights nor input are quantized, and nothing freezes.
    public static let fullPrecision = Layer(weights: nil, activations: nil, freezes: false)

    /// Widths that are given hold whatever the run says.
    /// - Precondition: An input is quantized, or weights freeze, only where weights are quantized.
    public init(
      weights: WeightRule?, activations: ActivationRule?, weightBits: Int? = nil, activationBits: Int? = nil,
      freezes: Bool = true
    ) {
      precondition(weights != nil || (activations == nil && !freezes), "an input is quantized for quantized weights")
      self.weights = weights
      self.activations = activations
      self.weightBits = weightBits
      self.activationBits = activationBits
      self.freezes = freezes
    }
  }

  /// As configurations and run files name it.
  public let name: String
  /// How the layers that see the images are quantized.
  public let first: Layer
  /// How all other layers are quantized, convolutions in shortcuts too.
  public let middle: Layer
  /// How the layers that give the logits are quantized.
  public let last: Layer
  /// In the place of `first` in networks for ImageNet.
  public let imageNetFirst: Layer
  /// In the place of `last` in networks for ImageNet.
  public let imageNetLast: Layer
  /// How training forwards are counted, and what the first of them do.
  public let clock: FreezingClock
  /// Whether a batch has to pass before the first step to set the activation quantizers; otherwise the first step does.
  public let startsInSeparatePass: Bool

  public var description: String { name }

  /// `name` must tell it from all others: files hold nothing else of it.
  public init(
    name: String, first: Layer, middle: Layer, last: Layer, imageNetFirst: Layer, imageNetLast: Layer,
    clock: FreezingClock, startsInSeparatePass: Bool
  ) {
    self.name = name
    self.first = first
    self.middle = middle
    self.last = last
    self.imageNetFirst = imageNetFirst
    self.imageNetLast = imageNetLast
    self.clock = clock
    self.startsInSeparatePass = startsInSeparatePass
  }

  /// The rules of the layers at a place.
  public subscript(place: Place) -> Layer {
    switch place {
    case .first: first
    case .middle: middle
    case .last: last
    case .imageNetFirst: imageNetFirst
    case .imageNetLast: imageNetLast
    }
  }
}

/// How a network is quantized. Bit widths 2...8.
public struct QuantizationSpec: Hashable, Sendable {
  /// Rules by place, and widths that some places have of their own.
  public var scheme: QuantizationScheme
  /// 2...8; of places whose rules set no width.
  public var weightBits: Int
  /// 2...8; of places whose rules set no width.
  public var activationBits: Int
  /// Read by rules that learn a range.
  public var rangeGradient: RangeGradient
  /// Of weights, in layers whose input is quantized.
  public var gradients: GradientArithmetic

  /// Requires both widths within 2...8.
  public init(
    scheme: QuantizationScheme, weightBits: Int, activationBits: Int, rangeGradient: RangeGradient,
    gradients: GradientArithmetic = .float32
  ) {
    precondition((2...8).contains(weightBits) && (2...8).contains(activationBits), "bit widths are 2...8")
    self.scheme = scheme
    self.weightBits = weightBits
    self.activationBits = activationBits
    self.rangeGradient = rangeGradient
    self.gradients = gradients
  }

  /// The quantizer of a layer's weights, nil where the layer is in full precision.
  public func weightQuantizer(at place: QuantizationScheme.Place, layer: String) -> (any WeightQuantizer)? {
    let rules = scheme[place]
    return rules.weights?.quantizer(
      bits: rules.weightBits ?? weightBits, rangeGradient: rangeGradient, layer: layer)
  }

  /// The quantizer of a layer's input, nil where it stays as it is.
  public func activationQuantizer(at place: QuantizationScheme.Place, layer: String) -> (any ActivationQuantizer)? {
    let rules = scheme[place]
    return rules.activations?.quantizer(bits: rules.activationBits ?? activationBits, layer: layer)
  }
}
