import CKernels
@_spi(Kernels) public import Tensor

/// One convolution of a network with its packed weights and index: plans its memory once, then runs without allocating.
public final class CPUConvolution: ConvolutionOperation {
  /// Its `batch` is the most images of a call.
  public let shape: ConvolutionShape
  let backend: CPUBackend
  let c: sq_conv
  private let packedForward: Buffer<Float>
  let packedBackward: Buffer<Float>
  private var packedInteger = Buffer<UInt8>(count: 0)
  /// Weights whose gradients are not sent to other processes.
  public var unread: Buffer<UInt8>?
  var unfrozen = UnfrozenWeights(frozen: Buffer(count: 0))
  /// The output channels: together, or in blocks whose weight gradients are formed by themselves.
  let blocks: [ChannelBlock]
  let tasks: BackwardTasks
  let imagesPerPiece: Int
  /// The largest level where weight gradients from levels are formed in integers; nil: in floats.
  let integerMaximum: Int32?

  /// Floats of output gradient that are worked on at a time: a quarter of a core's second-level cache or less, unless there are
  /// so many weights that a pass over their sums for every piece would cost more.
  private static let pieceBudget = 64 << 10

  /// Grows the backend's scratch memory, which its convolutions share: two operations must not run at once.
  public init(shape: ConvolutionShape, gradients: LevelGradients = .float32, backend: CPUBackend) {
    self.shape = shape
    self.backend = backend
    c = shape.c
    packedForward = withUnsafePointer(to: c) { Buffer(count: backend.convolution.forward_packed_count($0)) }
    packedBackward = withUnsafePointer(to: c) { Buffer(count: backend.convolution.backward_input_packed_count($0)) }
    let pieceBudget = max(Self.pieceBudget, shape.weightCount / 4)
    imagesPerPiece = max(1, min(shape.batch, pieceBudget / (shape.outputCount / shape.batch)))
    let tree = BatchTree(images: shape.batch)
    let (c, imagesPerPiece) = (c, imagesPerPiece)
    let integerMaximum: Int32? =
      if case .int16(let maximum) = gradients,
        withUnsafePointer(to: c, { backend.integerGradient.supports($0, Int32(maximum)) != 0 })
      { Int32(maximum) } else { nil }
    self.integerMaximum = integerMaximum
    let own = tree.leaves(of: backend.processes).count
    tasks = BackwardTasks(
      weights: shape.weightCount, channels: shape.outputChannels, groups: shape.groups, leaves: own,
      threads: backend.pool.threads)
    let tasks = tasks
    blocks = (0..<tasks.blocks).map { block in
      ChannelBlock(of: c, block: block, among: tasks.blocks, images: min(imagesPerPiece, tree.largestSlice))
    }
    backend.reserveScratch(
      bytes: withUnsafePointer(to: c) {
        max(backend.convolution.scratch_bytes($0), backend.integerConvolution.scratch_bytes($0))
      })
    for block in blocks {
      withUnsafePointer(to: block.c) { backend.reserveScratch(bytes: backend.convolution.scratch_bytes($0)) }
      withUnsafePointer(to: block.cPart) { part in
        backend.reserveScratch(bytes: backend.sparseGradient.scratch_bytes(part))
        guard let integerMaximum else { return }
        let most = Int32(min(imagesPerPiece, BatchTree.largestSlice(upTo: shape.batch)))
        backend.reserveScratch(bytes: backend.integerGradient.scratch_bytes(part, integerMaximum, most))
      }
    }
    backend.reservePartials(count: tasks.floats)
    backend.reservePieces(gradient: imagesPerPiece * (shape.outputCount / shape.batch))
    if tasks.blocks > 1 { backend.reserveGradient(count: shape.outputCount) }
    backend.reserveTaskSeconds(tasks: tasks.nodes * tasks.blocks + own)
  }

  /// One task a slice of the batch where sums are formed, else as many as there is work for.
  func overImages(
    _ images: Int, sums: ChannelSums?,
    _ body: (_ images: Range<Int>, _ sums: UnsafeMutablePointer<Double>?, _ scratch: UnsafeMutableRawPointer) -> Void
  ) {
    precondition(images >= 1 && images <= shape.batch)
    guard let sums else {
      backend.overImages(images) { body($0, nil, scratch($1)) }
      return
    }
    sums.prepare(channels: shape.outputChannels, BatchShare(images: images, of: backend.processes))
    backend.overLeaves(images) { slice, images, worker in
      body(images, sums.slice(slice), scratch(worker))
    }
  }

  /// Of a thread's tasks, for one kernel at a time.
  func scratch(_ worker: Int) -> UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(backend.scratch[worker].pointer)
  }

  // MARK: Forward

  /// Copies them: a later change of `weights` has to be packed again. In the layout of `ConvolutionShape`.
  public func pack(weights: Buffer<Float>) {
    precondition(weights.count == shape.weightCount)
    withUnsafePointer(to: c) { backend.convolution.forward_pack($0, weights.pointer, packedForward.pointer) }
  }

  /// Overwrites the first `images` images of `output`. `bias`: one an output channel; nil: 0.
  /// - Precondition: `pack(weights:)` was called, and 1 ≤ `images` ≤ the shape's batch.
  public func forward(
    input: Buffer<Float>, bias: Buffer<Float>?, output: Buffer<Float>, images: Int, sums: ChannelSums?
  ) {
    precondition(input.count >= shape.inputCount && output.count >= shape.outputCount)
    overImages(images, sums: sums) { range, sums, scratch in
      withUnsafePointer(to: c) {
        backend.convolution.forward(
          $0, input.pointer, packedForward.pointer, bias?.pointer, output.pointer, sums,
          Int32(range.lowerBound), Int32(range.count), scratch)
      }
    }
  }

  /// Copies them. The maxima bound the levels' magnitudes and choose the kernel; `supportsIntegers` has to accept them.
  public func pack(levels: Buffer<Int8>, maximumInput: Int, maximumWeight: Int) {
    precondition(levels.count == shape.weightCount)
    withUnsafePointer(to: c) {
      let bytes = backend.integerConvolution.packed_bytes($0, Int32(maximumInput), Int32(maximumWeight))
      if packedInteger.count < bytes { packedInteger = Buffer(count: bytes) }
      backend.integerConvolution.pack(
        $0, levels.pointer, Int32(maximumInput), Int32(maximumWeight), packedInteger.pointer)
    }
  }

  /// Overwrites the first `images` images of `output`; `sums` are of that, scale and bias included.
  /// - Precondition: `pack(levels:maximumInput:maximumWeight:)` was called with the same maxima.
  public func forward(
    levels: Buffer<UInt8>, maximumInput: Int, maximumWeight: Int, scale: Float, bias: Buffer<Float>?,
    output: ConvolutionOutput, images: Int, sums: ChannelSums?
  ) {
    var floats: UnsafeMutablePointer<Float>?
    var shortSums: UnsafeMutablePointer<Int16>?
    switch output {
    case .floats(let buffer): floats = buffer.pointer
    case .sums(let buffer, let unit):
      precondition(bias == nil && shape.sumsFit16Bits(maximumInput: maximumInput, maximumWeight: maximumWeight))
      shortSums = buffer.pointer
      unit[0] = scale
    }
    precondition(levels.count >= shape.inputCount && output.count >= shape.outputCount)
    overImages(images, sums: sums) { range, sums, scratch in
      withUnsafePointer(to: c) {
        backend.integerConvolution.forward(
          $0, levels.pointer, packedInteger.pointer, Int32(maximumInput), Int32(maximumWeight), scale, bias?.pointer,
          floats, nil, shortSums, sums, Int32(range.lowerBound), Int32(range.count), scratch)
      }
    }
  }
}
