import Foundation
import Kernels
import Synchronization
import Tensor
import TestSupport
import Testing

/// The Swift side of the kernels: slices, threads, instruction sets.
struct CPUBackendTests {
  @Test(
    "a batch's slices depend on its size alone, cover it in order, and none is empty",
    arguments: [
      (1, 1), (7, 1), (8, 2), (31, 4), (32, 8), (100, 16), (127, 16), (128, 32), (255, 32), (256, 64), (999, 64),
    ])
  func slices(images: Int, leaves: Int) {
    let tree = BatchTree(images: images)
    #expect(tree.leaves == leaves)
    #expect((0..<leaves).flatMap { Array(tree[$0]) } == Array(0..<images))
    #expect((0..<leaves).allSatisfy { !tree[$0].isEmpty })
    // A node has the images of its two children.
    for count in sequence(first: leaves / 2, next: { $0 / 2 }).prefix(while: { $0 > 0 }) {
      for node in 0..<count {
        let children = [2 * node, 2 * node + 1].map { tree.images(of: $0, among: 2 * count) }
        #expect(tree.images(of: node, among: count).lowerBound == children[0].lowerBound)
        #expect(children[0].upperBound == children[1].lowerBound)
        #expect(tree.images(of: node, among: count).upperBound == children[1].upperBound)
      }
    }
  }

  @Test("sums are formed as a binary tree has it")
  func treeOfSums() {
    // 2^53 swallows ones that come singly, and takes those that come together.
    let large = Double(1 << 53)
    let values = Buffer([large, 0, 0, 0, 1, 1, 0, 0])
    #expect(BatchTree(images: 8).sum(values) == large + 2)
    #expect(values.reduce(0, +) == large)
    let sums = ChannelSums(channels: 1)
    let backend = CPUBackend(threads: 2)
    let input = Buffer(values.map { Float($0) })
    backend.channelStatistics(input, channels: 1, images: 8, rowsPerImage: 1, sums: sums)
    #expect(sums[0].0 == large + 2)
  }

  @Test("seconds are added to their part, and set back")
  func seconds() {
    let backend = CPUBackend(threads: 1)
    let first = backend.measure(.forward) { usleep(2000) }
    let second = backend.measure(.forward) { usleep(1000) }
    #expect(first >= 0.002 && second >= 0.001)
    #expect(backend.seconds[StepPart.forward.rawValue] == first + second)
    #expect(backend.seconds[StepPart.optimizer.rawValue] == 0)
    backend.resetSeconds()
    #expect(backend.seconds == [Double](repeating: 0, count: StepPart.allCases.count))
  }

  @Test("the best instruction set is available, and the plain one always is")
  func instructionSets() {
    #expect(InstructionSet.available.contains(.reference) && InstructionSet.available.contains(.portable))
    #expect(InstructionSet.best.isAvailable && InstructionSet.best != .reference)
  }

  @Test("a convolution's extents, counts and multiply-adds")
  func shape() {
    let shape = ConvolutionShape(
      batch: 2, inputHeight: 9, inputWidth: 8, inputChannels: 6, outputChannels: 4, kernel: 3, stride: 2, padding: 1,
      groups: 2)
    #expect(shape.outputHeight == 5 && shape.outputWidth == 4)
    #expect(shape.weightCount == 4 * 9 * 3 && shape.inputCount == 2 * 9 * 8 * 6 && shape.outputCount == 2 * 5 * 4 * 4)
    #expect(shape.macs == 5 * 4 * 4 * 9 * 3)
  }

  private static let shapes = [
    ConvolutionShape(
      batch: 11, inputHeight: 7, inputWidth: 9, inputChannels: 5, outputChannels: 19, kernel: 3, stride: 2, padding: 1),
    ConvolutionShape(
      batch: 3, inputHeight: 8, inputWidth: 8, inputChannels: 16, outputChannels: 16, kernel: 3, padding: 1),
    ConvolutionShape(
      batch: 9, inputHeight: 6, inputWidth: 5, inputChannels: 8, outputChannels: 8, kernel: 3, padding: 1, groups: 8),
    ConvolutionShape(batch: 10, inputHeight: 1, inputWidth: 1, inputChannels: 24, outputChannels: 10, kernel: 1),
    // Wide enough that many threads divide its channels, into blocks that are not all equal.
    ConvolutionShape(
      batch: 10, inputHeight: 7, inputWidth: 7, inputChannels: 24, outputChannels: 60, kernel: 3, padding: 1),
    // Large enough that the backward pass cuts a slice into pieces.
    ConvolutionShape(
      batch: 42, inputHeight: 32, inputWidth: 32, inputChannels: 3, outputChannels: 16, kernel: 3, padding: 1),
  ]

  /// Everything a convolution computes for fixed numbers.
  private struct Results: Equatable {
    var output: [Float]
    var sums: [[Double]]
    var inputGradient: [Float]
    var weightGradient: [Float]
    var sparseWeightGradient: [Float]
    var levelOutput: [Float]
    var levelWeightGradient: [Float]
    var sparseLevelWeightGradient: [Float]
    var eachPiece: [Int: [Range<Int>]]
  }

  private func results(
    _ shape: ConvolutionShape, images: Int, gradients: LevelGradients = .float32, backend: CPUBackend
  ) -> Results {
    let operation = CPUConvolution(shape: shape, gradients: gradients, backend: backend)
    let input = Buffer(normals(shape.inputCount, seed: 1))
    let weights = Buffer(normals(shape.weightCount, seed: 2))
    let gradient = Buffer(normals(shape.outputCount, seed: 3))
    let levels = Buffer(normals(shape.inputCount, seed: 4).map { UInt8(min(max(8 + 3 * $0, 0), 15)) })
    let weightLevels = Buffer(normals(shape.weightCount, seed: 5).map { Int8(min(max(3 * $0, -8), 7)) })
    let frozen = Buffer(normals(shape.weightCount, seed: 6).map { UInt8($0 > 0 ? 1 : 0) })
    let output = Buffer<Float>(count: shape.outputCount)
    let inputGradient = Buffer<Float>(count: shape.inputCount)
    let weightGradient = Buffer<Float>(count: shape.weightCount)
    let sums = ChannelSums(channels: shape.outputChannels)
    operation.packBackward(weights: weights)
    let pieces = PiecesBySlice()
    func backward(from input: ConvolutionInput, sparse: Bool) -> [Float] {
      pieces.removeAll()
      operation.backward(
        outputGradient: .buffer(gradient), inputGradient: inputGradient, input: input,
        weightGradient: weightGradient, scale: 0.5, images: images, sparse: sparse
      ) { images, slice in pieces.withLock(append: images, to: slice) }
      return weightGradient.array
    }
    operation.pack(weights: weights)
    operation.forward(input: input, bias: nil, output: output, images: images, sums: sums)
    let floatOutput = output.array
    let floatSums = (0..<shape.outputChannels).map { [sums[$0].0, sums[$0].1] }
    operation.index(frozen: frozen)
    var levelOutput: [Float] = []
    if backend.supportsIntegers(shape, maximumInput: 15, maximumWeight: 8) {
      operation.pack(levels: weightLevels, maximumInput: 15, maximumWeight: 8)
      operation.forward(
        levels: levels, maximumInput: 15, maximumWeight: 8, scale: 0.25, bias: nil, output: .floats(output),
        images: images,
        sums: nil)
      levelOutput = output.array
    }
    // An index for integers is for levels alone.
    let sparseInput: ConvolutionInput = gradients == .float32 ? .floats(input) : .levels(levels)
    let gradients = [false, true].map { sparse in
      (
        backward(from: sparse ? sparseInput : .floats(input), sparse: sparse),
        backward(from: .levels(levels), sparse: sparse)
      )
    }
    return Results(
      output: floatOutput, sums: floatSums, inputGradient: inputGradient.array, weightGradient: gradients[0].0,
      sparseWeightGradient: gradients[1].0, levelOutput: levelOutput, levelWeightGradient: gradients[0].1,
      sparseLevelWeightGradient: gradients[1].1, eachPiece: pieces.all)
  }

  @Test("convolutions give the same bits with any number of threads", arguments: shapes.indices)
  func threads(shape: Int) {
    let shape = Self.shapes[shape]
    for images in [shape.batch, shape.batch - 2] {
      let one = results(shape, images: images, backend: CPUBackend(threads: 1))
      for threads in [2, 3, 7, 16, 33, 64] {
        #expect(results(shape, images: images, backend: CPUBackend(threads: threads)) == one)
      }
    }
  }

  @Test("gradients in integers give the same bits with any number of threads", arguments: shapes.indices)
  func threadsOfIntegers(shape: Int) {
    let shape = Self.shapes[shape]
    let all = [1, 2, 7, 64].map {
      results(shape, images: shape.batch, gradients: .int16(maximumInput: 15), backend: CPUBackend(threads: $0))
    }
    for threads in all.dropFirst() { #expect(threads == all[0]) }
  }

  @Test("few and many unfrozen weights, in blocks of channels or together, and an affine output gradient")
  func channelBlocks() {
    let shape = ConvolutionShape(
      batch: 6, inputHeight: 6, inputWidth: 6, inputChannels: 16, outputChannels: 32, kernel: 3, padding: 1)
    let input = Buffer(normals(shape.inputCount, seed: 1))
    let weights = Buffer(normals(shape.weightCount, seed: 2))
    let draws = normals(shape.weightCount, seed: 3)
    let factors = (5...7).map { Buffer(normals(shape.outputChannels, seed: $0)) }
    let affine = AffineGradient(
      x: Buffer(normals(shape.outputCount, seed: 8)),
      y: .sums(Buffer(normals(shape.outputCount, seed: 9).map { Int16(100 * $0) }), unit: Buffer([0.01])),
      a: factors[0], b: factors[1], d: factors[2])
    func gradients(_ backend: CPUBackend, above threshold: Float) -> [[Float]] {
      let operation = CPUConvolution(shape: shape, backend: backend)
      operation.packBackward(weights: weights)
      // The first channels are wholly frozen.
      operation.index(
        frozen: Buffer(draws.enumerated().map { $1 > threshold && $0 >= shape.weightCount / 4 ? 0 : 1 }))
      return [Buffer<Float>(count: shape.inputCount), nil].flatMap { inputGradient in
        let result = Buffer([Float](repeating: .nan, count: shape.weightCount))
        operation.backward(
          outputGradient: .affine(affine), inputGradient: inputGradient, input: .floats(input),
          weightGradient: result, scale: 0.5, images: shape.batch, sparse: true)
        return [result.array, inputGradient?.array ?? []]
      }
    }
    for threshold: Float in [-3, -0.5, 1, 2.5, .infinity] {
      let one = gradients(CPUBackend(threads: 1), above: threshold)
      let many = gradients(CPUBackend(threads: 16), above: threshold)
      #expect(many == one)
      #expect(one[0].prefix(shape.weightCount / 4).allSatisfy { $0 == 0 })
    }
  }

  @Test("weight gradients that are not yet added up stay within 64 MiB", arguments: [1, 2, 3, 8, 16, 64])
  func partialSums(threads: Int) {
    // ResNet-18's widest layer and its last.
    for shape in [
      ConvolutionShape(
        batch: 64, inputHeight: 7, inputWidth: 7, inputChannels: 512, outputChannels: 512, kernel: 3, padding: 1),
      ConvolutionShape(
        batch: 64, inputHeight: 1, inputWidth: 1, inputChannels: 512, outputChannels: 1000, kernel: 1),
    ] {
      let backend = CPUBackend(threads: threads)
      _ = CPUConvolution(shape: shape, backend: backend)
      #expect(backend.partialSumBytes > 4 * shape.weightCount && backend.partialSumBytes <= 64 << 20)
    }
  }

  @Test("few unfrozen weights get the dense gradient, frozen ones 0, and none of either nothing else")
  func fewUnfrozenWeights() {
    let shape = ConvolutionShape(
      batch: 5, inputHeight: 9, inputWidth: 9, inputChannels: 16, outputChannels: 24, kernel: 3, stride: 1, padding: 1)
    let backend = CPUBackend(threads: 2)
    let operation = CPUConvolution(shape: shape, backend: backend)
    let input = Buffer(normals(shape.inputCount, seed: 1))
    let weights = Buffer(normals(shape.weightCount, seed: 2))
    let gradient = Buffer(normals(shape.outputCount, seed: 3))
    let draws = normals(shape.weightCount, seed: 4)
    let inputGradient = Buffer<Float>(count: shape.inputCount)
    operation.packBackward(weights: weights)
    func backward(sparse: Bool) -> [Float] {
      let result = Buffer([Float](repeating: .nan, count: shape.weightCount))
      inputGradient.copy(from: Buffer([Float](repeating: .nan, count: shape.inputCount)))
      operation.backward(
        outputGradient: .buffer(gradient), inputGradient: inputGradient, input: .floats(input),
        weightGradient: result, scale: 0.5, images: shape.batch, sparse: sparse)
      return result.array
    }
    let dense = backward(sparse: false)
    let ofInput = inputGradient.array
    for threshold: Float in [-0.5, 1, 2.5, .infinity] {
      let unfrozen = draws.map { $0 > threshold }
      operation.index(frozen: Buffer(unfrozen.map { $0 ? 0 : 1 }))
      let sparse = backward(sparse: true)
      #expect(unfrozen.contains(true) == (threshold < .infinity))
      #expect(zip(sparse, unfrozen).allSatisfy { $1 || $0 == 0 })
      #expect(relativeError(sparse, zip(dense, unfrozen).map { $1 ? Double($0) : 0 }) <= 1e-5)
      #expect(inputGradient.array == ofInput)
    }
  }

  @Test("instruction sets agree to rounding, and exactly in integers", arguments: shapes.indices)
  func instructionSets(shape: Int) {
    let shape = Self.shapes[shape]
    func agree(_ a: [Float], _ b: [Float], _ what: String) {
      #expect(relativeError(a, b.map(Double.init)) <= 1e-5, "\(what)")
    }
    let plain = results(shape, images: shape.batch, backend: CPUBackend(threads: 1, instructionSet: .reference))
    for instructionSet in InstructionSet.available.dropFirst() {
      let fast = results(
        shape, images: shape.batch, backend: CPUBackend(threads: 1, instructionSet: instructionSet))
      agree(fast.output, plain.output, "output")
      agree(fast.inputGradient, plain.inputGradient, "input gradient")
      agree(fast.weightGradient, plain.weightGradient, "weight gradient")
      agree(fast.sparseWeightGradient, plain.sparseWeightGradient, "sparse weight gradient")
      agree(fast.levelWeightGradient, plain.levelWeightGradient, "weight gradient of levels")
      agree(fast.sparseLevelWeightGradient, plain.sparseLevelWeightGradient, "sparse weight gradient of levels")
      #expect(fast.levelOutput == plain.levelOutput || fast.levelOutput.isEmpty)
    }
  }

  @Test("both gradients are the convolution's adjoints", arguments: shapes.indices)
  func adjoints(shape: Int) {
    let shape = Self.shapes[shape]
    let backend = CPUBackend(threads: 2)
    let operation = CPUConvolution(shape: shape, backend: backend)
    let input = Buffer(normals(shape.inputCount, seed: 1))
    let weights = Buffer(normals(shape.weightCount, seed: 2))
    let gradient = Buffer(normals(shape.outputCount, seed: 3))
    let inputGradient = Buffer<Float>(count: shape.inputCount)
    let weightGradient = Buffer<Float>(count: shape.weightCount)
    operation.packBackward(weights: weights)
    operation.backward(
      outputGradient: .buffer(gradient), inputGradient: inputGradient, input: .floats(input),
      weightGradient: weightGradient, scale: 1, images: shape.batch, sparse: false)
    func product(_ a: Buffer<Float>, _ b: Buffer<Float>) -> Double {
      zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    /// Σ g · (x ∗ w)
    func expected(_ input: Buffer<Float>, _ weights: Buffer<Float>) -> Double {
      let output = Buffer<Float>(count: shape.outputCount)
      operation.pack(weights: weights)
      operation.forward(input: input, bias: nil, output: output, images: shape.batch, sums: nil)
      return product(gradient, output)
    }
    let tolerance = 1e-5 * product(gradient, gradient)
    let otherWeights = Buffer(normals(shape.weightCount, seed: 4))
    #expect(abs(product(weightGradient, otherWeights) - expected(input, otherWeights)) <= tolerance)
    let otherInput = Buffer(normals(shape.inputCount, seed: 5))
    #expect(abs(product(inputGradient, otherInput) - expected(otherInput, weights)) <= tolerance)
  }

  @Test("an affine output gradient gives the bits of one computed before", arguments: shapes.indices)
  func affineOutputGradient(shape: Int) {
    let shape = Self.shapes[shape]
    let backend = CPUBackend(threads: 3)
    let operation = CPUConvolution(shape: shape, backend: backend)
    let input = Buffer(normals(shape.inputCount, seed: 1))
    let weights = Buffer(normals(shape.weightCount, seed: 2))
    let x = Buffer(normals(shape.outputCount, seed: 3))
    let y = Buffer(normals(shape.outputCount, seed: 4))
    let factors = (5...7).map { Buffer(normals(shape.outputChannels, seed: $0)) }
    let gradient = Buffer<Float>(count: shape.outputCount)
    operation.packBackward(weights: weights)
    let affine = AffineGradient(x: x, y: .floats(y), a: factors[0], b: factors[1], d: factors[2])
    backend.channelAffine(
      affine, output: gradient, channels: shape.outputChannels, images: shape.batch,
      rowsPerImage: shape.outputHeight * shape.outputWidth)
    let results = [OutputGradient.buffer(gradient), .affine(affine)].map { outputGradient in
      let inputGradient = Buffer<Float>(count: shape.inputCount)
      let weightGradient = Buffer<Float>(count: shape.weightCount)
      operation.backward(
        outputGradient: outputGradient, inputGradient: inputGradient, input: .floats(input),
        weightGradient: weightGradient, scale: 1, images: shape.batch, sparse: false)
      return [inputGradient.array, weightGradient.array]
    }
    #expect(results[0] == results[1])
  }

  @Test("a convolution's sums are those of its output")
  func sums() {
    for shape in Self.shapes {
      let results = results(shape, images: shape.batch, backend: CPUBackend(threads: 2))
      for channel in 0..<shape.outputChannels {
        let values = stride(from: channel, to: shape.outputCount, by: shape.outputChannels).map {
          Double(results.output[$0])
        }
        let magnitude = values.reduce(0) { $0 + abs($1) }
        #expect(abs(results.sums[channel][0] - values.reduce(0, +)) <= 1e-5 * magnitude)
        let squares = values.reduce(0) { $0 + $1 * $1 }
        #expect(abs(results.sums[channel][1] - squares) <= 1e-5 * squares)
      }
    }
  }

  @Test("range statistics of a part of a batch, whatever the threads")
  func rangeStatistics() {
    let values = normals(9 * 35, seed: 1).map { 2 * $0 + 1 }
    let input = Buffer(values)
    for images in [1, 4, 9] {
      let part = values.prefix(images * 35).map(Double.init)
      let mean = part.reduce(0, +) / Double(part.count)
      let variance = part.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(part.count - 1)
      let all = (1...3).map {
        CPUBackend(threads: $0).rangeStatistics(input, images: images, elementsPerImage: 35)
      }
      #expect(all.allSatisfy { $0 == all[0] })
      #expect(all[0].minimum == part.min())
      #expect(abs(all[0].mean - mean) <= 1e-6)
      #expect(abs(all[0].standardDeviation - variance.squareRoot()) <= 1e-6)
    }
  }

  @Test("normalisation backward gives the same bits with any number of threads")
  func normalizationThreads() {
    let (images, rows, channels) = (11, 6, 9)
    let count = images * rows * channels
    let input = Buffer(normals(count, seed: 1))
    let scale = Buffer(normals(channels, seed: 2))
    let shift = Buffer(normals(channels, seed: 3))
    let gradient = Buffer(normals(count, seed: 4))
    let copyGradient = Buffer(normals(count, seed: 5))
    let grid = ActivationGrid(lower: 0.1, inverseStep: 4, levels: 7, gradientScale: 0.5)
    let runs = [1, 2, 5].map { threads -> ([Float], RangeSums, [Double]) in
      let backend = CPUBackend(threads: threads)
      let result = Buffer<Float>(count: count)
      let sums = NormalizationSums(channels: channels)
      let backward = NormalizationGradient(
        input: .floats(input), channels: channels, scale: scale, shift: shift, rectifier: .relu, output: nil,
        gradients: [gradient],
        copies: [(grid, copyGradient)], result: result, rowsPerImage: rows, sums: sums, wantsChannelSums: true)
      backend.normalizeBackward(backward, images: images)
      return (result.array, sums.range(0), (0..<channels).flatMap { [sums.channels[$0].0, sums.channels[$0].1] })
    }
    for run in runs {
      #expect(run.0 == runs[0].0)
      #expect(run.1 == runs[0].1)
      #expect(run.2 == runs[0].2)
    }
    #expect(runs[0].1.gradient != 0)
  }
}

/// The pieces that tasks on several threads say they have worked on.
private final class PiecesBySlice: Sendable {
  private let pieces = Mutex<[Int: [Range<Int>]]>([:])
  var all: [Int: [Range<Int>]] { pieces.withLock { $0 } }

  func removeAll() { pieces.withLock { $0 = [:] } }

  /// Never inlined: by this name the thread sanitizer knows that a lock is held (Scripts/thread-sanitizer.txt).
  @inline(never) func withLock(append images: Range<Int>, to slice: Int) {
    pieces.withLock { $0[slice, default: []].append(images) }
  }
}
