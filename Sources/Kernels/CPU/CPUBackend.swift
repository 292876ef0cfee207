import CKernels
public import Tensor

/// The C kernels of one instruction set on the threads of a pool.
///
/// Sums over a batch are formed by slices and added up as `BatchTree` has it, so results do not depend on the number of
/// threads.
public final class CPUBackend: Backend {
  /// Available on this machine.
  public let instructionSet: InstructionSet
  /// Of this backend alone: its operations run here, so none may be called from within a task.
  public let pool: ThreadPool
  /// Those among which a batch's images are divided.
  public let processes: any Communicator
  let convolution: sq_convolution_kernels
  let integerConvolution: sq_integer_convolution_kernels
  let sparseGradient: sq_sparse_weight_gradient_kernels
  let integerGradient: sq_integer_weight_gradient_kernels
  let normalization: sq_normalization_kernels
  let quantization: sq_quantization_kernels
  let pooling: sq_pooling_kernels

  private(set) var scratch: [Buffer<UInt8>]
  /// Weight gradients of the nodes of the batch's tree that are one task each, then those that each thread has still to add.
  private(set) var partials = Buffer<Float>(count: 0)
  /// Per thread: a piece of a convolution's output gradient.
  private(set) var pieces: [Buffer<Float>]

  /// A convolution's output gradient, where blocks of channels are tasks of their own.
  private(set) var gradient = Buffer<Float>(count: 0)

  /// Three numbers of each slice, for `rangeStatistics`.
  let rangePartials = Buffer<Double>(count: 3 * BatchTree.maximumLeaves)
  /// Of each task of a convolution's backward pass.
  private(set) var taskSeconds = Buffer<BackwardSeconds>(count: 0)

  /// Filled by `measure` and `add` from the thread that drives the training, not by operations.
  public let clock = StepClock()

  /// Starts `threads` − 1 threads, which end with the backend; `Shortage` ends the program where they cannot be had.
  /// - Precondition: `threads` is at least 1, and the instruction set is available.
  public init(threads: Int, instructionSet: InstructionSet = .best, processes: any Communicator = NoMPI()) {
    precondition(instructionSet.isAvailable, "this machine has no \(instructionSet.rawValue)")
    self.processes = processes
    self.instructionSet = instructionSet
    pool = ThreadPool(threads: threads)
    let kernels = sq_kernels_for(instructionSet.code).pointee
    convolution = kernels.convolution
    integerConvolution = kernels.integer_convolution
    sparseGradient = kernels.sparse_weight_gradient
    integerGradient = kernels.integer_weight_gradient
    normalization = kernels.normalization
    quantization = kernels.quantization
    pooling = kernels.pooling
    scratch = (0..<threads).map { _ in Buffer(count: 0) }
    pieces = (0..<threads).map { _ in Buffer(count: 0) }
  }

  /// The instruction set's raw value: "avx2", for example.
  public var arithmeticName: String { instructionSet.rawValue }

  /// Aligned to 64 bytes; `Shortage` ends the program where memory is lacking.
  public func allocate<Element: BitwiseCopyable>(_ type: Element.Type, count: Int) -> Buffer<Element> {
    Buffer(count: count)
  }

  /// A `CPUConvolution`. It holds on to this backend, whose scratch memory grows to what it needs. Several groups of channels
  /// have weight gradients in floats alone.
  public func makeConvolution(_ shape: ConvolutionShape, gradients: LevelGradients) -> any ConvolutionOperation {
    CPUConvolution(shape: shape, gradients: gradients, backend: self)
  }

  /// Every sum must fit 32 bits; vector kernels also decline narrow groups of more than one channel, for which floats
  /// remain.
  public func supportsIntegers(_ shape: ConvolutionShape, maximumInput: Int, maximumWeight: Int) -> Bool {
    withUnsafePointer(to: shape.c) {
      integerConvolution.supports($0, Int32(maximumInput), Int32(maximumWeight)) != 0
    }
  }

  /// 64 MiB at most, unless a layer's channels cannot be divided so far.
  public var partialSumBytes: Int { MemoryLayout<Float>.stride * partials.count }

  func reserveScratch(bytes: Int) {
    if scratch[0].count < bytes { scratch = scratch.map { _ in Buffer(count: bytes) } }
  }

  func reservePartials(count: Int) {
    if partials.count < count { partials = Buffer(count: count) }
  }

  func reserveGradient(count: Int) {
    if gradient.count < count { gradient = Buffer(count: count) }
  }

  func reserveTaskSeconds(tasks: Int) {
    if taskSeconds.count < tasks { taskSeconds = Buffer(count: tasks) }
  }

  func reservePieces(gradient: Int) {
    if pieces[0].count < gradient { pieces = pieces.map { _ in Buffer(count: gradient) } }
  }

  /// One task for each slice of a batch that is this process's.
  func overLeaves(_ images: Int, _ body: (_ slice: Int, _ images: Range<Int>, _ worker: Int) -> Void) {
    let share = BatchShare(images: images, of: processes)
    pool.run(share.leaves.count) { task, worker in
      let slice = share.leaves.lowerBound + task
      body(slice, share.tree[slice], worker)
    }
  }

  /// For work without sums: tasks of images, more than there are slices where many threads wait for them.
  func overImages(_ images: Int, _ body: (_ images: Range<Int>, _ worker: Int) -> Void) {
    let tree = BatchTree(images: images)
    let own = tree.images(of: processes)
    let (first, count) = (own.lowerBound, own.count)
    let tasks = min(count, max(tree.leaves(of: processes).count, 4 * pool.threads))
    pool.run(tasks) { task, worker in
      body(first + count * task / tasks..<first + count * (task + 1) / tasks, worker)
    }
  }
}
