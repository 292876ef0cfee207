public import Kernels
public import Quantization
public import Tensor

/// A plan carried out on a back end: layers in execution order, memory for activations and gradients, the loss.
public final class Network {
  public let spec: ModelSpec
  public let quantization: QuantizationSpec?
  public let plan: Plan
  public let context: any Backend
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

  /// - Throws: `NetworkError` where there is no such network.
  public init(
    spec: ModelSpec, quantization: QuantizationSpec?, batch: Int, context: any Backend
  ) throws(NetworkError) {
    self.spec = spec
    self.quantization = quantization
    self.context = context
    plan = try Plan(spec.graph(), quantization: quantization, batch: batch, on: context)
    var builder = NetworkBuilder(plan, quantization, context)
    layers = builder.build()
    images = builder.activations[0]
    loss = CrossEntropy(
      batch: batch, logits: builder.activations.last!, gradient: builder.regions[plan.logitsGradient],
      backend: context)
    convolutions = layers.compactMap { $0 as? Convolution }
    batchNorms = layers.compactMap { $0 as? BatchNormalization }
    parameters = layers.flatMap(\.parameters)
    let fixed = convolutions.flatMap { convolution -> [Parameter] in
      guard let quantizer = convolution.weightQuantizer else { return [] }
      let trained = quantizer.trainedParameters
      return quantizer.parameters.filter { parameter in !trained.contains { $0 === parameter } }
    }
    trainedParameters = parameters.filter { parameter in !fixed.contains { $0 === parameter } }
  }

  /// Images that there is memory for.
  public var batch: Int { plan.batch }

  // MARK: Input

  /// Lends the memory of the next pass's images and labels to `body`, which fills it from the front: the only way in.
  public func withInput<Result>(_ body: (BatchMemory) throws -> Result) rethrows -> Result {
    try BatchMemory.lend(images: images.floats, labels: loss.labels, body)
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
    let pass = ForwardPass(backend: context, images: count, purpose: purpose, freezing: freezing)
    for layer in layers { layer.forward(pass) }
  }

  public func backward(images count: Int) {
    let pass = BackwardPass(backend: context, images: count)
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
