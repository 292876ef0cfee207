public import Kernels
public import Quantization
public import Tensor

/// A convolution or (as a 1×1 convolution over 1×1 images) a linear layer, in float or quantized, with frozen weights
/// left out of the weight gradient.
public final class Convolution: Layer {
  /// PyTorch's, for example "layer1.0.conv1".
  public let name: String
  /// With the batch that there is memory for.
  public let shape: ConvolutionShape
  /// Read as floats or as the copy that `activationQuantizer` gives.
  public let input: Activation
  /// Floats or sums, before batch norm and rectifier.
  public let output: Activation
  /// w, not quantized: output channel, kernel row, kernel column, input channel of its group.
  public let weight: Parameter
  /// One an output channel; linear layers have it, convolutions do not.
  public let bias: Parameter?
  /// Whether this layer sees the images.
  public let isFirst: Bool
  /// Frozen share from which the sparse kernel computes the weight gradient.
  public var sparseThreshold: Double

  /// Seconds in this layer since the last `resetSeconds()`.
  public private(set) var forwardSeconds = 0.0
  /// Seconds of the gradient of the input since the last `resetSeconds()`, without batch norms' passes on its pieces.
  public private(set) var inputGradientSeconds = 0.0
  /// Seconds of the gradient of the weights since the last `resetSeconds()`, without indexing the frozen ones.
  public private(set) var weightGradientSeconds = 0.0

  private let arithmetic: Arithmetic
  private let gradients: Gradients
  private let operation: any ConvolutionOperation
  /// Of the output's channels in training, for the batch norm behind.
  private let sums: ChannelSums?
  private let biasSums: ChannelSums
  /// How many weights were frozen when the sparse gradient's index was built; −1: there is none.
  private var indexedCount = -1

  /// What the products are formed from.
  package enum Arithmetic {
    case floats
    /// Quantized weights, a float input.
    case quantizedWeights(QuantizedWeights)
    /// Both quantized, their values multiplied as floats; `input` holds the copy's.
    case quantizedValues(QuantizedWeights, Activation.QuantizedCopy, input: Buffer<Float>)
    /// Both quantized, their levels multiplied as integers; `levels` holds the weights'.
    case integers(QuantizedWeights, Activation.QuantizedCopy, levels: Buffer<Int8>)

    /// Takes the memory that this kind of arithmetic needs.
    /// - Parameter copy: the quantized input, where the layer reads it so.
    package init(
      _ kind: Plan.Convolution.Arithmetic, shape: ConvolutionShape, quantizers: LayerQuantizers,
      copy: Activation.QuantizedCopy?, backend: any Backend
    ) {
      guard let quantizer = quantizers.weight else {
        self = .floats
        return
      }
      let weights = QuantizedWeights(
        quantizer: quantizer, freezing: quantizers.freezes ? FreezingState(count: shape.weightCount) : nil,
        values: backend.allocate(Float.self, count: shape.weightCount))
      switch (kind, copy) {
      case (.integers, let copy?):
        self = .integers(weights, copy, levels: backend.allocate(Int8.self, count: shape.weightCount))
      case (.quantizedValues, let copy?):
        self = .quantizedValues(weights, copy, input: backend.allocate(Float.self, count: shape.inputCount))
      default: self = .quantizedWeights(weights)
      }
    }

    var weights: QuantizedWeights? {
      switch self {
      case .floats: nil
      case .quantizedWeights(let weights), .quantizedValues(let weights, _, _), .integers(let weights, _, _): weights
      }
    }

    var copy: Activation.QuantizedCopy? {
      switch self {
      case .floats, .quantizedWeights: nil
      case .quantizedValues(_, let copy, _), .integers(_, let copy, _): copy
      }
    }
  }

  package struct QuantizedWeights {
    let quantizer: any WeightQuantizer
    /// nil where the weights never freeze.
    let freezing: FreezingState?
    /// ŵ
    let values: Buffer<Float>

    package init(quantizer: any WeightQuantizer, freezing: FreezingState?, values: Buffer<Float>) {
      self.quantizer = quantizer
      self.freezing = freezing
      self.values = values
    }
  }

  package struct Gradients {
    var output: OutputGradient
    /// nil where nobody needs it: at the images.
    var input: Buffer<Float>?
    /// The batch norm before, where its first backward pass runs on the pieces of the input gradient.
    var firstPassOf: BatchNormalization?
    /// How that of the weights is formed where the input is read as levels.
    var fromLevels: LevelGradients

    package init(
      output: OutputGradient, input: Buffer<Float>?, firstPassOf: BatchNormalization?,
      fromLevels: LevelGradients = .float32
    ) {
      self.output = output
      self.input = input
      self.firstPassOf = firstPassOf
      self.fromLevels = fromLevels
    }
  }

  /// - Parameter sums: receives the sums of the output's channels in training.
  package init(
    name: String, shape: ConvolutionShape, input: Activation, output: Activation, hasBias: Bool, isFirst: Bool,
    arithmetic: Arithmetic, gradients: Gradients, sums: ChannelSums?, backend: any Backend
  ) {
    self.name = name
    self.shape = shape
    self.input = input
    self.output = output
    self.isFirst = isFirst
    self.arithmetic = arithmetic
    self.gradients = gradients
    self.sums = sums
    weight = Parameter(
      name: "\(name).weight",
      shape: [shape.outputChannels, shape.kernelHeight, shape.kernelWidth, shape.inputChannels / shape.groups],
      group: .weights)
    weight.frozen = arithmetic.weights?.freezing?.frozen
    bias = hasBias ? Parameter(name: "\(name).bias", shape: [shape.outputChannels], group: .weights) : nil
    biasSums = ChannelSums(channels: hasBias ? shape.outputChannels : 0)
    operation = backend.makeConvolution(shape, gradients: gradients.fromLevels)
    if let weights = arithmetic.weights, !weights.quantizer.needsDenseGradient, weights.quantizer.outputScale == nil {
      operation.unread = weights.freezing?.frozen
    }
    sparseThreshold = SparseThresholds.builtIn(for: shape, gradients: gradients.fromLevels)
  }

  /// Weight, bias, then the numbers of the weights' and of the input's quantizer, as far as there are any.
  public var parameters: [Parameter] {
    [weight, bias].compactMap { $0 } + (weightQuantizer?.parameters ?? []) + (activationQuantizer?.parameters ?? [])
  }

  /// nil: the weights are used as floats.
  public var weightQuantizer: (any WeightQuantizer)? { arithmetic.weights?.quantizer }
  /// Of the input; nil: it is read as floats.
  public var activationQuantizer: (any ActivationQuantizer)? { arithmetic.copy?.quantizer }
  /// Whether the weights' gradient is a sum of products of whole numbers.
  public var formsGradientInIntegers: Bool { gradients.fromLevels != .float32 && shape.groups == 1 }
  /// nil where the weights never freeze.
  public var freezing: FreezingState? { arithmetic.weights?.freezing }
  /// False for the layer that sees the images and whose input is not quantized.
  public var needsInputGradient: Bool { gradients.input != nil }
  /// The weights that the forward pass used.
  public var quantizedWeight: Buffer<Float> { arithmetic.weights?.values ?? weight.value }

  /// The levels of the weights as they are now: integers, as floats since 8 bits of a learned range exceed a byte.
  public func currentLevels() -> Buffer<Float> {
    guard let weightQuantizer else { preconditionFailure("\(name) is not quantized") }
    let grid = weightQuantizer.grid
    return Buffer(
      weight.value.array.map { weight in
        let position = min(max((weight - grid.offset) * grid.inverseStep, grid.lowest), grid.highest)
        return Float(grid.multiplier) * position.rounded(.toNearestOrEven) + Float(grid.addend)
      })
  }

  // MARK: Forward

  /// Advances freezing where the pass says so, quantizes the weights, and lays them out for the passes to come.
  public func prepare(_ pass: ForwardPass) {
    if let weights = arithmetic.weights { quantize(weights, pass) }
    if case .integers(let weights, let copy, let levels) = arithmetic {
      operation.pack(
        levels: levels, maximumInput: copy.quantizer.maximumLevel, maximumWeight: weights.quantizer.grid.maximumLevel)
    } else {
      operation.pack(weights: quantizedWeight)
    }
    guard pass.isTraining else { return }
    if needsInputGradient { operation.packBackward(weights: quantizedWeight) }
    if usesSparseGradient, let freezing, indexedCount != freezing.frozenCount {
      operation.index(frozen: freezing.frozen)
      indexedCount = freezing.frozenCount
    }
  }

  private func quantize(_ weights: QuantizedWeights, _ pass: ForwardPass) {
    let grid = weights.quantizer.grid
    if let freezing = weights.freezing, let (policy, forward) = pass.freezing {
      if let policy {
        policy.advance(
          freezing, layer: name, forward: forward, quantizer: weights.quantizer, weights: weight.value,
          on: pass.backend)
      } else {
        freezing.recordLevels(
          number: forward, quantizer: weights.quantizer, weights: weight.value, on: pass.backend)
      }
    }
    var levels: Buffer<Int8>?
    if case .integers(_, _, let buffer) = arithmetic { levels = buffer }
    pass.backend.quantize(grid, weights: weight.value, values: weights.values, levels: levels)
  }

  /// Overwrites the output.
  public func forward(_ pass: ForwardPass) {
    forwardSeconds += pass.backend.measure(.forward) {
      let sums = pass.isTraining ? sums : nil
      if case .integers(let weights, let copy, _) = arithmetic {
        let grid = weights.quantizer.grid
        operation.forward(
          levels: copy.levels, maximumInput: copy.quantizer.maximumLevel, maximumWeight: grid.maximumLevel,
          scale: copy.quantizer.step * grid.valueScale, bias: bias?.value,
          output: output.convolutionOutput, images: pass.images, sums: sums)
      } else {
        operation.forward(
          input: floatInput(pass), bias: bias?.value, output: output.floats, images: pass.images, sums: sums)
      }
    }
  }

  private func floatInput(_ pass: ForwardPass) -> Buffer<Float> {
    guard case .quantizedValues(_, let copy, let values) = arithmetic else { return input.floats }
    pass.backend.dequantize(
      copy.levels, step: copy.quantizer.step, values: values, images: pass.images,
      elementsPerImage: input.elementsPerImage)
    return values
  }

  // MARK: Backward

  /// Overwrites the gradients of bias and input, and that of the weights with the gradient of ŵ. Those of frozen weights are 0
  /// where the sparse kernel computes them.
  public func backward(_ pass: BackwardPass) {
    computeGradients(pass)
    if let bias { sumBiasGradient(bias, pass) }
  }

  /// Overwrites the gradient of ŵ with that of w, and sets those of the weight quantizer.
  public func finish(_ pass: BackwardPass) {
    if let weights = arithmetic.weights { passThroughQuantizer(weights, pass) }
  }

  private func computeGradients(_ pass: BackwardPass) {
    let backend = pass.backend
    let firstPass = gradients.firstPassOf?.firstPass
    firstPass?.sums.reset(images: pass.images, over: backend.processes)
    let copy = arithmetic.copy
    let seconds = operation.backward(
      outputGradient: gradients.output, inputGradient: gradients.input,
      input: copy.map { .levels($0.levels) } ?? .floats(input.floats), weightGradient: weight.gradient,
      scale: copy?.quantizer.step ?? 1, images: pass.images, sparse: usesSparseGradient
    ) { images, slice in
      if let firstPass { backend.normalizeBackward(firstPass, images: images, slice: slice) }
    }
    backend.add(seconds.normalization, to: .normalizationAndQuantization)
    backend.add(seconds.inputGradient, to: .inputGradient)
    backend.add(seconds.weightGradient, to: .weightGradient)
    inputGradientSeconds += seconds.inputGradient
    weightGradientSeconds += seconds.weightGradient
  }

  private func sumBiasGradient(_ bias: Parameter, _ pass: BackwardPass) {
    guard case .buffer(let gradient) = gradients.output else {
      preconditionFailure("a layer with a bias has no batch norm behind it")
    }
    pass.backend.channelStatistics(
      gradient, channels: shape.outputChannels, images: pass.images, rowsPerImage: output.rowsPerImage, sums: biasSums)
    for channel in 0..<shape.outputChannels { bias.gradient[channel] = Float(biasSums[channel].0) }
  }

  /// From the gradient of ŵ to that of w and of the quantizer's numbers.
  private func passThroughQuantizer(_ weights: QuantizedWeights, _ pass: BackwardPass) {
    let quantizer = weights.quantizer
    var gradientTimesQuantized = 0.0
    if let scale = quantizer.outputScale, scale != 0 {
      gradientTimesQuantized = pass.backend.dotProduct(weight.gradient, weights.values) / Double(scale)
    }
    let sums = pass.backend.straightThrough(
      quantizer.grid, weights: weight.value, valueGradient: weight.gradient, scale: quantizer.gradientScale,
      frozen: weights.freezing?.frozen, skipFrozen: !quantizer.needsDenseGradient, weightGradient: weight.gradient)
    quantizer.setGradients(sums, gradientTimesQuantized: gradientTimesQuantized)
  }

  /// Decided by the frozen share alone, never by the clock, so that results can be repeated.
  public var usesSparseGradient: Bool {
    guard let freezing, !(weightQuantizer?.needsDenseGradient ?? false) else { return false }
    return freezing.frozenShare >= sparseThreshold
  }

  /// Starts the three times again from 0.
  public func resetSeconds() {
    forwardSeconds = 0
    inputGradientSeconds = 0
    weightGradientSeconds = 0
  }

  /// After the freezing state was filled from a checkpoint.
  public func forgetIndex() { indexedCount = -1 }
}
