import CKernels
public import Tensor

/// A two-dimensional convolution: activations are NHWC, weights output channel, kernel row, kernel column, input channel
/// of the group. A linear layer is a 1×1 convolution over 1×1 images.
public struct ConvolutionShape: Hashable, Sendable {
  public var batch: Int
  public var inputHeight, inputWidth, inputChannels: Int
  public var outputChannels: Int
  public var kernelHeight, kernelWidth: Int
  public var stride: Int
  public var padding: Int
  public var groups: Int

  public init(
    batch: Int, inputHeight: Int, inputWidth: Int, inputChannels: Int, outputChannels: Int, kernel: Int,
    stride: Int = 1, padding: Int = 0, groups: Int = 1
  ) {
    precondition(batch > 0 && inputHeight > 0 && inputWidth > 0 && inputChannels > 0 && outputChannels > 0)
    precondition(kernel > 0 && stride > 0 && padding >= 0 && padding < kernel && groups > 0)
    precondition(inputChannels % groups == 0 && outputChannels % groups == 0)
    precondition(inputHeight + 2 * padding >= kernel && inputWidth + 2 * padding >= kernel)
    self.batch = batch
    self.inputHeight = inputHeight
    self.inputWidth = inputWidth
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    kernelHeight = kernel
    kernelWidth = kernel
    self.stride = stride
    self.padding = padding
    self.groups = groups
  }

  public var outputHeight: Int { (inputHeight + 2 * padding - kernelHeight) / stride + 1 }
  public var outputWidth: Int { (inputWidth + 2 * padding - kernelWidth) / stride + 1 }
  public var weightCount: Int { outputChannels * kernelHeight * kernelWidth * (inputChannels / groups) }
  public var inputCount: Int { batch * inputHeight * inputWidth * inputChannels }
  public var outputCount: Int { batch * outputHeight * outputWidth * outputChannels }
  /// Multiply-adds of one image's forward pass, padding included, as FLOP counters do.
  public var macs: Int { outputHeight * outputWidth * weightCount }

  var c: sq_conv {
    sq_conv(
      batch: Int32(batch), in_height: Int32(inputHeight), in_width: Int32(inputWidth),
      in_channels: Int32(inputChannels), out_height: Int32(outputHeight), out_width: Int32(outputWidth),
      out_channels: Int32(outputChannels), kernel_height: Int32(kernelHeight), kernel_width: Int32(kernelWidth),
      stride_y: Int32(stride), stride_x: Int32(stride), pad_top: Int32(padding), pad_left: Int32(padding),
      groups: Int32(groups))
  }
}

/// One convolution of a network with its packed weights and index: plans its memory once, then runs without allocating.
public final class ConvolutionOperator {
  public let shape: ConvolutionShape
  private let context: ComputeContext
  private let c: sq_conv
  /// The same with a piece's images as its batch.
  private let cPiece: sq_conv
  private let packedForward: Buffer<Float>
  private let packedBackward: Buffer<Float>
  private var packedInteger = Buffer<UInt8>(count: 0)
  private var sparseIndex = Buffer<UInt8>(count: 0)
  private let weightGradientSlices: Int
  private let imagesPerPiece: Int

  /// Partial weight gradients may take at most this many floats together; big layers are cut into fewer slices.
  private static let partialBudget = 16 << 20
  /// Floats of output gradient that are worked on at a time: a quarter of a core's second-level cache or less.
  private static let pieceBudget = 64 << 10

  public init(shape: ConvolutionShape, context: ComputeContext) {
    precondition(shape.outputChannels <= ComputeContext.maximumChannels, "too many channels")
    self.shape = shape
    self.context = context
    c = shape.c
    packedForward = withUnsafePointer(to: c) { Buffer(count: context.convolution.forward_packed_count($0)) }
    packedBackward = withUnsafePointer(to: c) { Buffer(count: context.convolution.backward_input_packed_count($0)) }
    weightGradientSlices = max(
      1, min(ComputeContext.slices(of: shape.batch), Self.partialBudget / shape.weightCount))
    let imagesPerSlice = (shape.batch + weightGradientSlices - 1) / weightGradientSlices
    imagesPerPiece = max(1, min(imagesPerSlice, Self.pieceBudget / (shape.outputCount / shape.batch)))
    var piece = c
    piece.batch = Int32(imagesPerPiece)
    cPiece = piece
    let scratch = withUnsafePointer(to: c) {
      max(context.convolution.scratch_bytes($0), context.integerConvolution.scratch_bytes($0))
    }
    context.reserveScratch(
      bytes: max(scratch, withUnsafePointer(to: cPiece) { context.sparseGradient.scratch_bytes($0) }))
    context.reservePartials(count: weightGradientSlices * shape.weightCount)
    context.reservePieces(
      gradient: min(imagesPerPiece, shape.batch) * (shape.outputCount / shape.batch), weights: shape.weightCount)
  }

  private func overImages(
    _ images: Int, slices: Int? = nil,
    _ body: (_ slice: Int, _ range: Range<Int>, _ scratch: UnsafeMutableRawPointer, _ worker: Int) -> Void
  ) {
    precondition(images >= 1 && images <= shape.batch)
    let slices = min(slices ?? ComputeContext.maximumSlices, ComputeContext.slices(of: images))
    context.pool.run(slices) { slice, worker in
      body(
        slice, ComputeContext.slice(slice, of: slices, count: images),
        UnsafeMutableRawPointer(context.scratch[worker].pointer), worker)
    }
  }

  // MARK: Forward

  public func pack(weights: Buffer<Float>) {
    precondition(weights.count == shape.weightCount)
    withUnsafePointer(to: c) { context.convolution.forward_pack($0, weights.pointer, packedForward.pointer) }
  }

  /// `sums`: where given, receives per slice the sums of each output channel's values and squares.
  public func forward(
    input: Buffer<Float>, bias: Buffer<Float>?, output: Buffer<Float>, images: Int, sums: ChannelSums?
  ) {
    precondition(input.count >= shape.inputCount && output.count >= shape.outputCount)
    sums?.prepare(channels: shape.outputChannels, slices: ComputeContext.slices(of: images))
    overImages(images) { slice, range, scratch, _ in
      withUnsafePointer(to: c) {
        context.convolution.forward(
          $0, input.pointer, packedForward.pointer, bias?.pointer, output.pointer, sums?.slice(slice),
          Int32(range.lowerBound), Int32(range.count), scratch)
      }
    }
  }

  /// Whether levels up to these magnitudes can be convolved exactly in integers.
  public func supportsIntegers(maximumInput: Int, maximumWeight: Int) -> Bool {
    withUnsafePointer(to: c) {
      context.integerConvolution.supports($0, Int32(maximumInput), Int32(maximumWeight)) != 0
    }
  }

  public func pack(levels: Buffer<Int8>, maximumInput: Int, maximumWeight: Int) {
    precondition(levels.count == shape.weightCount)
    withUnsafePointer(to: c) {
      let bytes = context.integerConvolution.packed_bytes($0, Int32(maximumInput), Int32(maximumWeight))
      if packedInteger.count < bytes { packedInteger = Buffer(count: bytes) }
      context.integerConvolution.pack(
        $0, levels.pointer, Int32(maximumInput), Int32(maximumWeight), packedInteger.pointer)
    }
  }

  /// output = scale · (input levels ∗ weight levels) + bias, the sums exact.
  public func forward(
    levels: Buffer<UInt8>, maximumInput: Int, maximumWeight: Int, scale: Float, bias: Buffer<Float>?,
    output: Buffer<Float>, images: Int, sums: ChannelSums?
  ) {
    precondition(levels.count >= shape.inputCount && output.count >= shape.outputCount)
    sums?.prepare(channels: shape.outputChannels, slices: ComputeContext.slices(of: images))
    overImages(images) { slice, range, scratch, _ in
      withUnsafePointer(to: c) {
        context.integerConvolution.forward(
          $0, levels.pointer, packedInteger.pointer, Int32(maximumInput), Int32(maximumWeight), scale, bias?.pointer,
          output.pointer, nil, sums?.slice(slice), Int32(range.lowerBound), Int32(range.count), scratch)
      }
    }
  }

  // MARK: Backward

  /// What the weight gradient is formed from: the layer's input as floats, or as quantization levels.
  public enum Input {
    case floats(Buffer<Float>)
    case levels(Buffer<UInt8>)
  }

  /// Seconds that the parts of a backward pass took.
  public struct BackwardSeconds {
    public var normalization = 0.0
    public var inputGradient = 0.0
    public var weightGradient = 0.0
  }

  /// The gradients of the input (where `inputGradient` is given) and of the weights, times `scale`.
  ///
  /// The batch is worked through in pieces whose output gradient stays in the cache between the uses of it.
  /// - Parameters:
  ///   - weights: as `inputGradient` needs them.
  ///   - collection: what is to become of the input gradient, done for each piece as soon as it is known.
  ///   - scale: of the weight gradient; one level's value where the input is given as levels.
  ///   - sparse: only the gradients of the weights last indexed, the others are set to 0.
  @discardableResult
  public func backward(
    outputGradient: OutputGradient, weights: Buffer<Float>, inputGradient: Buffer<Float>?,
    collection: NormalizationGradient? = nil, input: Input, weightGradient: Buffer<Float>, scale: Float, images: Int,
    sparse: Bool
  ) -> BackwardSeconds {
    precondition(weights.count == shape.weightCount && weightGradient.count == shape.weightCount)
    precondition((inputGradient?.count ?? shape.inputCount) >= shape.inputCount)
    let start = ComputeContext.now()
    if inputGradient != nil {
      withUnsafePointer(to: c) { context.convolution.backward_input_pack($0, weights.pointer, packedBackward.pointer) }
    }
    let slices = min(weightGradientSlices, ComputeContext.slices(of: images))
    let count = shape.weightCount
    let seconds = context.partialSums.pointer
    for index in 0..<3 * slices { seconds[index] = 0 }
    collection?.sums.reset(slices: slices)
    overImages(images, slices: slices) { slice, range, scratch, worker in
      let partial = context.partials.pointer + slice * count
      let pieceSum = context.pieceSums[worker].pointer
      if sparse { partial.update(repeating: 0, count: count) }
      var first = range.lowerBound
      while first < range.upperBound {
        let piece = first..<min(first + imagesPerPiece, range.upperBound)
        let begin = ComputeContext.now()
        let gradient = pieceGradient(outputGradient, piece, worker)
        let affine = ComputeContext.now()
        if let inputGradient {
          withUnsafePointer(to: c) {
            context.convolution.backward_input(
              $0, gradient, packedBackward.pointer, inputGradient.pointer, Int32(first), Int32(piece.count), scratch)
          }
        }
        let middle = ComputeContext.now()
        if let collection { context.normalizeBackward(collection, images: piece, slice: slice) }
        let collected = ComputeContext.now()
        if sparse || piece.lowerBound == range.lowerBound {
          backwardWeight(input, gradient, piece, sparse, into: partial, scratch)
        } else {
          backwardWeight(input, gradient, piece, sparse, into: pieceSum, scratch)
          for index in 0..<count { partial[index] += pieceSum[index] }
        }
        let end = ComputeContext.now()
        seconds[3 * slice] += affine - begin + collected - middle
        seconds[3 * slice + 1] += middle - affine
        seconds[3 * slice + 2] += end - collected
        first = piece.upperBound
      }
    }
    var parts = (0.0, 0.0, 0.0)
    for slice in 0..<slices {
      parts.0 += seconds[3 * slice]
      parts.1 += seconds[3 * slice + 1]
      parts.2 += seconds[3 * slice + 2]
    }
    addPartials(slices: slices, into: weightGradient, scale: scale)
    // The threads' time by part, in proportion to the whole's wall time.
    let share = (ComputeContext.now() - start) / max(parts.0 + parts.1 + parts.2, .leastNormalMagnitude)
    return BackwardSeconds(
      normalization: parts.0 * share, inputGradient: parts.1 * share, weightGradient: parts.2 * share)
  }

  /// The gradient of the input alone.
  public func backwardInput(
    weights: Buffer<Float>, outputGradient: Buffer<Float>, inputGradient: Buffer<Float>, images: Int
  ) {
    precondition(weights.count == shape.weightCount)
    precondition(outputGradient.count >= shape.outputCount && inputGradient.count >= shape.inputCount)
    withUnsafePointer(to: c) { context.convolution.backward_input_pack($0, weights.pointer, packedBackward.pointer) }
    overImages(images) { _, range, scratch, _ in
      withUnsafePointer(to: c) {
        context.convolution.backward_input(
          $0, outputGradient.pointer, packedBackward.pointer, inputGradient.pointer, Int32(range.lowerBound),
          Int32(range.count), scratch)
      }
    }
  }

  /// A pointer that the images of `piece` can be found at by their place in the batch.
  private func pieceGradient(
    _ gradient: OutputGradient, _ piece: Range<Int>, _ worker: Int
  ) -> UnsafeMutablePointer<Float> {
    switch gradient {
    case .buffer(let buffer):
      precondition(buffer.count >= shape.outputCount)
      return buffer.pointer
    case .batchNorm(let x, let y, let a, let b, let d):
      let rows = shape.outputHeight * shape.outputWidth
      let target = context.pieces[worker].pointer - piece.lowerBound * rows * shape.outputChannels
      context.normalization.channel_affine(
        x.pointer, y.pointer, a.pointer, b.pointer, d.pointer, target, Int32(shape.outputChannels),
        Int64(piece.lowerBound * rows), Int64(piece.count * rows))
      return target
    }
  }

  /// The sparse gradient is added to `result`, the dense one overwrites it.
  private func backwardWeight(
    _ input: Input, _ gradient: UnsafeMutablePointer<Float>, _ images: Range<Int>, _ sparse: Bool,
    into result: UnsafeMutablePointer<Float>, _ scratch: UnsafeMutableRawPointer
  ) {
    let first = Int32(images.lowerBound)
    let count = Int32(images.count)
    withUnsafePointer(to: sparse ? cPiece : c) { c in
      switch (input, sparse) {
      case (.floats(let input), false):
        context.convolution.backward_weight(c, input.pointer, gradient, result, first, count, scratch)
      case (.levels(let input), false):
        context.convolution.backward_weight_u8(c, input.pointer, gradient, result, first, count, scratch)
      case (.floats(let input), true):
        context.sparseGradient.backward_weight(
          c, input.pointer, gradient, sparseIndex.pointer, result, first, count, scratch)
      case (.levels(let input), true):
        context.sparseGradient.backward_weight_u8(
          c, input.pointer, gradient, sparseIndex.pointer, result, first, count, scratch)
      }
    }
  }

  private func addPartials(slices: Int, into result: Buffer<Float>, scale: Float) {
    let count = shape.weightCount
    let partials = context.partials.pointer
    let total = result.pointer
    let tasks = count < 1 << 14 ? 1 : 8
    context.pool.run(tasks) { task, _ in
      for index in ComputeContext.slice(task, of: tasks, count: count) {
        var sum = partials[index]
        for slice in 1..<max(slices, 1) { sum += partials[slice * count + index] }
        total[index] = sum * scale
      }
    }
  }

  /// Indexes the weights that `frozen` (one byte a weight, nonzero = frozen) leaves to be computed.
  public func index(frozen: Buffer<UInt8>) {
    precondition(frozen.count == shape.weightCount)
    withUnsafePointer(to: cPiece) {
      let bytes = context.sparseGradient.index_bytes($0)
      if sparseIndex.count < bytes { sparseIndex = Buffer(count: bytes) }
      context.sparseGradient.index_build($0, frozen.pointer, sparseIndex.pointer)
    }
  }
}

/// The gradient of a convolution's output.
public enum OutputGradient {
  case buffer(Buffer<Float>)
  /// Batch norm's second backward pass, a[c]·x + b[c]·y + d[c], computed where it is used.
  case batchNorm(x: Buffer<Float>, y: Buffer<Float>, a: Buffer<Float>, b: Buffer<Float>, d: Buffer<Float>)
}

/// Per-slice sums of a tensor's channels, added up in the slices' order.
public final class ChannelSums {
  private let buffer: Buffer<Double>
  private var channels = 0
  private var slices = 0

  public init(channels: Int) {
    buffer = Buffer(count: ComputeContext.maximumSlices * 2 * channels)
  }

  func prepare(channels: Int, slices: Int) {
    precondition(ComputeContext.maximumSlices * 2 * channels <= buffer.count)
    self.channels = channels
    self.slices = slices
  }

  func slice(_ index: Int) -> UnsafeMutablePointer<Double> { buffer.pointer + index * 2 * channels }

  /// The two sums of a channel.
  public subscript(channel: Int) -> (Double, Double) {
    precondition(channel < channels)
    var first = 0.0
    var second = 0.0
    for slice in 0..<slices {
      first += buffer.pointer[slice * 2 * channels + channel]
      second += buffer.pointer[slice * 2 * channels + channels + channel]
    }
    return (first, second)
  }
}
