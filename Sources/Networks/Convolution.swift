public import Kernels
public import Quantization
public import Tensor

/// A convolution or (as a 1×1 convolution over 1×1 images) a linear layer, in float or quantized, with frozen weights
/// left out of the weight gradient.
public final class Convolution: Layer {
  public let name: String
  public let shape: ConvolutionShape
  public let input: Activation
  public let output: Activation
  public let weight: Parameter
  public let bias: Parameter?
  public let weightQuantizer: WeightQuantizer?
  /// nil where the weights never freeze.
  public let freezing: FreezingState?
  /// False for the layer that sees the images and whose input is not quantized.
  public let needsInputGradient: Bool
  /// Whether this layer sees the images.
  public let isFirst: Bool
  /// Frozen share from which the sparse kernel computes the weight gradient.
  public var sparseThreshold: Double

  /// Seconds in this layer since the last `resetSeconds()`.
  public private(set) var forwardSeconds = 0.0
  public private(set) var inputGradientSeconds = 0.0
  public private(set) var weightGradientSeconds = 0.0

  private let copy: Activation.QuantizedCopy?
  private let operation: ConvolutionOperator
  /// The quantized weights as the input gradient needs them.
  private let effectiveWeight: Buffer<Float>?
  private let levels: Buffer<Int8>?
  /// Where integers cannot represent the layer: the input's quantized values as floats.
  private let dequantized: Buffer<Float>?
  private var indexedCount = -1
  private var inputGradient: GradientSlot?
  /// The producer of the input, where it leaves the collection of the gradient to this layer.
  var collector: (any GradientCollector)?

  /// How a convolution is quantized; nil parts stay float.
  public struct Quantizers {
    public var weight: WeightQuantizer?
    public var activation: ActivationQuantizer?
    public var freezes: Bool

    public init(weight: WeightQuantizer?, activation: ActivationQuantizer?, freezes: Bool) {
      self.weight = weight
      self.activation = activation
      self.freezes = freezes
    }
  }

  public init(
    name: String, shape: ConvolutionShape, input: Activation, hasBias: Bool, quantizers: Quantizers,
    isFirst: Bool, context: ComputeContext
  ) {
    precondition(input.height == shape.inputHeight && input.width == shape.inputWidth)
    precondition(input.channels == shape.inputChannels)
    self.name = name
    self.shape = shape
    self.input = input
    output = Activation(
      batch: shape.batch, height: shape.outputHeight, width: shape.outputWidth, channels: shape.outputChannels)
    output.requireValues()
    output.takesDeferredGradient = !hasBias
    output.sums = ChannelSums(channels: shape.outputChannels)
    weight = Parameter(
      name: "\(name).weight",
      shape: [shape.outputChannels, shape.kernelHeight, shape.kernelWidth, shape.inputChannels / shape.groups],
      group: .weights)
    bias = hasBias ? Parameter(name: "\(name).bias", shape: [shape.outputChannels], group: .weights) : nil
    weightQuantizer = quantizers.weight
    freezing = quantizers.freezes ? FreezingState(count: shape.weightCount) : nil
    weight.frozen = freezing?.frozen
    copy = quantizers.activation.map(input.requireCopy)
    if copy == nil { input.requireValues() }
    self.isFirst = isFirst
    needsInputGradient = !isFirst || copy != nil
    operation = ConvolutionOperator(shape: shape, context: context)
    effectiveWeight = weightQuantizer == nil ? nil : Buffer(count: shape.weightCount)
    let fitsInteger = weightQuantizer.map { $0.grid.maximumLevel <= ($0.recipe == .spqat ? 128 : 127) } ?? false
    let usesIntegers =
      fitsInteger && copy != nil
      && operation.supportsIntegers(
        maximumInput: copy!.quantizer.maximumLevel, maximumWeight: weightQuantizer!.grid.maximumLevel)
    levels = usesIntegers ? Buffer(count: shape.weightCount) : nil
    dequantized = copy != nil && !usesIntegers ? Buffer(count: shape.inputCount) : nil
    sparseThreshold = SparseThresholds.builtIn(for: shape)
  }

  public var parameters: [Parameter] {
    [weight, bias].compactMap { $0 } + (weightQuantizer?.parameters ?? []) + (copy?.quantizer.parameters ?? [])
  }

  public var activationQuantizer: ActivationQuantizer? { copy?.quantizer }

  /// The weights that the forward pass used.
  public var quantizedWeight: Buffer<Float> { effectiveWeight ?? weight.value }

  /// The levels of the weights as they are now: integers, as floats since 8 bits of a learned range exceed a byte.
  public func currentLevels() -> Buffer<Float> {
    guard let weightQuantizer else { preconditionFailure("\(name) is not quantized") }
    let grid = weightQuantizer.grid
    return Buffer(
      weight.value.elements.map { weight in
        let position = min(max((weight - grid.offset) * grid.inverseStep, grid.lowest), grid.highest)
        return Float(grid.multiplier) * position.rounded(.toNearestOrEven) + Float(grid.addend)
      })
  }

  public func forward(_ pass: ForwardPass) {
    if let weightQuantizer, let effectiveWeight {
      pass.context.measure(.normalizationAndQuantization) {
        let grid = weightQuantizer.grid
        if let freezing, let (policy, forward) = pass.freezing {
          freezing.advance(
            grid, step: policy.step(forward: forward, spacing: weightQuantizer.spacing), weights: weight.value,
            on: pass.context)
        }
        pass.context.quantize(grid, weights: weight.value, values: effectiveWeight, levels: levels)
      }
    }
    forwardSeconds += pass.context.measure(.forward) {
      if let levels, let copy, let weightQuantizer {
        let maximumInput = copy.quantizer.maximumLevel
        let grid = weightQuantizer.grid
        operation.pack(levels: levels, maximumInput: maximumInput, maximumWeight: grid.maximumLevel)
        operation.forward(
          levels: copy.levels, maximumInput: maximumInput, maximumWeight: grid.maximumLevel,
          scale: copy.quantizer.step * grid.valueScale, bias: bias?.value, output: output.values!,
          images: pass.images, sums: pass.isTraining ? output.sums : nil)
      } else {
        operation.pack(weights: quantizedWeight)
        operation.forward(
          input: floatInput(images: pass.images), bias: bias?.value, output: output.values!, images: pass.images,
          sums: pass.isTraining ? output.sums : nil)
      }
    }
  }

  private func floatInput(images: Int) -> Buffer<Float> {
    guard let copy else { return input.values! }
    guard let dequantized else { preconditionFailure("integer layers have no float input") }
    let step = copy.quantizer.step
    for index in 0..<(images * input.elementsPerImage) {
      dequantized.pointer[index] = Float(copy.levels.pointer[index]) * step
    }
    return dequantized
  }

  public func planBackward(_ planner: GradientPlanner) {
    precondition(
      output.gradients.count == 1 || output.deferredGradient != nil,
      "a convolution's output is used once, by batch norm or the loss")
    if needsInputGradient {
      let slot = planner.acquire(count: shape.inputCount)
      inputGradient = slot
      input.addGradient(slot, of: copy, from: self)
    }
    output.gradients.forEach(planner.release)
    output.deferredGradient?.release(to: planner)
  }

  public func backward(_ pass: BackwardPass) {
    let context = pass.context
    let sparse = usesSparseGradient
    if sparse, let freezing, indexedCount != freezing.frozenCount {
      context.measure(.weightGradient) { operation.index(frozen: freezing.frozen) }
      indexedCount = freezing.frozenCount
    }
    let outputGradient = output.deferredGradient?.value ?? .buffer(output.gradients[0].buffer)
    let seconds = operation.backward(
      outputGradient: outputGradient, weights: quantizedWeight, inputGradient: inputGradient?.buffer,
      collection: collector?.gradientCollection,
      input: copy.map { .levels($0.levels) } ?? .floats(input.values!), weightGradient: weight.gradient,
      scale: copy?.quantizer.step ?? 1, images: pass.images, sparse: sparse)
    context.add(seconds.normalization, to: .normalizationAndQuantization)
    context.add(seconds.inputGradient, to: .inputGradient)
    context.add(seconds.weightGradient, to: .weightGradient)
    inputGradientSeconds += seconds.inputGradient
    weightGradientSeconds += seconds.weightGradient
    if let bias {
      guard case .buffer(let gradient) = outputGradient else {
        preconditionFailure("a layer with a bias has no batch norm behind it")
      }
      let sums = output.sums!
      context.channelStatistics(
        gradient, channels: shape.outputChannels, images: pass.images, rowsPerImage: output.rowsPerImage,
        sums: sums)
      for channel in 0..<shape.outputChannels { bias.gradient[channel] = Float(sums[channel].0) }
    }
    if let weightQuantizer {
      context.measure(.normalizationAndQuantization) {
        var gradientTimesQuantized = 0.0
        if weightQuantizer.isRescaled, let scale = weightQuantizer.scale, scale.scalar != 0 {
          for index in 0..<shape.weightCount {
            gradientTimesQuantized += Double(weight.gradient.pointer[index]) * Double(quantizedWeight.pointer[index])
          }
          gradientTimesQuantized /= Double(scale.scalar)
        }
        let sums = context.straightThrough(
          weightQuantizer.grid, weights: weight.value, valueGradient: weight.gradient,
          scale: weightQuantizer.gradientScale, frozen: freezing?.frozen,
          skipFrozen: !weightQuantizer.needsDenseGradient, weightGradient: weight.gradient)
        weightQuantizer.setGradients(sums, gradientTimesQuantized: gradientTimesQuantized)
      }
    }
  }

  /// Decided by the frozen share alone, never by the clock, so that results can be repeated.
  public var usesSparseGradient: Bool {
    guard let freezing, !(weightQuantizer?.needsDenseGradient ?? false) else { return false }
    return freezing.frozenShare >= sparseThreshold
  }

  public func resetSeconds() {
    forwardSeconds = 0
    inputGradientSeconds = 0
    weightGradientSeconds = 0
  }

  /// After the freezing state was filled from a checkpoint.
  public func forgetIndex() { indexedCount = -1 }
}
