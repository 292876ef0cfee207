import CKernels
import Testing

/// The float convolution kernels of every instruction set this machine has, against the scalar reference.
@Suite("Float convolution kernels")
struct FloatConvolutionTests {
  @Test("The reference computes a convolution worked out by hand")
  func referenceByHand() throws {
    // A 3x3 image 1...9, padded by one; weights 1...4 (2x2); stride 2: the four windows' corners are
    // (0 0; 0 1), (0 0; 2 3), (0 4; 0 7), (5 6; 8 9).
    let shape = FloatConvolutionCase(1, input: (3, 3, 1), outputs: 1, kernel: (2, 2), stride: (2, 2), pad: (1, 1, 0, 0))
    let operands = ConvolutionOperands(shape)
    for i in 0..<9 { operands.input[i] = Float(i + 1) }
    for i in 0..<4 { operands.weights[i] = Float(i + 1) }
    operands.bias[0] = 0.5
    let gradient: [Float] = [1, 10, 100, 1000]
    for i in 0..<4 { operands.outputGradient[i] = gradient[i] }
    let result = try ConvolutionResults(SQ_ISA_REFERENCE, operands, bias: true)
    #expect(result.output.values == [4.5, 18.5, 36.5, 77.5])
    #expect(result.statistics.values == [137, 4.5 * 4.5 + 18.5 * 18.5 + 36.5 * 36.5 + 77.5 * 77.5])
    #expect(result.inputGradient.values == [4, 30, 40, 200, 1000, 2000, 400, 3000, 4000])
    #expect(result.weightGradient.values == [5000, 6400, 8020, 9731])
  }

  @Test("The reference's gradients are the adjoints of its forward pass", arguments: FloatConvolutionCase.small)
  func referenceAdjoints(_ shape: FloatConvolutionCase) throws {
    let operands = ConvolutionOperands(shape)
    let result = try ConvolutionResults(SQ_ISA_REFERENCE, operands, bias: false)
    func dot(_ a: Guarded<Float>, _ b: Guarded<Float>) -> Double {
      zip(a.values, b.values).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    let scale = Double(operands.outputGradient.count) + 1
    let forward = dot(result.output, operands.outputGradient)
    #expect(abs(forward - dot(result.inputGradient, operands.input)) <= 1e-5 * scale)
    #expect(abs(forward - dot(result.weightGradient, operands.weights)) <= 1e-5 * scale)
  }

  @Test(
    "Every instruction set agrees with the reference, touches only what it owns and splits to the bit",
    arguments: FloatConvolutionCase.all)
  func agreesWithReference(_ shape: FloatConvolutionCase) throws {
    let operands = ConvolutionOperands(shape)
    let last = shape.c.batch - 1
    for (first, count, bias) in [(0, shape.c.batch, true), (min(1, last), max(1, last), false)] {
      let reference = try ConvolutionResults(SQ_ISA_REFERENCE, operands, first: first, count: count, bias: bias)
      for isa in FloatConvolutionCase.fastInstructionSets {
        let result = try ConvolutionResults(isa, operands, first: first, count: count, bias: bias)
        let what = "\(String(cString: sq_kernels_for(isa).pointee.name)), images \(first)..<\(first + count), \(shape)"
        for (name, (mine, theirs)) in zip(ConvolutionResults.names, zip(result.all, reference.all)) {
          let problem = mine.disagreement(with: theirs, tolerance: 3e-6)
          #expect(problem == nil, "\(name) (\(what)): \(problem ?? "")")
        }
        #expect(result.overrun == nil, "\(what): wrote past the end of \(result.overrun ?? "")")
        let statistics = result.statisticsProblem(first: first, count: count, shape)
        #expect(statistics == nil, "statistics (\(what)): \(statistics ?? "")")

        // An image at a time, the same bits.
        let split = try ConvolutionResults(isa, operands, first: first, count: 0, bias: bias)
        for image in first..<first + count { try split.runPerImage(isa, operands, image, bias: bias) }
        #expect(split.output.bits == result.output.bits, "output of a split batch (\(what))")
        #expect(split.inputGradient.bits == result.inputGradient.bits, "input gradient of a split batch (\(what))")
      }
    }
  }

  @Test(
    "A float sum over a long batch keeps its accuracy",
    arguments: FloatConvolutionCase.fastInstructionSets.map(\.rawValue))
  func longSums(_ rawValue: UInt32) throws {
    // 64 images x 576 pixels of positive products: rounding that grows with the number of terms would show.
    let shape = FloatConvolutionCase(64, input: (24, 24, 3), outputs: 8, kernel: (1, 1))
    let operands = ConvolutionOperands(shape)
    for i in 0..<operands.input.count { operands.input[i] = abs(operands.input[i]) }
    for i in 0..<operands.outputGradient.count { operands.outputGradient[i] = abs(operands.outputGradient[i]) }
    let reference = try ConvolutionResults(SQ_ISA_REFERENCE, operands, bias: false)
    let result = try ConvolutionResults(sq_isa(rawValue), operands, bias: false)
    let problem = result.weightGradient.disagreement(with: reference.weightGradient, tolerance: 1e-6)
    #expect(problem == nil, "weight gradient: \(problem ?? "")")
    let statistics = result.statisticsProblem(first: 0, count: shape.c.batch, shape)
    #expect(statistics == nil, "statistics: \(statistics ?? "")")
  }
}

// MARK: - Shapes

/// A convolution to test. Padding: top, left, bottom, right.
struct FloatConvolutionCase: Sendable, CustomStringConvertible {
  let c: sq_conv

  init(
    _ batch: Int32, input: (Int32, Int32, Int32), outputs: Int32, kernel: (Int32, Int32),
    stride: (Int32, Int32) = (1, 1),
    pad: (Int32, Int32, Int32, Int32) = (0, 0, 0, 0), groups: Int32 = 1
  ) {
    c = sq_conv(
      batch: batch, in_height: input.0, in_width: input.1, in_channels: input.2,
      out_height: (input.0 + pad.0 + pad.2 - kernel.0) / stride.0 + 1,
      out_width: (input.1 + pad.1 + pad.3 - kernel.1) / stride.1 + 1, out_channels: outputs,
      kernel_height: kernel.0, kernel_width: kernel.1, stride_y: stride.0, stride_x: stride.1,
      pad_top: pad.0, pad_left: pad.1, groups: groups)
  }

  var description: String {
    "\(c.batch) x \(c.in_height)x\(c.in_width)x\(c.in_channels) -> \(c.out_height)x\(c.out_width)x\(c.out_channels), "
      + "kernel \(c.kernel_height)x\(c.kernel_width), stride \(c.stride_y),\(c.stride_x), "
      + "pad \(c.pad_top),\(c.pad_left), groups \(c.groups)"
  }

  static let fastInstructionSets = [SQ_ISA_PORTABLE, SQ_ISA_AVX2, SQ_ISA_AVX512].filter { sq_kernels_for($0) != nil }

  /// A few of everything.
  static let small = [
    FloatConvolutionCase(2, input: (5, 4, 3), outputs: 2, kernel: (3, 3), pad: (1, 1, 1, 1)),
    FloatConvolutionCase(2, input: (7, 6, 2), outputs: 3, kernel: (3, 2), stride: (2, 3), pad: (1, 0, 0, 1)),
    FloatConvolutionCase(1, input: (6, 6, 4), outputs: 6, kernel: (3, 3), stride: (2, 2), pad: (1, 1, 1, 1), groups: 2),
    FloatConvolutionCase(2, input: (5, 5, 3), outputs: 3, kernel: (3, 3), pad: (1, 1, 1, 1), groups: 3),
    FloatConvolutionCase(3, input: (1, 1, 5), outputs: 4, kernel: (1, 1)),
    FloatConvolutionCase(1, input: (2, 2, 1), outputs: 2, kernel: (1, 1), stride: (3, 3), pad: (2, 3, 0, 0)),
  ]

  /// Awkward sizes in each direction, and draws of everything at once.
  static let all: [FloatConvolutionCase] = {
    let channels: [Int32] = [1, 3, 7, 8, 9, 16, 17, 33]
    let kernels: [Int32] = [1, 2, 3, 5, 7]
    var shapes = small
    for inputs in channels {
      for outputs in channels {
        shapes.append(
          FloatConvolutionCase(2, input: (5, 6, inputs), outputs: outputs, kernel: (3, 3), pad: (1, 1, 1, 1)))
      }
      shapes.append(FloatConvolutionCase(7, input: (1, 1, inputs), outputs: 10, kernel: (1, 1)))
      shapes.append(FloatConvolutionCase(2, input: (1, 1, inputs), outputs: 17, kernel: (3, 3), pad: (1, 1, 1, 1)))
    }
    for kernel in kernels {
      for stride in Int32(1)...3 {
        for pad in Int32(0)...3 {
          shapes.append(
            FloatConvolutionCase(
              2, input: (9, 8, 5), outputs: 9, kernel: (kernel, kernel), stride: (stride, stride),
              pad: (pad, pad, pad, pad)))
        }
      }
    }
    for (inputs, outputs, groups) in [(8, 8, 8), (17, 17, 17), (16, 32, 16), (12, 6, 3), (32, 16, 2)]
      as [(Int32, Int32, Int32)]
    {
      for stride in Int32(1)...2 {
        shapes.append(
          FloatConvolutionCase(
            2, input: (7, 6, inputs), outputs: outputs, kernel: (3, 3), stride: (stride, stride), pad: (1, 1, 1, 1),
            groups: groups))
      }
    }
    // Several strips an image, several images a strip, long sums.
    shapes.append(FloatConvolutionCase(2, input: (33, 31, 5), outputs: 10, kernel: (3, 3), pad: (1, 1, 1, 1)))
    shapes.append(
      FloatConvolutionCase(1, input: (40, 37, 3), outputs: 17, kernel: (7, 7), stride: (2, 2), pad: (3, 3, 3, 3)))
    shapes.append(FloatConvolutionCase(9, input: (7, 7, 70), outputs: 34, kernel: (3, 3), pad: (1, 1, 1, 1)))
    shapes.append(
      FloatConvolutionCase(9, input: (8, 8, 65), outputs: 66, kernel: (3, 3), stride: (2, 2), pad: (1, 1, 1, 1)))
    shapes.append(FloatConvolutionCase(300, input: (1, 1, 40), outputs: 10, kernel: (1, 1)))
    shapes.append(FloatConvolutionCase(2, input: (4, 4, 600), outputs: 20, kernel: (1, 1)))
    // Minimal filtering (whole vectors of channels): odd and even sizes, several strips, any padding.
    for (height, width) in [(4, 4), (5, 7), (8, 9), (33, 18)] as [(Int32, Int32)] {
      for (inputs, outputs) in [(16, 16), (32, 48), (24, 16), (64, 32)] as [(Int32, Int32)] {
        shapes.append(
          FloatConvolutionCase(
            3, input: (height, width, inputs), outputs: outputs, kernel: (3, 3), pad: (1, 1, 1, 1)))
      }
    }
    for (top, left, bottom, right) in [(0, 0, 0, 0), (2, 2, 2, 2), (3, 0, 1, 2), (0, 1, 2, 4)]
      as [(Int32, Int32, Int32, Int32)]
    {
      shapes.append(
        FloatConvolutionCase(
          2, input: (11, 8, 16), outputs: 32, kernel: (3, 3), pad: (top, left, bottom, right)))
    }
    // Square or not, padded on any side, strides of their own.
    var random = SmallRandom(state: 1)
    while shapes.count < 260 {
      let input = (1 + random.below(18), 1 + random.below(18), random.of(channels))
      let kernel = (random.of(kernels), random.of(kernels))
      let pad = (random.below(4), random.below(4), random.below(4), random.below(4))
      let stride = (1 + random.below(3), 1 + random.below(3))
      guard input.0 + pad.0 + pad.2 >= kernel.0, input.1 + pad.1 + pad.3 >= kernel.1 else { continue }
      shapes.append(
        FloatConvolutionCase(
          1 + random.below(4), input: input, outputs: random.of(channels), kernel: kernel, stride: stride, pad: pad))
    }
    return shapes
  }()
}

/// A linear congruential generator: enough for test data.
struct SmallRandom {
  var state: UInt64

  mutating func next() -> UInt32 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return UInt32(state >> 33)
  }
  mutating func below(_ bound: Int32) -> Int32 { Int32(next() % UInt32(bound)) }
  mutating func of(_ values: [Int32]) -> Int32 { values[Int(next()) % values.count] }
  /// In [-1, 1].
  mutating func unit() -> Float { Float(Int(next() % 2001) - 1000) / 1000 }
}

// MARK: - Data

/// A buffer as the kernels' conventions have it: 64-byte aligned, 64 bytes past its end. Everything starts as bytes
/// 0xFF (NaN for floats), so that what should not have been read or written shows.
final class Guarded<Element> {
  let raw: UnsafeMutableRawPointer
  let count: Int

  init(_ count: Int) {
    self.count = count
    raw = .allocate(byteCount: count * MemoryLayout<Element>.stride + 64, alignment: 64)
    raw.initializeMemory(as: UInt8.self, repeating: 0xFF, count: count * MemoryLayout<Element>.stride + 64)
  }
  deinit { raw.deallocate() }

  var pointer: UnsafeMutablePointer<Element> { raw.assumingMemoryBound(to: Element.self) }
  var values: [Element] { Array(UnsafeBufferPointer(start: pointer, count: count)) }
  var bits: [UInt8] {
    Array(UnsafeRawBufferPointer(start: raw, count: count * MemoryLayout<Element>.stride))
  }
  var overrun: Bool {
    UnsafeRawBufferPointer(start: raw + count * MemoryLayout<Element>.stride, count: 64).contains { $0 != 0xFF }
  }
  subscript(_ index: Int) -> Element {
    get { pointer[index] }
    set { pointer[index] = newValue }
  }
}

extension Guarded where Element == Float {
  /// The worst element, where the error is more than tolerance x (1 + the largest magnitude): NaN counts as an error
  /// unless both are NaN (elements that neither may write).
  func disagreement(with reference: Guarded<Float>, tolerance: Float) -> String? {
    var allowed: Float = 1
    for i in 0..<count where abs(reference[i]) > allowed - 1 { allowed = 1 + abs(reference[i]) }
    allowed *= tolerance
    var worst: (index: Int, error: Float)?
    for i in 0..<count where !(self[i].isNaN && reference[i].isNaN) {
      let error = abs(self[i] - reference[i])
      if !(error <= allowed), worst == nil || !(error <= worst!.error) { worst = (i, error) }
    }
    return worst.map { "element \($0.index) is \(self[$0.index]), should be \(reference[$0.index])" }
  }
}

struct ConvolutionOperands {
  let shape: FloatConvolutionCase
  let input, outputGradient, weights, bias: Guarded<Float>
  let levels: Guarded<UInt8>

  init(_ shape: FloatConvolutionCase) {
    let c = shape.c
    self.shape = shape
    input = Guarded(Int(c.batch * c.in_height * c.in_width * c.in_channels))
    levels = Guarded(input.count)
    outputGradient = Guarded(Int(c.batch * c.out_height * c.out_width * c.out_channels))
    weights = Guarded(Int(c.out_channels * c.kernel_height * c.kernel_width * (c.in_channels / c.groups)))
    bias = Guarded(Int(c.out_channels))
    var random = SmallRandom(state: UInt64(input.count + 31 * weights.count))
    for buffer in [input, outputGradient, weights, bias] {
      for i in 0..<buffer.count { buffer[i] = random.unit() }
    }
    for i in 0..<levels.count { levels[i] = UInt8(random.next() % 256) }
  }
}

/// What the kernels of one instruction set make of the operands.
struct ConvolutionResults {
  static let names = ["output", "input gradient", "weight gradient", "weight gradient of bytes"]
  let output, inputGradient, weightGradient, weightGradientOfBytes: Guarded<Float>
  let statistics: Guarded<Double>
  private let scratch: Guarded<UInt8>
  private let forwardWeights, backwardWeights: Guarded<Float>

  var all: [Guarded<Float>] { [output, inputGradient, weightGradient, weightGradientOfBytes] }

  init(
    _ isa: sq_isa, _ operands: ConvolutionOperands, first: Int32 = 0, count: Int32? = nil, bias: Bool
  ) throws {
    let kernels = try #require(sq_kernels_for(isa)).pointee.convolution
    var c = operands.shape.c
    output = Guarded(operands.outputGradient.count)
    inputGradient = Guarded(operands.input.count)
    weightGradient = Guarded(operands.weights.count)
    weightGradientOfBytes = Guarded(operands.weights.count)
    statistics = Guarded(2 * operands.bias.count)
    scratch = Guarded(kernels.scratch_bytes(&c))
    forwardWeights = Guarded(kernels.forward_packed_count(&c))
    backwardWeights = Guarded(kernels.backward_input_packed_count(&c))
    kernels.forward_pack(&c, operands.weights.pointer, forwardWeights.pointer)
    kernels.backward_input_pack(&c, operands.weights.pointer, backwardWeights.pointer)
    let count = count ?? c.batch
    guard count > 0 else { return }
    kernels.forward(
      &c, operands.input.pointer, forwardWeights.pointer, bias ? operands.bias.pointer : nil, output.pointer,
      statistics.pointer, first, count, scratch.raw)
    kernels.backward_input(
      &c, operands.outputGradient.pointer, backwardWeights.pointer, inputGradient.pointer, first, count, scratch.raw)
    kernels.backward_weight(
      &c, operands.input.pointer, operands.outputGradient.pointer, weightGradient.pointer, first, count, scratch.raw)
    kernels.backward_weight_u8(
      &c, operands.levels.pointer, operands.outputGradient.pointer, weightGradientOfBytes.pointer, first, count,
      scratch.raw)
  }

  /// The kernels whose results must not depend on the split, for one image more.
  func runPerImage(_ isa: sq_isa, _ operands: ConvolutionOperands, _ image: Int32, bias: Bool) throws {
    let kernels = try #require(sq_kernels_for(isa)).pointee.convolution
    var c = operands.shape.c
    kernels.forward(
      &c, operands.input.pointer, forwardWeights.pointer, bias ? operands.bias.pointer : nil, output.pointer, nil,
      image, 1, scratch.raw)
    kernels.backward_input(
      &c, operands.outputGradient.pointer, backwardWeights.pointer, inputGradient.pointer, image, 1, scratch.raw)
  }

  /// The name of a buffer that was written past its end.
  var overrun: String? {
    for (name, buffer) in zip(Self.names, all) where buffer.overrun { return name }
    if statistics.overrun { return "statistics" }
    if scratch.overrun { return "scratch" }
    if forwardWeights.overrun { return "the packed forward weights" }
    return backwardWeights.overrun ? "the packed backward weights" : nil
  }

  /// The first statistic that is not the sum of the written output, or of its squares.
  func statisticsProblem(first: Int32, count: Int32, _ shape: FloatConvolutionCase) -> String? {
    let channels = Int(shape.c.out_channels)
    let pixels = Int(shape.c.out_height * shape.c.out_width)
    for channel in 0..<channels {
      var sum = 0.0
      var magnitude = 0.0
      var squares = 0.0
      for pixel in Int(first) * pixels..<Int(first + count) * pixels {
        let value = Double(output[pixel * channels + channel])
        sum += value
        magnitude += abs(value)
        squares += value * value
      }
      if !(abs(statistics[channel] - sum) <= 3e-7 * magnitude) {
        return "sum of channel \(channel) is \(statistics[channel]), should be \(sum)"
      }
      if !(abs(statistics[channels + channel] - squares) <= 3e-7 * squares) {
        return "squares of channel \(channel) are \(statistics[channels + channel]), should be \(squares)"
      }
    }
    return nil
  }
}
