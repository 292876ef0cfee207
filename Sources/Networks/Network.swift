public import Kernels
public import Quantization
public import Tensor

/// A plan carried out on a back end: layers in execution order, memory for activations and gradients, the loss.
public final class Network {
  /// As given: the graph and the rule of the first weights follow from it.
  public let spec: ModelSpec
  /// nil: full precision.
  public let quantization: QuantizationSpec?
  /// What was allocated, and how the steps run.
  public let plan: Plan
  /// The back end that all layers run on.
  public let backend: any Backend
  /// The images: `batch × height × width × 3` normalised floats, to be filled before a pass.
  public let images: Activation
  /// In execution order, the images' first.
  public let layers: [any Layer]
  /// In execution order; linear layers are among them.
  public let convolutions: [Convolution]
  /// In execution order.
  public let batchNorms: [BatchNormalization]
  /// Those with the most parameters first, so that the threads that work on them end at about the same time.
  private let layersBySize: [any Layer]
  /// Behind the logits, with the labels' memory; no pass evaluates it.
  public let loss: CrossEntropy

  /// Everything that training changes (fixed quantizer scales are not among them).
  public let trainedParameters: [Parameter]
  /// Those and the fixed quantizer scales.
  public let parameters: [Parameter]

  /// - Throws: `NetworkError` where there is no such network.
  public init(
    spec: ModelSpec, quantization: QuantizationSpec?, batch: Int, backend: any Backend
  ) throws(NetworkError) {
    self.spec = spec
    self.quantization = quantization
    self.backend = backend
    plan = try Plan(spec.graph(), quantization: quantization, batch: batch, on: backend)
    var builder = NetworkBuilder(plan, quantization, backend)
    layers = builder.build()
    images = builder.activations[0]
    loss = CrossEntropy(
      batch: batch, logits: builder.activations.last!, gradient: builder.regions[plan.logitsGradient],
      backend: backend)
    convolutions = layers.compactMap { $0 as? Convolution }
    batchNorms = layers.compactMap { $0 as? BatchNormalization }
    layersBySize = layers.map { ($0, $0.parameters.reduce(0) { $0 + $1.count }) }.sorted { $0.1 > $1.1 }.map(\.0)
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

  /// Runs the first `count` images, at most `batch`, up to the logits.
  ///
  /// In training batch norms use the batch's statistics and move the running ones, and activation quantizers without a
  /// start take it from the batch; evaluation needs them started. `forward` in `freezing` is 1-based.
  public func forward(
    images count: Int, purpose: ForwardPass.Purpose, draw: ForwardPass.Draw = .init(seed: 0, step: 0),
    freezing: (policy: FreezingPolicy?, forward: Int)? = nil
  ) {
    let pass = ForwardPass(backend: backend, images: count, purpose: purpose, draw: draw, freezing: freezing)
    backend.measure(.normalizationAndQuantization) {
      backend.pool.run(layersBySize.count) { task, _ in layersBySize[task].prepare(pass) }
    }
    for layer in layers { layer.forward(pass) }
  }

  /// From the logits' gradient, which `loss.evaluate` has written, to those of `trainedParameters`, which it
  /// overwrites.
  ///
  /// To be called behind a training forward of as many images.
  public func backward(images count: Int) {
    let pass = BackwardPass(backend: backend, images: count)
    for layer in layers.reversed() { layer.backward(pass) }
    backend.measure(.normalizationAndQuantization) {
      backend.pool.run(layersBySize.count) { task, _ in layersBySize[task].finish(pass) }
    }
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

  /// True also where no activation is quantized. Setting it, after parameters were read from a file, decides for
  /// all layers.
  public var areActivationQuantizersInitialized: Bool {
    get { convolutions.allSatisfy { $0.activationQuantizer?.isInitialized ?? true } }
    set { for layer in convolutions { layer.activationQuantizer?.isInitialized = newValue } }
  }

  // MARK: Counts

  /// Weights of all layers that freeze.
  public var freezableWeights: Int { convolutions.reduce(0) { $0 + ($1.freezing?.count ?? 0) } }
  /// Those of them that are frozen for good.
  public var frozenWeights: Int { convolutions.reduce(0) { $0 + ($1.freezing?.frozenCount ?? 0) } }
  /// How often frozen weights changed level as their range moved, summed over layers and forward passes.
  public var levelMoves: Int { convolutions.reduce(0) { $0 + ($1.freezing?.levelMoves ?? 0) } }
}
