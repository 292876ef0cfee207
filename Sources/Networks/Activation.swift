package import Kernels
public import Quantization
public import Tensor

/// The output of a layer for a whole batch, `images × height × width × channels`, and the gradients that its readers send
/// back. A reader takes either the floats (`gradients`) or a quantized copy.
public final class Activation {
  /// Of one image.
  public let shape: Graph.Shape
  /// The values as floats; nil where only quantized copies are read, or `sums`.
  public let values: Buffer<Float>?
  /// The values of a convolution as 16-bit sums with their unit; nil: they are floats, if there are any.
  package let sums: (values: Buffer<Int16>, unit: Buffer<Float>)?
  /// Whether the values are still there on the way back.
  private let keepsValues: Bool
  /// One for each convolution that quantizes this output; at most two.
  public let copies: [QuantizedCopy]
  /// Of the floats, one for each reader that sends one.
  package let gradients: [Buffer<Float>]
  /// What the way back through `emit` adds up.
  let gradientSums: NormalizationSums
  private let batch: Int

  /// The levels for one convolution.
  public final class QuantizedCopy {
    /// Belongs to the convolution that reads the copy; its grid turns the values into levels.
    public let quantizer: any ActivationQuantizer
    /// One byte an element: x̂ = level · step.
    public let levels: Buffer<UInt8>
    /// Of the quantized values.
    package let gradient: Buffer<Float>?

    package init(quantizer: any ActivationQuantizer, levels: Buffer<UInt8>, gradient: Buffer<Float>?) {
      self.quantizer = quantizer
      self.levels = levels
      self.gradient = gradient
    }
  }

  /// Buffers have room for `batch` images each.
  package init(
    shape: Graph.Shape, batch: Int, values: Buffer<Float>?,
    sums: (values: Buffer<Int16>, unit: Buffer<Float>)? = nil, keepsValues: Bool = true, copies: [QuantizedCopy],
    gradients: [Buffer<Float>]
  ) {
    self.shape = shape
    self.batch = batch
    self.values = values
    self.sums = sums
    self.keepsValues = keepsValues
    self.copies = copies
    self.gradients = gradients
    gradientSums = NormalizationSums(channels: shape.channels)
  }

  /// Rows of pixels of one image.
  public var height: Int { shape.height }
  /// Pixels of one row.
  public var width: Int { shape.width }
  /// Numbers of one pixel, which lie next to each other.
  public var channels: Int { shape.channels }
  /// Pixels of one image: rows of the matrix whose columns are the channels.
  public var rowsPerImage: Int { shape.height * shape.width }
  /// height · width · channels.
  public var elementsPerImage: Int { shape.count }
  /// Elements of a whole batch.
  public var count: Int { batch * shape.count }

  /// The values, which the plan keeps for every reader of floats.
  var floats: Buffer<Float> {
    guard let values else { preconditionFailure("these values are kept quantized alone") }
    return values
  }

  /// The same, or the sums that stand for them.
  package var convolutionOutput: ConvolutionOutput {
    sums.map { .sums($0.values, unit: $0.unit) } ?? .floats(floats)
  }

  /// Computes z = rectifier(scale · input + shift + residual) into the values and the copies. Quantizers that are not
  /// initialized take their start from z in training.
  func emit(
    input: ConvolutionOutput, scale: Buffer<Float>?, shift: Buffer<Float>?, residual: Buffer<Float>?,
    rectifier: Rectifier?, pass: ForwardPass
  ) {
    let backend = pass.backend
    let isInput = if case .floats(let floats) = input { values === floats } else { false }
    if copies.contains(where: { !$0.quantizer.isInitialized }) {
      precondition(pass.isTraining, "quantizers are initialized in training")
      let whole = values ?? backend.allocate(Float.self, count: count)
      backend.normalize(
        input: input, channels: channels, scale: scale, shift: shift, residual: residual, rectifier: rectifier,
        output: whole,
        copies: [], images: pass.images, rowsPerImage: rowsPerImage)
      let statistics = backend.rangeStatistics(whole, images: pass.images, elementsPerImage: elementsPerImage)
      for copy in copies where !copy.quantizer.isInitialized {
        copy.quantizer.initialize(minimum: statistics.minimum, standardDeviation: statistics.standardDeviation)
      }
    }
    if isInput && scale == nil && residual == nil && rectifier == nil && copies.isEmpty { return }
    backend.normalize(
      input: input, channels: channels, scale: scale, shift: shift, residual: residual, rectifier: rectifier,
      output: isInput ? nil : values, copies: copies.map { ($0.quantizer.grid, $0.levels) },
      images: pass.images, rowsPerImage: rowsPerImage)
  }

  /// The way back through `emit`: adds up the gradients that arrive, into `result`.
  func gradient(
    input: ConvolutionOutput, scale: Buffer<Float>?, shift: Buffer<Float>?, rectifier: Rectifier?,
    result: Buffer<Float>,
    wantsChannelSums: Bool
  ) -> NormalizationGradient {
    NormalizationGradient(
      input: input, channels: channels, scale: scale, shift: shift, rectifier: rectifier,
      output: keepsValues ? values : nil, gradients: gradients,
      copies: copies.compactMap { copy in copy.gradient.map { (copy.quantizer.grid, $0) } }, result: result,
      rowsPerImage: rowsPerImage, sums: gradientSums, wantsChannelSums: wantsChannelSums)
  }

  /// Sets the gradients of the copies' quantizers from the sums that `gradient` formed.
  func setQuantizerGradients() {
    var index = 0
    for copy in copies where copy.gradient != nil {
      copy.quantizer.setGradients(gradientSums.range(index))
      index += 1
    }
  }

  /// The whole way back for a layer that emits its values as they are.
  func sumGradients(into result: Buffer<Float>, pass: BackwardPass) {
    pass.backend.normalizeBackward(
      gradient(input: .floats(floats), scale: nil, shift: nil, rectifier: nil, result: result, wantsChannelSums: false),
      images: pass.images)
    setQuantizerGradients()
  }
}
