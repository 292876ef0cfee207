public import Kernels
public import Quantization
public import Tensor

/// A planned network for one batch size: layers in execution order, memory for activations and gradients, the loss.
public final class Network {
  public let spec: ModelSpec
  public let quantization: QuantizationSpec?
  public let batch: Int
  public let context: ComputeContext
  /// The images: `batch × height × width × 3` normalised floats, to be filled before a pass.
  public let images: Activation
  public let layers: [any Layer]
  public let convolutions: [Convolution]
  public let batchNorms: [BatchNormalization]
  public let loss: CrossEntropy

  /// Everything that training changes (fixed quantizer scales are not among them).
  public let trainedParameters: [Parameter]
  /// Those and the fixed quantizer scales.
  public let parameters: [Parameter]

  public init(spec: ModelSpec, quantization: QuantizationSpec?, batch: Int, context: ComputeContext) {
    var builder = NetworkBuilder(spec: spec, quantization: quantization, batch: batch, context: context)
    let logits = builder.resNet(blocksPerStage: spec.architecture.blocksPerStage)
    self.spec = spec
    self.quantization = quantization
    self.batch = batch
    self.context = context
    images = builder.images
    layers = builder.layers
    convolutions = layers.compactMap { $0 as? Convolution }
    batchNorms = layers.compactMap { $0 as? BatchNormalization }
    parameters = layers.flatMap(\.parameters)
    let fixed = convolutions.flatMap { convolution -> [Parameter] in
      guard let quantizer = convolution.weightQuantizer else { return [] }
      let trained = quantizer.trainedParameters
      return quantizer.parameters.filter { parameter in !trained.contains { $0 === parameter } }
    }
    trainedParameters = parameters.filter { parameter in !fixed.contains { $0 === parameter } }

    let planner = GradientPlanner()
    loss = CrossEntropy(batch: batch, logits: logits, planner: planner)
    for layer in layers.reversed() { layer.planBackward(planner) }
    planner.allocate()
  }

  // MARK: Input

  /// Lends the memory of the next pass's images and labels to `body`, which fills it from the front: the only way in.
  public func withInput<Result>(_ body: (BatchMemory) throws -> Result) rethrows -> Result {
    try body(BatchMemory(images: images.values!.elements, labels: loss.labels.elements))
  }

  // MARK: State

  /// All layers' state, from the input to the output.
  public var state: [LayerState] { layers.flatMap(\.state) }

  /// To be called after the values of `state` were written from outside.
  public func didRestoreState() {
    for layer in layers { layer.didRestoreState() }
  }

  // MARK: Passes

  public func forward(
    images count: Int, purpose: ForwardPass.Purpose, freezing: (policy: FreezingPolicy, forward: Int)? = nil
  ) {
    let pass = ForwardPass(context: context, images: count, purpose: purpose, freezing: freezing)
    for layer in layers { layer.forward(pass) }
  }

  public func backward(images count: Int) {
    let pass = BackwardPass(context: context, images: count)
    for layer in layers.reversed() { layer.backward(pass) }
  }

  // MARK: Start

  /// Kaiming normal weights (sqrt(2 / fan)), uniform biases of ±1/sqrt(fan in) as PyTorch's linear layers have.
  public func initializeWeights(seed: UInt64) {
    for (index, layer) in convolutions.enumerated() {
      var random = CounterRandom(seed: seed, stream: UInt64(index))
      let shape = layer.shape
      let window = shape.kernelHeight * shape.kernelWidth
      let fanIn = window * shape.inputChannels / shape.groups
      let fan = spec.initialization == .kaimingFanIn ? fanIn : window * shape.outputChannels / shape.groups
      let deviation = (2 / Float(fan)).squareRoot()
      for weight in 0..<layer.weight.count { layer.weight.value[weight] = deviation * random.normal() }
      if let bias = layer.bias {
        let bound = 1 / Float(fanIn).squareRoot()
        for channel in 0..<bias.count { bias.value[channel] = bound * Float(2 * random.uniform() - 1) }
      }
    }
  }

  /// Sets weight scales and ranges from the weights as they are now.
  public func initializeWeightQuantizers() {
    for layer in convolutions { layer.weightQuantizer?.initialize(weights: layer.weight.value) }
  }

  public var areActivationQuantizersInitialized: Bool {
    get { convolutions.allSatisfy { $0.activationQuantizer?.isInitialized ?? true } }
    set { for layer in convolutions { layer.activationQuantizer?.isInitialized = newValue } }
  }

  // MARK: Counts

  public var freezableWeights: Int { convolutions.reduce(0) { $0 + ($1.freezing?.count ?? 0) } }
  public var frozenWeights: Int { convolutions.reduce(0) { $0 + ($1.freezing?.frozenCount ?? 0) } }
  public var levelMoves: Int { convolutions.reduce(0) { $0 + ($1.freezing?.levelMoves ?? 0) } }
}

/// The images at the network's start; quantized there where the first layer asks for it.
final class ImageInput: Layer {
  let name = "images"
  let output: Activation
  private var preGradient: GradientSlot?

  init(output: Activation) {
    self.output = output
    output.requireValues()
  }

  var parameters: [Parameter] { [] }

  func forward(_ pass: ForwardPass) {
    pass.context.measure(.normalizationAndQuantization) { output.forwardImages(pass) }
  }

  func planBackward(_ planner: GradientPlanner) {
    preGradient = output.planImageGradient(planner)
  }

  func backward(_ pass: BackwardPass) {
    guard let preGradient else { return }
    pass.context.measure(.normalizationAndQuantization) {
      output.collectImageGradient(preGradient: preGradient.buffer, pass: pass)
    }
  }
}

/// Puts layers one behind another.
struct NetworkBuilder {
  let spec: ModelSpec
  let quantization: QuantizationSpec?
  let batch: Int
  let context: ComputeContext
  let images: Activation
  private(set) var layers: [any Layer]

  init(spec: ModelSpec, quantization: QuantizationSpec?, batch: Int, context: ComputeContext) {
    self.spec = spec
    self.quantization = quantization
    self.batch = batch
    self.context = context
    images = Activation(batch: batch, height: spec.inputHeight, width: spec.inputWidth, channels: 3)
    layers = [ImageInput(output: images)]
  }

  enum Place {
    case first, middle, last
  }

  private func quantizers(_ name: String, _ place: Place) -> Convolution.Quantizers {
    guard let quantization else { return .init(weight: nil, activation: nil, freezes: false) }
    let isSpqat = quantization.recipe == .spqat
    // `spqat` keeps 8 bits in the first and last layers, and the images as they are; `lts` quantizes all alike.
    let weightBits = isSpqat && place != .middle ? 8 : quantization.weightBits
    let activationBits = isSpqat && place == .last ? 8 : quantization.activationBits
    return .init(
      weight: WeightQuantizer(
        recipe: quantization.recipe, bits: weightBits, rangeGradient: quantization.rangeGradient,
        isRescaled: isSpqat && place == .last, layer: name),
      activation: isSpqat && place == .first
        ? nil : ActivationQuantizer(recipe: quantization.recipe, bits: activationBits, layer: name),
      freezes: !(isSpqat && place == .last))
  }

  mutating func convolution(
    _ name: String, _ input: Activation, channels: Int, kernel: Int, stride: Int = 1, place: Place = .middle,
    groups: Int = 1
  ) -> Activation {
    let layer = Convolution(
      name: name,
      shape: ConvolutionShape(
        batch: batch, inputHeight: input.height, inputWidth: input.width, inputChannels: input.channels,
        outputChannels: channels, kernel: kernel, stride: stride, padding: kernel / 2, groups: groups),
      input: input, hasBias: false, quantizers: quantizers(name, place), isFirst: place == .first, context: context)
    layers.append(layer)
    return layer.output
  }

  mutating func linear(_ name: String, _ input: Activation, outputs: Int) -> Activation {
    precondition(input.height == 1 && input.width == 1, "linear layers follow global pooling")
    let layer = Convolution(
      name: name,
      shape: ConvolutionShape(
        batch: batch, inputHeight: 1, inputWidth: 1, inputChannels: input.channels, outputChannels: outputs, kernel: 1),
      input: input, hasBias: true, quantizers: quantizers(name, .last), isFirst: false, context: context)
    layers.append(layer)
    return layer.output
  }

  mutating func batchNorm(
    _ name: String, _ input: Activation, adding residual: Activation? = nil, relu: Bool
  ) -> Activation {
    let layer = BatchNormalization(name: name, batch: batch, input: input, residual: residual, relu: relu)
    layers.append(layer)
    return layer.output
  }

  mutating func globalAveragePool(_ name: String, _ input: Activation) -> Activation {
    precondition(input.height == input.width, "global pooling takes square feature maps")
    let layer = Pooling(
      name: name, kind: .average,
      shape: ConvolutionShape(
        batch: batch, inputHeight: input.height, inputWidth: input.width, inputChannels: input.channels,
        outputChannels: input.channels, kernel: input.height, stride: input.height),
      input: input)
    layers.append(layer)
    return layer.output
  }

  mutating func maxPool(_ name: String, _ input: Activation, kernel: Int, stride: Int) -> Activation {
    let layer = Pooling(
      name: name, kind: .maximum,
      shape: ConvolutionShape(
        batch: batch, inputHeight: input.height, inputWidth: input.width, inputChannels: input.channels,
        outputChannels: input.channels, kernel: kernel, stride: stride, padding: kernel / 2),
      input: input)
    layers.append(layer)
    return layer.output
  }

  mutating func padShortcut(_ name: String, _ input: Activation, channels: Int, stride: Int) -> Activation {
    let layer = Pooling(
      name: name, kind: .padShortcut,
      shape: ConvolutionShape(
        batch: batch, inputHeight: input.height, inputWidth: input.width, inputChannels: input.channels,
        outputChannels: channels, kernel: 1, stride: stride),
      input: input)
    layers.append(layer)
    return layer.output
  }
}
