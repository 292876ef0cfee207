import CKernels
@_spi(Kernels) public import Tensor

/// One convolution of a network with its packed weights and index: plans its memory once, then runs without allocating.
public final class CPUConvolution: ConvolutionOperation {
  /// Its `batch` is the most images of a call.
  public let shape: ConvolutionShape
  private let backend: CPUBackend
  private let c: sq_conv
  /// The same with the images of a slice, or of a piece where that is smaller, as its batch.
  private let cPart: sq_conv
  private let packedForward: Buffer<Float>
  private let packedBackward: Buffer<Float>
  private var packedInteger = Buffer<UInt8>(count: 0)
  private var sparseIndex = Buffer<UInt8>(count: 0)
  /// Weights whose gradients are not sent to other processes.
  public var unread: Buffer<UInt8>?
  private var unfrozen = UnfrozenWeights(frozen: Buffer(count: 0))
  private let imagesPerPiece: Int
  /// The largest level where weight gradients from levels are formed in integers; nil: in floats.
  private let integerMaximum: Int32?

  /// Partial weight gradients may take so many floats together, unless the threads need more.
  private static let partialBudget = 16 << 20
  /// Floats of output gradient that are worked on at a time: a quarter of a core's second-level cache or less, unless there are
  /// so many weights that a pass over their sums for every piece would cost more.
  private static let pieceBudget = 64 << 10
  /// Weights whose partial gradients are added up in one task: for all tasks together a part of the first-level cache.
  private static let addedAtOnce = 2 << 10

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
    var part = c
    part.batch = Int32(min(imagesPerPiece, (tree.images + tree.leaves - 1) / tree.leaves))
    cPart = part
    let scratch = withUnsafePointer(to: c) {
      max(backend.convolution.scratch_bytes($0), backend.integerConvolution.scratch_bytes($0))
    }
    backend.reserveScratch(
      bytes: max(scratch, withUnsafePointer(to: cPart) { backend.sparseGradient.scratch_bytes($0) }))
    integerMaximum =
      if case .int16(let maximum) = gradients,
        withUnsafePointer(to: c, { backend.integerGradient.supports($0, Int32(maximum)) != 0 })
      { Int32(maximum) } else { nil }
    if let integerMaximum {
      let most = Int32(min(imagesPerPiece, BatchTree.largestSlice(upTo: shape.batch)))
      backend.reserveScratch(
        bytes: withUnsafePointer(to: cPart) { backend.integerGradient.scratch_bytes($0, integerMaximum, most) })
    }
    let tasks = gradientTasks(tree)
    backend.reservePartials(count: tasks * shape.weightCount)
    backend.reservePieces(
      gradient: imagesPerPiece * (shape.outputCount / shape.batch),
      sums: pendingSums(tree, tasks: tasks) * shape.weightCount)
  }

  /// How many nodes of this process's part of a batch's tree are one task each in the backward pass: enough for the threads to be equally busy, as few as
  /// that allows, since each has a weight gradient of its own.
  private func gradientTasks(_ tree: BatchTree) -> Int {
    let leaves = tree.leaves(of: backend.processes).count
    var tasks = 1
    while tasks < min(4 * backend.pool.threads, leaves) { tasks *= 2 }
    while tasks > backend.pool.threads && tasks * shape.weightCount > Self.partialBudget { tasks /= 2 }
    return min(tasks, leaves)
  }

  /// How many slices, a power of two, make a piece at most; 1 where a slice is larger.
  private func slicesAtOnce(_ tree: BatchTree, upTo most: Int) -> Int {
    let imagesOfSlice = (tree.images + tree.leaves - 1) / tree.leaves
    var slices = 1
    while 2 * slices <= most && 2 * slices * imagesOfSlice <= imagesPerPiece { slices *= 2 }
    return slices
  }

  /// How many weight gradients a thread has at most, beside the task's own, that are not yet added up: one a level of the task's
  /// part of the tree, and one for the pieces of a slice.
  private func pendingSums(_ tree: BatchTree, tasks: Int) -> Int {
    (tree.leaves(of: backend.processes).count / tasks).trailingZeroBitCount + 1
  }

  /// One task a slice of the batch where sums are formed, else as many as there is work for.
  private func overImages(
    _ images: Int, sums: ChannelSums?,
    _ body: (_ images: Range<Int>, _ sums: UnsafeMutablePointer<Double>?, _ scratch: UnsafeMutableRawPointer) -> Void
  ) {
    precondition(images >= 1 && images <= shape.batch)
    guard let sums else {
      backend.overImages(images) { body($0, nil, UnsafeMutableRawPointer(backend.scratch[$1].pointer)) }
      return
    }
    sums.prepare(channels: shape.outputChannels, BatchShare(images: images, of: backend.processes))
    backend.overLeaves(images) { slice, images, worker in
      body(images, sums.slice(slice), UnsafeMutableRawPointer(backend.scratch[worker].pointer))
    }
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

  // MARK: Backward

  /// Copies them: a later change of `weights` has to be packed again. In the layout of `ConvolutionShape`.
  public func packBackward(weights: Buffer<Float>) {
    precondition(weights.count == shape.weightCount)
    withUnsafePointer(to: c) { backend.convolution.backward_input_pack($0, weights.pointer, packedBackward.pointer) }
  }

  /// Overwrites both gradients. A piece is some slices of the batch, or a part of one. An input gradient needs `packBackward(weights:)` first, `sparse` `index(frozen:)`.
  /// - Returns: wall seconds, the threads' time by part in proportion.
  @discardableResult
  public func backward(
    outputGradient: OutputGradient, inputGradient: Buffer<Float>?, input: ConvolutionInput,
    weightGradient: Buffer<Float>, scale: Float, images: Int, sparse: Bool,
    eachPiece: (_ images: Range<Int>, _ slice: Int) -> Void = { _, _ in }
  ) -> BackwardSeconds {
    precondition(weightGradient.count == shape.weightCount)
    precondition((inputGradient?.count ?? shape.inputCount) >= shape.inputCount)
    let start = StepClock.now()
    precondition(images >= 1 && images <= shape.batch)
    let tree = BatchTree(images: images)
    let tasks = gradientTasks(tree)
    let own = tree.leaves(of: backend.processes)
    let leaves = own.count / tasks
    let slicesAtOnce = slicesAtOnce(tree, upTo: leaves)
    let count = shape.weightCount
    let needsWeightGradient = !sparse || unfrozen.count > 0
    let seconds = backend.taskSeconds.pointer
    seconds.update(repeating: 0, count: 3 * tasks)
    backend.pool.run(tasks) { task, worker in
      let scratch = UnsafeMutableRawPointer(backend.scratch[worker].pointer)
      func sums(_ waiting: Int) -> UnsafeMutablePointer<Float> {
        waiting == 0
          ? backend.partials.pointer + task * count : backend.pieceSums[worker].pointer + (waiting - 1) * count
      }
      let slices = own.lowerBound + task * leaves..<own.lowerBound + (task + 1) * leaves
      for group in stride(from: slices.lowerBound, to: slices.upperBound, by: slicesAtOnce) {
        let end = tree[group + slicesAtOnce - 1].upperBound
        var first = tree[group].lowerBound
        while first < end, needsWeightGradient || inputGradient != nil {
          let piece = first..<min(first + imagesPerPiece, end)
          let begin = StepClock.now()
          let gradient = pieceGradient(outputGradient, piece, worker)
          let affine = StepClock.now()
          if let inputGradient {
            withUnsafePointer(to: c) {
              backend.convolution.backward_input(
                $0, gradient, packedBackward.pointer, inputGradient.pointer, Int32(first), Int32(piece.count), scratch)
            }
          }
          seconds[3 * task] += affine - begin
          seconds[3 * task + 1] += StepClock.now() - affine
          for slice in group..<group + slicesAtOnce {
            let part = piece.clamped(to: tree[slice])
            let begin = StepClock.now()
            eachPiece(part, slice)
            let called = StepClock.now()
            seconds[3 * task] += called - begin
            guard needsWeightGradient else { continue }
            // Sums are added up like a binary counter: those that wait are the ones among the digits of `leaf`.
            let leaf = slice - slices.lowerBound
            var waiting = leaf.nonzeroBitCount
            let sum = sums(waiting)
            let begins = part.lowerBound == tree[slice].lowerBound
            if sparse && begins { unfrozen.clear(sum) }
            if sparse || begins {
              backwardWeight(input, gradient, part, sparse, into: sum, scratch)
            } else {
              backwardWeight(input, gradient, part, sparse, into: sums(waiting + 1), scratch)
              add(sums(waiting + 1), to: sum, sparse: false)
            }
            if part.upperBound == tree[slice].upperBound {
              for _ in 0..<(~leaf).trailingZeroBitCount {
                add(sums(waiting), to: sums(waiting - 1), sparse: sparse)
                waiting -= 1
              }
            }
            seconds[3 * task + 2] += StepClock.now() - called
          }
          first = piece.upperBound
        }
      }
    }
    var parts = (0.0, 0.0, 0.0)
    for task in 0..<tasks {
      parts.0 += seconds[3 * task]
      parts.1 += seconds[3 * task + 1]
      parts.2 += seconds[3 * task + 2]
    }
    addPartials(tasks, of: tree, into: weightGradient, scale: scale, sparse: sparse)
    // The threads' time by part, in proportion to the whole's wall time.
    let share = (StepClock.now() - start) / max(parts.0 + parts.1 + parts.2, .leastNormalMagnitude)
    return BackwardSeconds(
      normalization: parts.0 * share, inputGradient: parts.1 * share, weightGradient: parts.2 * share)
  }

  /// The gradient of the input alone; needs `packBackward(weights:)` first.
  public func backwardInput(outputGradient: Buffer<Float>, inputGradient: Buffer<Float>, images: Int) {
    precondition(outputGradient.count >= shape.outputCount && inputGradient.count >= shape.inputCount)
    overImages(images, sums: nil) { range, _, scratch in
      withUnsafePointer(to: c) {
        backend.convolution.backward_input(
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
    case .affine(let affine):
      let rows = shape.outputHeight * shape.outputWidth
      let target = backend.pieces[worker].pointer - piece.lowerBound * rows * shape.outputChannels
      backend.normalization.channel_affine(
        affine.x.pointer, affine.y.c, affine.a.pointer, affine.b.pointer, affine.d.pointer, target,
        Int32(shape.outputChannels),
        Int64(piece.lowerBound * rows), Int64(piece.count * rows))
      return target
    }
  }

  /// The sparse gradient is added to `result`, the dense one overwrites it.
  private func backwardWeight(
    _ input: ConvolutionInput, _ gradient: UnsafeMutablePointer<Float>, _ images: Range<Int>, _ sparse: Bool,
    into result: UnsafeMutablePointer<Float>, _ scratch: UnsafeMutableRawPointer
  ) {
    let first = Int32(images.lowerBound)
    let count = Int32(images.count)
    if let integerMaximum, case .levels(let levels) = input {
      withUnsafePointer(to: cPart) {
        if sparse {
          backend.integerGradient.backward_unfrozen(
            $0, levels.pointer, integerMaximum, gradient, sparseIndex.pointer, result, first, count, scratch)
        } else {
          backend.integerGradient.backward_weight(
            $0, levels.pointer, integerMaximum, gradient, result, first, count, scratch)
        }
      }
      return
    }
    withUnsafePointer(to: sparse ? cPart : c) { c in
      switch (input, sparse) {
      case (.floats(let input), false):
        backend.convolution.backward_weight(c, input.pointer, gradient, result, first, count, scratch)
      case (.levels(let input), false):
        backend.convolution.backward_weight_u8(c, input.pointer, gradient, result, first, count, scratch)
      case (.floats(let input), true):
        backend.sparseGradient.backward_weight(
          c, input.pointer, gradient, sparseIndex.pointer, result, first, count, scratch)
      case (.levels(let input), true):
        backend.sparseGradient.backward_weight_u8(
          c, input.pointer, gradient, sparseIndex.pointer, result, first, count, scratch)
      }
    }
  }

  private func add(_ other: UnsafeMutablePointer<Float>, to sum: UnsafeMutablePointer<Float>, sparse: Bool) {
    if sparse, let listed = unfrozen.listed {
      for index in listed { sum[Int(index)] += other[Int(index)] }
    } else {
      for index in 0..<shape.weightCount { sum[index] += other[index] }
    }
  }

  /// The top of the tree: adds up the tasks' sums, which are used up, and those of other processes.
  private func addPartials(_ tasks: Int, of tree: BatchTree, into result: Buffer<Float>, scale: Float, sparse: Bool) {
    let count = shape.weightCount
    let partials = backend.partials.pointer
    let total = result.pointer
    if sparse, let listed = unfrozen.listed {
      for index in listed.lazy.map(Int.init) {
        BatchTree.addUp(partials, rows: tasks, stride: count, columns: index..<index + 1)
      }
      addOtherProcesses(to: partials, of: tree, sparse: true)
      total.update(repeating: 0, count: count)
      for index in listed.lazy.map(Int.init) { total[index] = partials[index] * scale }
      return
    }
    let isAlone = backend.processes.size == 1
    func overWeights(_ body: (Range<Int>) -> Void) {
      backend.pool.run((count + Self.addedAtOnce - 1) / Self.addedAtOnce) { piece, _ in
        body(piece * Self.addedAtOnce..<min((piece + 1) * Self.addedAtOnce, count))
      }
    }
    overWeights { columns in
      BatchTree.addUp(partials, rows: tasks, stride: count, columns: columns)
      if isAlone { for index in columns { total[index] = partials[index] * scale } }
    }
    if isAlone { return }
    addOtherProcesses(to: partials, of: tree, sparse: sparse)
    overWeights { columns in for index in columns { total[index] = partials[index] * scale } }
  }

  /// Adds the other processes' gradients to this one's; only those of weights that train are sent.
  private func addOtherProcesses(to sums: UnsafeMutablePointer<Float>, of tree: BatchTree, sparse: Bool) {
    let processes = backend.processes
    guard processes.size > 1 else { return }
    let mask = sparse ? unfrozen.frozen : unread
    guard let mask = mask?.pointer else {
      processes.addUp(UnsafeMutableBufferPointer(start: sums, count: shape.weightCount), of: tree)
      return
    }
    let sent = (0..<shape.weightCount).filter { mask[$0] == 0 }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: sent.count) { values in
      for (place, index) in sent.enumerated() { values[place] = sums[index] }
      processes.addUp(values, of: tree)
      for (place, index) in sent.enumerated() { sums[index] = values[place] }
    }
  }

  /// Copies the mask: weights that freeze later are computed until it is indexed again.
  public func index(frozen: Buffer<UInt8>) {
    precondition(frozen.count == shape.weightCount)
    unfrozen = UnfrozenWeights(frozen: frozen)
    withUnsafePointer(to: cPart) {
      let integers = integerMaximum != nil
      let bytes = (integers ? backend.integerGradient.index_bytes : backend.sparseGradient.index_bytes)($0)
      if sparseIndex.count < bytes { sparseIndex = Buffer(count: bytes) }
      (integers ? backend.integerGradient.index_build : backend.sparseGradient.index_build)(
        $0, frozen.pointer, sparseIndex.pointer)
    }
  }
}
