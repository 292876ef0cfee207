import CKernels
@_spi(Kernels) public import Tensor

// The backward pass: the gradients of input and weights, dense or of unfrozen weights alone.

extension CPUConvolution {
  /// Weights whose partial gradients are added up in one task: for all tasks together a part of the first-level cache.
  private static let addedAtOnce = 2 << 10

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
    let pass = BackwardPieces(
      BatchShare(images: images, of: backend.processes), mostNodes: tasks.nodes,
      imagesPerPiece: imagesPerPiece, input: input, sparse: sparse)
    let needsWeightGradient = !sparse || unfrozen.count > 0
    let parts =
      blocks.count == 1
      ? bothGradients(pass, outputGradient, inputGradient, needsWeightGradient, eachPiece)
      : gradientsByBlock(pass, outputGradient, inputGradient, needsWeightGradient, eachPiece)
    addPartials(pass.nodes, of: pass.tree, into: weightGradient, scale: scale, sparse: sparse)
    // The threads' time by part, in proportion to the whole's wall time.
    let all = parts.normalization + parts.inputGradient + parts.weightGradient
    let share = (StepClock.now() - start) / max(all, .leastNormalMagnitude)
    return BackwardSeconds(
      normalization: parts.normalization * share, inputGradient: parts.inputGradient * share,
      weightGradient: parts.weightGradient * share)
  }

  /// Every node a task, which uses a piece of output gradient for both while it is in the cache.
  private func bothGradients(
    _ pass: BackwardPieces, _ outputGradient: OutputGradient, _ inputGradient: Buffer<Float>?,
    _ needsWeightGradient: Bool,
    _ eachPiece: (_ images: Range<Int>, _ slice: Int) -> Void
  ) -> BackwardSeconds {
    runTimed(needsWeightGradient || inputGradient != nil ? pass.nodes : 0) { node, worker, seconds in
      pass.overPieces(of: pass.slices(of: node)) { piece, slices in
        let begin = StepClock.now()
        let gradient = pieceGradient(outputGradient, piece, worker)
        let affine = StepClock.now()
        if let inputGradient { backwardInput(gradient, inputGradient, piece, scratch(worker)) }
        seconds.normalization += affine - begin
        seconds.inputGradient += StepClock.now() - affine
        for slice in slices {
          let begin = StepClock.now()
          eachPiece(piece.clamped(to: pass.tree[slice]), slice)
          let called = StepClock.now()
          seconds.normalization += called - begin
          guard needsWeightGradient else { continue }
          addWeightGradient(pass, piece, slice: slice, node: node, block: blocks[0], gradient, worker)
          seconds.weightGradient += StepClock.now() - called
        }
      }
    }
  }

  /// Weight gradients by nodes and blocks of channels, the input gradient by slices, from an output gradient that is formed before.
  private func gradientsByBlock(
    _ pass: BackwardPieces, _ outputGradient: OutputGradient, _ inputGradient: Buffer<Float>?,
    _ needsWeightGradient: Bool,
    _ eachPiece: (_ images: Range<Int>, _ slice: Int) -> Void
  ) -> BackwardSeconds {
    let begin = StepClock.now()
    let gradient: UnsafeMutablePointer<Float>
    switch outputGradient {
    case .buffer(let buffer):
      precondition(buffer.count >= shape.outputCount)
      gradient = buffer.pointer
    case .affine(let affine):
      backend.channelAffine(
        affine, output: backend.gradient, channels: shape.outputChannels, images: pass.tree.images,
        rowsPerImage: shape.outputHeight * shape.outputWidth)
      gradient = backend.gradient.pointer
    }
    let affine = StepClock.now() - begin
    let weightTasks = needsWeightGradient ? pass.nodes * blocks.count : 0
    var seconds = runTimed(weightTasks + (inputGradient == nil ? 0 : pass.own.count)) { task, worker, seconds in
      let begin = StepClock.now()
      if task < weightTasks {
        let (node, place) = task.quotientAndRemainder(dividingBy: blocks.count)
        let block = blocks[place]
        defer { seconds.weightGradient += StepClock.now() - begin }
        if pass.sparse && block.unfrozen.count == 0 { return block.unfrozen.clear(sum(0, node, block, worker)) }
        pass.overPieces(of: pass.slices(of: node)) { piece, slices in
          let columns = columns(of: block, gradient, piece, worker)
          for slice in slices {
            addWeightGradient(pass, piece, slice: slice, node: node, block: block, columns, worker)
          }
        }
      } else if let inputGradient {
        let slice = pass.own.lowerBound + task - weightTasks
        pass.overPieces(of: slice..<slice + 1) { piece, _ in
          let begin = StepClock.now()
          backwardInput(gradient, inputGradient, piece, scratch(worker))
          let formed = StepClock.now()
          eachPiece(piece, slice)
          seconds.inputGradient += formed - begin
          seconds.normalization += StepClock.now() - formed
        }
      }
    }
    seconds.normalization += affine * Double(backend.pool.threads)
    return seconds
  }

  /// - Returns: all tasks' seconds.
  private func runTimed(
    _ count: Int, _ body: (_ task: Int, _ worker: Int, _ seconds: inout BackwardSeconds) -> Void
  ) -> BackwardSeconds {
    let seconds = backend.taskSeconds.pointer
    backend.pool.run(count) { task, worker in
      seconds[task] = BackwardSeconds()
      body(task, worker, &seconds[task])
    }
    return (0..<count).reduce(into: BackwardSeconds()) { sum, task in
      sum.normalization += seconds[task].normalization
      sum.inputGradient += seconds[task].inputGradient
      sum.weightGradient += seconds[task].weightGradient
    }
  }

  /// The gradient of the input alone; needs `packBackward(weights:)` first.
  public func backwardInput(outputGradient: Buffer<Float>, inputGradient: Buffer<Float>, images: Int) {
    precondition(outputGradient.count >= shape.outputCount && inputGradient.count >= shape.inputCount)
    overImages(images, sums: nil) { range, _, scratch in
      backwardInput(outputGradient.pointer, inputGradient, range, scratch)
    }
  }

  private func backwardInput(
    _ outputGradient: UnsafePointer<Float>, _ inputGradient: Buffer<Float>, _ images: Range<Int>,
    _ scratch: UnsafeMutableRawPointer
  ) {
    withUnsafePointer(to: c) {
      backend.convolution.backward_input(
        $0, outputGradient, packedBackward.pointer, inputGradient.pointer, Int32(images.lowerBound),
        Int32(images.count), scratch)
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

  /// The same of a block's channels alone, one pixel's behind the other's.
  private func columns(
    of block: ChannelBlock, _ gradient: UnsafePointer<Float>, _ piece: Range<Int>, _ worker: Int
  ) -> UnsafeMutablePointer<Float> {
    let rows = shape.outputHeight * shape.outputWidth
    let (first, channels) = (block.channels.lowerBound, block.channels.count)
    let target = backend.pieces[worker].pointer - piece.lowerBound * rows * channels
    for row in piece.lowerBound * rows..<piece.upperBound * rows {
      (target + row * channels).update(from: gradient + row * shape.outputChannels + first, count: channels)
    }
    return target
  }

  /// A node's gradient of a block's weights (`place` 0), and those of the thread that are still to be added to it.
  private func sum(_ place: Int, _ node: Int, _ block: ChannelBlock, _ worker: Int) -> UnsafeMutablePointer<Float> {
    let nodes = backend.partials.pointer
    if place == 0 { return nodes + node * shape.weightCount + block.weights.lowerBound }
    let pending = nodes + tasks.nodes * shape.weightCount
    return pending + (worker * tasks.pendingSums + place - 1) * blocks[0].weights.count
  }

  /// Adds a piece's share of a slice to the node's weight gradient.
  private func addWeightGradient(
    _ pass: BackwardPieces, _ piece: Range<Int>, slice: Int, node: Int, block: ChannelBlock,
    _ gradient: UnsafeMutablePointer<Float>, _ worker: Int
  ) {
    let images = pass.tree[slice]
    let part = piece.clamped(to: images)
    // Sums are added up like a binary counter: those that wait are the ones among the digits of `leaf`.
    let leaf = slice - pass.slices(of: node).lowerBound
    var waiting = leaf.nonzeroBitCount
    func sum(_ place: Int) -> UnsafeMutablePointer<Float> { self.sum(place, node, block, worker) }
    let begins = part.lowerBound == images.lowerBound
    if pass.sparse && begins { block.unfrozen.clear(sum(waiting)) }
    if pass.sparse || begins {
      backwardWeight(pass, gradient, part, block, into: sum(waiting), worker)
    } else {
      backwardWeight(pass, gradient, part, block, into: sum(waiting + 1), worker)
      add(sum(waiting + 1), to: sum(waiting), of: block, sparse: false)
    }
    guard part.upperBound == images.upperBound else { return }
    for _ in 0..<(~leaf).trailingZeroBitCount {
      add(sum(waiting), to: sum(waiting - 1), of: block, sparse: pass.sparse)
      waiting -= 1
    }
  }

  /// The sparse gradient is added to `result`, the dense one overwrites it.
  private func backwardWeight(
    _ pass: BackwardPieces, _ gradient: UnsafeMutablePointer<Float>, _ images: Range<Int>, _ block: ChannelBlock,
    into result: UnsafeMutablePointer<Float>, _ worker: Int
  ) {
    let (first, count) = (Int32(images.lowerBound), Int32(images.count))
    let (sparse, scratch, index) = (pass.sparse, scratch(worker), block.index.pointer)
    if let integerMaximum, case .levels(let levels) = pass.input {
      withUnsafePointer(to: block.cPart) {
        if sparse {
          backend.integerGradient.backward_unfrozen(
            $0, levels.pointer, integerMaximum, gradient, index, result, first, count, scratch)
        } else {
          backend.integerGradient.backward_weight(
            $0, levels.pointer, integerMaximum, gradient, result, first, count, scratch)
        }
      }
      return
    }
    precondition(!sparse || integerMaximum == nil, "the index is for levels")
    withUnsafePointer(to: sparse ? block.cPart : block.c) { c in
      switch (pass.input, sparse) {
      case (.floats(let input), false):
        backend.convolution.backward_weight(c, input.pointer, gradient, result, first, count, scratch)
      case (.levels(let input), false):
        backend.convolution.backward_weight_u8(c, input.pointer, gradient, result, first, count, scratch)
      case (.floats(let input), true):
        backend.sparseGradient.backward_weight(c, input.pointer, gradient, index, result, first, count, scratch)
      case (.levels(let input), true):
        backend.sparseGradient.backward_weight_u8(c, input.pointer, gradient, index, result, first, count, scratch)
      }
    }
  }

  private func add(
    _ other: UnsafeMutablePointer<Float>, to sum: UnsafeMutablePointer<Float>, of block: ChannelBlock, sparse: Bool
  ) {
    if sparse, let listed = block.unfrozen.listed {
      for index in listed { sum[Int(index)] += other[Int(index)] }
    } else {
      for index in 0..<block.weights.count { sum[index] += other[index] }
    }
  }

  /// The top of the tree: adds up the nodes' sums, which are used up, and those of other processes.
  private func addPartials(_ nodes: Int, of tree: BatchTree, into result: Buffer<Float>, scale: Float, sparse: Bool) {
    let count = shape.weightCount
    let partials = backend.partials.pointer
    let total = result.pointer
    if sparse, let listed = unfrozen.listed {
      for index in listed.lazy.map(Int.init) {
        BatchTree.addUp(partials, rows: nodes, stride: count, columns: index..<index + 1)
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
      BatchTree.addUp(partials, rows: nodes, stride: count, columns: columns)
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
    for block in blocks {
      if integerMaximum != nil {
        block.index(unfrozen, bytes: backend.integerGradient.index_bytes, build: backend.integerGradient.index_build)
      } else {
        block.index(unfrozen, bytes: backend.sparseGradient.index_bytes, build: backend.sparseGradient.index_build)
      }
    }
  }
}
