import CKernels
import Testing

private struct ConvolutionCase: CustomTestStringConvertible, Sendable {
  var batch: Int32 = 3
  var size: (height: Int32, width: Int32)
  var channels: (input: Int32, output: Int32)
  var kernel: (height: Int32, width: Int32) = (3, 3)
  var stride: (y: Int32, x: Int32) = (1, 1)
  var pad: (top: Int32, left: Int32) = (1, 1)
  var groups: Int32 = 1

  var shape: sq_conv {
    sq_conv(
      batch: batch, in_height: size.height, in_width: size.width, in_channels: channels.input,
      out_height: (size.height + 2 * pad.top - kernel.height) / stride.y + 1,
      out_width: (size.width + 2 * pad.left - kernel.width) / stride.x + 1, out_channels: channels.output,
      kernel_height: kernel.height, kernel_width: kernel.width, stride_y: stride.y, stride_x: stride.x,
      pad_top: pad.top, pad_left: pad.left, groups: groups)
  }

  var testDescription: String {
    "\(batch)x\(size.height)x\(size.width)x\(channels.input)->\(channels.output), kernel \(kernel), stride \(stride), "
      + "pad \(pad), \(groups) groups"
  }

  static let all: [ConvolutionCase] = [
    .init(size: (32, 32), channels: (16, 16)),
    .init(batch: 5, size: (16, 16), channels: (32, 32)),
    .init(batch: 9, size: (8, 8), channels: (24, 40)),
    .init(size: (32, 32), channels: (16, 32), stride: (2, 2)),
    .init(size: (16, 16), channels: (17, 33), stride: (2, 2)),
    .init(size: (32, 32), channels: (3, 16)),
    .init(size: (29, 31), channels: (5, 7)),
    .init(batch: 11, size: (7, 7), channels: (9, 18)),
    .init(batch: 6, size: (4, 5), channels: (8, 9), stride: (2, 1)),
    .init(size: (33, 35), channels: (3, 8), kernel: (7, 7), stride: (2, 2), pad: (3, 3)),
    .init(size: (14, 14), channels: (20, 19), kernel: (1, 1), pad: (0, 0)),
    .init(size: (14, 14), channels: (20, 19), kernel: (1, 1), stride: (2, 2), pad: (0, 0)),
    .init(batch: 300, size: (1, 1), channels: (64, 10), kernel: (1, 1), pad: (0, 0)),
    .init(batch: 1, size: (1, 1), channels: (1, 1), kernel: (1, 1), pad: (0, 0)),
    .init(size: (12, 20), channels: (6, 6), kernel: (5, 2), pad: (2, 0)),
    .init(size: (20, 19), channels: (24, 24), groups: 24),
    .init(size: (15, 12), channels: (100, 100), stride: (2, 2), groups: 100),
    .init(size: (16, 16), channels: (12, 36), groups: 6),
    .init(size: (10, 18), channels: (40, 20), stride: (2, 2), groups: 2),
    .init(batch: 2, size: (6, 6), channels: (200, 20)),
    .init(size: (9, 11), channels: (10, 12), pad: (2, 2)),
    .init(size: (4, 3), channels: (10, 12), pad: (2, 2)),
    .init(size: (23, 22), channels: (9, 5), kernel: (4, 5), stride: (3, 3), pad: (1, 2)),
    .init(size: (13, 17), channels: (9, 5), kernel: (2, 2), stride: (3, 3), pad: (1, 1)),
    .init(batch: 1, size: (20, 40), channels: (260, 300)),
    .init(batch: 2, size: (3, 700), channels: (4, 3)),
  ]
}

private enum Mask: CaseIterable, Sendable {
  case noneFrozen, allFrozen, tenth, sixTenths, ninety, ninetyNine, singleUnfrozen, channelsFrozen

  func frozen(_ shape: sq_conv, using random: inout SplitMix) -> (Int) -> UInt8 {
    let filter = Int(shape.kernel_height * shape.kernel_width * (shape.in_channels / shape.groups))
    let count = filter * Int(shape.out_channels)
    let share: Double
    switch self {
    case .noneFrozen: share = 0
    case .allFrozen: share = 2
    case .tenth: share = 0.1
    case .sixTenths: share = 0.6
    case .ninety: share = 0.9
    case .ninetyNine: share = 0.99
    case .singleUnfrozen:
      let unfrozen = Int.random(in: 0..<count, using: &random)
      return { $0 == unfrozen ? 0 : 1 }
    case .channelsFrozen:
      return { ($0 / filter) % 3 == 1 ? 0 : 255 }
    }
    let draws = (0..<count).map { _ in Double.random(in: 0..<1, using: &random) < share }
    return { draws[$0] ? 1 : 0 }
  }
}

@Suite("Sparse weight gradient kernels")
struct SparseWeightGradientTests {
  private static let instructionSets = [SQ_ISA_PORTABLE, SQ_ISA_AVX2, SQ_ISA_AVX512]
    .filter { sq_kernels_for($0) != nil }.map(\.rawValue)

  /// What results hold before the gradient is added.
  private static let start: Float = 0.5

  /// The largest difference from the formula in double precision, relative to the sum of the terms' magnitudes.
  private func largestError(
    _ shape: sq_conv, input: (Int) -> Double, gradient: UnsafeMutableBufferPointer<Float>, frozen: (Int) -> Bool,
    images: Range<Int>, result: UnsafeMutableBufferPointer<Float>
  ) -> Double {
    let inGroup = Int(shape.in_channels / shape.groups)
    let outGroup = Int(shape.out_channels / shape.groups)
    let (outChannels, inChannels) = (Int(shape.out_channels), Int(shape.in_channels))
    let taps = Int(shape.kernel_height * shape.kernel_width)
    var sums = [Double](repeating: Double(Self.start), count: result.count)
    var sizes = sums
    for n in images {
      for y in 0..<Int(shape.out_height) {
        for x in 0..<Int(shape.out_width) {
          let pixel = ((n * Int(shape.out_height) + y) * Int(shape.out_width) + x) * outChannels
          for tap in 0..<taps {
            let inputY = y * Int(shape.stride_y) + tap / Int(shape.kernel_width) - Int(shape.pad_top)
            let inputX = x * Int(shape.stride_x) + tap % Int(shape.kernel_width) - Int(shape.pad_left)
            guard inputY >= 0, inputY < shape.in_height, inputX >= 0, inputX < shape.in_width else { continue }
            let from = ((n * Int(shape.in_height) + inputY) * Int(shape.in_width) + inputX) * inChannels
            for o in 0..<outChannels {
              let g = Double(gradient[pixel + o])
              for i in 0..<inGroup {
                let product = g * input(from + o / outGroup * inGroup + i)
                sums[(o * taps + tap) * inGroup + i] += product
                sizes[(o * taps + tap) * inGroup + i] += abs(product)
              }
            }
          }
        }
      }
    }
    var largest = 0.0
    for index in 0..<result.count {
      let expected = frozen(index) ? Double(Self.start) : sums[index]
      let error = abs(Double(result[index]) - expected) / (frozen(index) ? 1e-30 : sizes[index])
      if !(error <= largest) { largest = error }
    }
    return largest
  }

  @Test(
    "add what the formula says for any shape and mask, on any part of the batch, and write nothing else",
    arguments: ConvolutionCase.all, [SQ_ISA_REFERENCE.rawValue] + instructionSets)
  private func agreesWithFormula(convolution: ConvolutionCase, instructionSet: UInt32) throws {
    var shape = convolution.shape
    let kernels = try #require(sq_kernels_for(sq_isa(rawValue: instructionSet))).pointee.sparse_weight_gradient
    var random = SplitMix(state: 7)
    let inputCount = Int(shape.batch * shape.in_height * shape.in_width * shape.in_channels)
    let outputCount = Int(shape.batch * shape.out_height * shape.out_width * shape.out_channels)
    let weightCount = Int(
      shape.out_channels * shape.kernel_height * shape.kernel_width * (shape.in_channels / shape.groups))
    let input = GuardedBuffer<Float>(inputCount) { _ in Float.random(in: -1...1, using: &random) }
    let levels = GuardedBuffer<UInt8>(inputCount) { _ in UInt8.random(in: 0...255, using: &random) }
    let gradient = GuardedBuffer<Float>(outputCount) { _ in Float.random(in: -1...1, using: &random) }
    // All masks for the small shapes, every third for the others.
    let isSmall = outputCount * weightCount < 30_000_000
    for (number, mask) in Mask.allCases.enumerated() where isSmall || number % 3 == 0 {
      let frozen = mask.frozen(shape, using: &random)
      // Laid out for as many images as a call works on, or for fewer.
      shape.batch = number % 3 == 1 ? (convolution.batch + 1) / 2 : convolution.batch
      let frozenMask = GuardedBuffer<UInt8>(weightCount) { frozen($0) }
      let index = GuardedBuffer<UInt8>(kernels.index_bytes(&shape)) { _ in 0xEE }
      let scratch = GuardedBuffer<UInt8>(kernels.scratch_bytes(&shape)) { _ in 0xFF }
      let result = GuardedBuffer<Float>(weightCount) { _ in Self.start }
      kernels.index_build(&shape, frozenMask.base, index.base)
      let batch = Int(convolution.batch)
      let images = number % 2 == 0 || batch == 1 ? 0..<batch : 1..<batch
      let (first, count) = (Int32(images.lowerBound), Int32(images.count))

      kernels.backward_weight(&shape, input.base, gradient.base, index.base, result.base, first, count, scratch.base)
      let error = largestError(
        shape, input: { Double(input.elements[$0]) }, gradient: gradient.elements,
        frozen: { frozenMask.elements[$0] != 0 }, images: images, result: result.elements)
      #expect(error <= 1e-6, "floats, \(mask)")

      result.elements.update(repeating: Self.start)
      kernels.backward_weight_u8(
        &shape, levels.base, gradient.base, index.base, result.base, first, count, scratch.base)
      let levelError = largestError(
        shape, input: { Double(levels.elements[$0]) }, gradient: gradient.elements,
        frozen: { frozenMask.elements[$0] != 0 }, images: images, result: result.elements)
      #expect(levelError <= 1e-6, "levels, \(mask)")

      #expect(index.endIsIntact && scratch.endIsIntact && result.endIsIntact)
      #expect(input.endIsIntact && levels.endIsIntact && gradient.endIsIntact && frozenMask.endIsIntact)
    }
  }

  @Test("give the same bits whatever the scratch held before", arguments: instructionSets)
  func scratchDoesNotMatter(instructionSet: UInt32) throws {
    var shape = ConvolutionCase(batch: 4, size: (11, 23), channels: (6, 10)).shape
    let kernels = try #require(sq_kernels_for(sq_isa(rawValue: instructionSet))).pointee.sparse_weight_gradient
    var random = SplitMix(state: 8)
    let input = GuardedBuffer<Float>(4 * 11 * 23 * 6) { _ in Float.random(in: -1...1, using: &random) }
    let gradient = GuardedBuffer<Float>(4 * 11 * 23 * 10) { _ in Float.random(in: -1...1, using: &random) }
    let frozen = GuardedBuffer<UInt8>(10 * 9 * 6) { _ in UInt8.random(in: 0...1, using: &random) }
    let index = GuardedBuffer<UInt8>(kernels.index_bytes(&shape)) { _ in 0 }
    kernels.index_build(&shape, frozen.base, index.base)
    let results = [UInt8(0), 0xFF].map { fill in
      let scratch = GuardedBuffer<UInt8>(kernels.scratch_bytes(&shape)) { _ in fill }
      let result = GuardedBuffer<Float>(10 * 9 * 6) { _ in 0 }
      kernels.backward_weight(&shape, input.base, gradient.base, index.base, result.base, 0, 4, scratch.base)
      return result.elements.map(\.bitPattern)
    }
    #expect(results[0] == results[1])
  }
}
