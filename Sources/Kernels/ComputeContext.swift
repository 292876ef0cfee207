import CKernels
public import Tensor

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The parts of a training step that seconds are kept for.
public enum StepPart: Int, CaseIterable, Sendable {
  case forward, inputGradient, weightGradient, normalizationAndQuantization, optimizer, data
}

/// What kernels run on: an instruction set, threads, and memory that they share.
///
/// Work over a batch is cut into `slices(of:)`, which depend on the batch alone; sums are formed per slice and added up
/// in the slices' order, so results do not depend on the number of threads.
public final class ComputeContext {
  public let instructionSet: InstructionSet
  public let pool: ThreadPool
  let convolution: sq_convolution_kernels
  let integerConvolution: sq_integer_convolution_kernels
  let sparseGradient: sq_sparse_weight_gradient_kernels
  let normalization: sq_normalization_kernels
  let quantization: sq_quantization_kernels
  let pooling: sq_pooling_kernels

  private(set) var scratch: [Buffer<UInt8>]
  private(set) var partials = Buffer<Float>(count: 0)
  let partialSums: Buffer<Double>
  /// Per thread: a piece of a convolution's output gradient, and the weight gradient from it.
  private(set) var pieces: [Buffer<Float>]
  private(set) var pieceSums: [Buffer<Float>]

  /// Seconds by part since the last `resetSeconds()`.
  public private(set) var seconds = [Double](repeating: 0, count: StepPart.allCases.count)

  /// Most slices a batch is cut into.
  public static let maximumSlices = 8
  /// Most channels a per-slice sum is kept for.
  public static let maximumChannels = 8192

  public init(threads: Int, instructionSet: InstructionSet = .best) {
    precondition(instructionSet.isAvailable, "this machine has no \(instructionSet.rawValue)")
    self.instructionSet = instructionSet
    pool = ThreadPool(threads: threads)
    let kernels = sq_kernels_for(instructionSet.code).pointee
    convolution = kernels.convolution
    integerConvolution = kernels.integer_convolution
    sparseGradient = kernels.sparse_weight_gradient
    normalization = kernels.normalization
    quantization = kernels.quantization
    pooling = kernels.pooling
    scratch = (0..<threads).map { _ in Buffer(count: 0) }
    pieces = (0..<threads).map { _ in Buffer(count: 0) }
    pieceSums = (0..<threads).map { _ in Buffer(count: 0) }
    partialSums = Buffer(count: Self.maximumSlices * 2 * Self.maximumChannels)
  }

  /// The piece of `count` items that slice `index` of `of` covers.
  public static func slice(_ index: Int, of slices: Int, count: Int) -> Range<Int> {
    (count * index / slices)..<(count * (index + 1) / slices)
  }

  /// Into how many slices a batch of `images` is cut.
  public static func slices(of images: Int) -> Int { max(1, min(maximumSlices, images)) }

  func reserveScratch(bytes: Int) {
    if scratch[0].count < bytes { scratch = scratch.map { _ in Buffer(count: bytes) } }
  }

  func reservePartials(count: Int) {
    if partials.count < count { partials = Buffer(count: count) }
  }

  func reservePieces(gradient: Int, weights: Int) {
    if pieces[0].count < gradient { pieces = pieces.map { _ in Buffer(count: gradient) } }
    if pieceSums[0].count < weights { pieceSums = pieceSums.map { _ in Buffer(count: weights) } }
  }

  /// Adds seconds that were measured elsewhere.
  public func add(_ elapsed: Double, to part: StepPart) { seconds[part.rawValue] += elapsed }

  /// Runs `body` and adds its wall time to `part`; returns the seconds it took.
  @discardableResult
  public func measure(_ part: StepPart, _ body: () throws -> Void) rethrows -> Double {
    let start = Self.now()
    try body()
    let elapsed = Self.now() - start
    seconds[part.rawValue] += elapsed
    return elapsed
  }

  public func resetSeconds() {
    for index in seconds.indices { seconds[index] = 0 }
  }

  /// Monotonic seconds.
  public static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
