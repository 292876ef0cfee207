import CKernels
import Kernels
import Tensor
import TestSupport
import Testing

private struct IntegerCase: CustomTestStringConvertible, Sendable {
  var batch: Int32 = 3
  var size: (height: Int32, width: Int32)
  var channels: (input: Int32, output: Int32)
  var kernel: Int32 = 3
  var stride: Int32 = 1
  var pad: Int32 = 1

  var shape: sq_conv {
    sq_conv(
      batch: batch, in_height: size.height, in_width: size.width, in_channels: channels.input,
      out_height: (size.height + 2 * pad - kernel) / stride + 1,
      out_width: (size.width + 2 * pad - kernel) / stride + 1, out_channels: channels.output, kernel_height: kernel,
      kernel_width: kernel, stride_y: stride, stride_x: stride, pad_top: pad, pad_left: pad, groups: 1)
  }

  var testDescription: String {
    "\(batch)x\(size.height)x\(size.width)x\(channels.input)->\(channels.output), kernel \(kernel), stride \(stride)"
  }

  static let all: [IntegerCase] = [
    .init(batch: 4, size: (32, 32), channels: (16, 16)),
    .init(size: (32, 32), channels: (16, 32), stride: 2),
    .init(batch: 5, size: (8, 8), channels: (64, 64)),
    .init(batch: 2, size: (40, 40), channels: (17, 33)),
    .init(batch: 7, size: (7, 7), channels: (9, 5), kernel: 1, pad: 0),
    .init(batch: 9, size: (14, 14), channels: (64, 48), kernel: 1, stride: 2, pad: 0),
    .init(batch: 2, size: (3, 200), channels: (8, 20)),
    .init(batch: 1, size: (5, 5), channels: (40, 70), kernel: 5, pad: 2),
    .init(batch: 1, size: (230, 230), channels: (3, 8), kernel: 7, stride: 2, pad: 3),
    .init(batch: 200, size: (1, 1), channels: (64, 10), kernel: 1, pad: 0),
    .init(batch: 1, size: (1, 1), channels: (1, 1), kernel: 1, pad: 0),
    .init(batch: 4, size: (13, 17), channels: (20, 24), stride: 3),
    // One image in halves: of as many rows, of one row more, of a row and none.
    .init(batch: 1, size: (14, 14), channels: (16, 24)),
    .init(batch: 1, size: (17, 12), channels: (24, 16), stride: 2),
    .init(batch: 1, size: (2, 9), channels: (8, 8)),
  ]
}

@Suite("Integer weight gradient kernels")
struct IntegerWeightGradientTests {
  private static let instructionSets = [SQ_ISA_PORTABLE, SQ_ISA_AVX2, SQ_ISA_AVX512]
    .filter { sq_kernels_for($0) != nil }.map(\.rawValue)

  private func kernels(_ instructionSet: UInt32) throws -> sq_integer_weight_gradient_kernels {
    try #require(sq_kernels_for(sq_isa(rawValue: instructionSet))).pointee.integer_weight_gradient
  }

  /// The gradient of all weights, or of those that `frozen` leaves, added to 0.5.
  private func gradient(
    _ shape: sq_conv, _ kernels: sq_integer_weight_gradient_kernels, levels: GuardedBuffer<UInt8>, maximum: Int32,
    output: GuardedBuffer<Float>, frozen: GuardedBuffer<UInt8>?, images: Range<Int32>, scratchFill: UInt8 = 0xFF
  ) -> [UInt32] {
    var shape = shape
    let count = Int(shape.out_channels * shape.kernel_height * shape.kernel_width * shape.in_channels)
    let images = (first: images.lowerBound, count: Int32(images.count))
    let scratch = GuardedBuffer<UInt8>(kernels.scratch_bytes(&shape, maximum, images.count)) { _ in scratchFill }
    let result = GuardedBuffer<Float>(count) { _ in 0.5 }
    if let frozen {
      let index = GuardedBuffer<UInt8>(kernels.index_bytes(&shape)) { _ in 0xEE }
      kernels.index_build(&shape, frozen.base, index.base)
      kernels.backward_unfrozen(
        &shape, levels.base, maximum, output.base, index.base, result.base, images.first, images.count, scratch.base)
      #expect(index.endIsIntact)
    } else {
      kernels.backward_weight(
        &shape, levels.base, maximum, output.base, result.base, images.first, images.count, scratch.base)
    }
    #expect(result.endIsIntact && scratch.endIsIntact)
    return result.elements.map(\.bitPattern)
  }

  @Test(
    "agree with the formula to the last bit, for any shape, level and mask, on any part of the batch",
    arguments: IntegerCase.all)
  private func agreesWithReference(convolution: IntegerCase) throws {
    let shape = convolution.shape
    let reference = try kernels(SQ_ISA_REFERENCE.rawValue)
    var random = SplitMix(state: 3)
    let weights = Int(shape.out_channels * shape.kernel_height * shape.kernel_width * shape.in_channels)
    let output = GuardedBuffer<Float>(Int(shape.batch * shape.out_height * shape.out_width * shape.out_channels)) {
      _ in
      let value = Float.random(in: -1...1, using: &random)
      return value * value * value
    }
    for (bits, frozenShare) in [(2, 0.5), (8, 0.9)] {
      let maximum = Int32(1 << bits) - 1
      let levels = GuardedBuffer<UInt8>(Int(shape.batch * shape.in_height * shape.in_width * shape.in_channels)) { _ in
        UInt8.random(in: 0...UInt8(maximum), using: &random)
      }
      let frozen = GuardedBuffer<UInt8>(weights) { _ in Double.random(in: 0..<1, using: &random) < frozenShare ? 1 : 0 }
      for images in [0..<shape.batch, shape.batch / 3..<shape.batch] {
        for mask in [nil, frozen] {
          func gradient(_ kernels: sq_integer_weight_gradient_kernels) -> [UInt32] {
            self.gradient(
              shape, kernels, levels: levels, maximum: maximum, output: output, frozen: mask, images: images)
          }
          let expected = gradient(reference)
          for instructionSet in Self.instructionSets {
            let result = gradient(try kernels(instructionSet))
            #expect(result == expected, "\(bits) bits, images \(images), instruction set \(instructionSet)")
          }
        }
      }
    }
  }

  @Test("are the sums of rounded units", arguments: [SQ_ISA_REFERENCE.rawValue] + instructionSets)
  func formula(instructionSet: UInt32) throws {
    // Two pixels of two images, two output channels, one input channel.
    let shape = IntegerCase(batch: 2, size: (1, 2), channels: (1, 2), kernel: 1, pad: 0).shape
    let output: [Float] = [1, 0.25, -0.5, 0.1, 0.3, -0.05, 0.7, 0]
    let levels: [UInt8] = [3, 2, 1, 3]
    let expected = (0..<2).map { channel in
      let values = stride(from: channel, to: 8, by: 2).map { output[$0] }
      let largest = values.map(abs).max()!
      var sum = 0
      for (value, level) in zip(values, levels) {
        sum += Int((value * (32767 / largest)).rounded(.toNearestOrEven)) * Int(level)
      }
      return (Float(sum) * (largest / 32767)).bitPattern
    }
    let result = gradient(
      shape, try kernels(instructionSet), levels: GuardedBuffer(4) { levels[$0] }, maximum: 3,
      output: GuardedBuffer(8) { output[$0] }, frozen: nil, images: 0..<2)
    #expect(result == expected)
  }

  @Test(
    "never overflow: largest units times largest levels, around what 32 bits hold and beyond", arguments: 2...8,
    [SQ_ISA_REFERENCE.rawValue] + instructionSets)
  func extremes(bits: Int, instructionSet: UInt32) throws {
    let kernels = try kernels(instructionSet)
    let maximum = (1 << bits) - 1
    let fit = Int(Int32.max) / (32767 * maximum)
    for pixels in [fit - 1, fit, fit + 1, 2 * fit + 3, 5 * fit] {
      for (height, images) in [(1, 1), (1, 4), (7, 3)] {
        let width = (pixels + height * images - 1) / (height * images)
        let shape = IntegerCase(
          batch: Int32(images), size: (Int32(height), Int32(width)), channels: (2, 2), kernel: 1, pad: 0
        ).shape
        let all = images * height * width
        let levels = GuardedBuffer<UInt8>(2 * all) { _ in UInt8(maximum) }
        // One channel all 1, the other all −1.
        let output = GuardedBuffer<Float>(2 * all) { $0 % 2 == 0 ? 1 : -1 }
        let largest = Float(all * maximum * 32767) * (Float(1) / 32767)
        let none = GuardedBuffer<UInt8>(4) { _ in 0 }
        for frozen in [nil, none] {
          let start: Float = frozen == nil ? 0 : 0.5
          let expected = [largest, largest, -largest, -largest].map { ($0 + start).bitPattern }
          let result = gradient(
            shape, kernels, levels: levels, maximum: Int32(maximum), output: output, frozen: frozen,
            images: 0..<Int32(images))
          #expect(result == expected, "\(all) pixels, \(height) rows, \(images) images")
        }
      }
    }
  }

  @Test(
    "pass on what is not finite, channel by channel, and take next to nothing for nothing",
    arguments: [SQ_ISA_REFERENCE.rawValue] + instructionSets)
  func unusualNumbers(instructionSet: UInt32) throws {
    let shape = IntegerCase(batch: 2, size: (4, 4), channels: (3, 5), kernel: 3).shape
    let levels = GuardedBuffer<UInt8>(2 * 16 * 3) { UInt8($0 % 4) }
    let output = GuardedBuffer<Float>(2 * 16 * 5) { index in
      switch index % 5 {
      case 0: index == 45 ? .nan : 0.1
      case 1: index == 46 ? -.infinity : 0.1
      case 2: 0
      case 3: 1e-35
      default: 0.5
      }
    }
    for frozen in [nil, GuardedBuffer<UInt8>(5 * 27) { _ in 0 }] {
      let result = gradient(
        shape, try kernels(instructionSet), levels: levels, maximum: 3, output: output, frozen: frozen, images: 0..<2
      ).map(Float.init(bitPattern:))
      let start: Float = frozen == nil ? 0 : 0.5
      let areNaN = result[0..<54].allSatisfy(\.isNaN)
      let areZero = result[54..<108].allSatisfy { $0 == start }
      let areSums = result[108...].allSatisfy { $0.isFinite && $0 > start }
      #expect(areNaN && areZero && areSums)
    }
  }

  @Test("give the same bits whatever the scratch held before", arguments: instructionSets)
  func scratchDoesNotMatter(instructionSet: UInt32) throws {
    let shape = IntegerCase(batch: 5, size: (11, 23), channels: (6, 10), stride: 2).shape
    var random = SplitMix(state: 8)
    let levels = GuardedBuffer<UInt8>(5 * 11 * 23 * 6) { _ in UInt8.random(in: 0...15, using: &random) }
    let output = GuardedBuffer<Float>(5 * 6 * 12 * 10) { _ in Float.random(in: -1...1, using: &random) }
    let frozen = GuardedBuffer<UInt8>(10 * 9 * 6) { _ in UInt8.random(in: 0...1, using: &random) }
    for mask in [nil, frozen] {
      let results = try [UInt8(0), 0xFF].map { fill in
        gradient(
          shape, try kernels(instructionSet), levels: levels, maximum: 15, output: output, frozen: mask, images: 0..<5,
          scratchFill: fill)
      }
      #expect(results[0] == results[1])
    }
  }

  @Test("of a convolution have the same bits for any number of threads and instruction set, dense or sparse")
  func convolutions() {
    for (batch, side, channels, bits) in [(37, 9, 12, 2), (130, 6, 16, 4), (100, 8, 8, 8), (6, 40, 8, 8)] {
      let shape = ConvolutionShape(
        batch: batch, inputHeight: side, inputWidth: side, inputChannels: channels, outputChannels: channels + 4,
        kernel: 3, padding: 1)
      let maximum = (1 << bits) - 1
      let levels = Buffer(normals(shape.inputCount, seed: 4).map { UInt8(min(max(abs($0) * 100, 0), Float(maximum))) })
      let output = Buffer(normals(shape.outputCount, seed: 3))
      let frozen = Buffer(normals(shape.weightCount, seed: 6).map { UInt8($0 > 0 ? 1 : 0) })
      func gradients(_ backend: CPUBackend) -> [[UInt32]] {
        let operation = CPUConvolution(shape: shape, gradients: .int16(maximumInput: maximum), backend: backend)
        operation.index(frozen: frozen)
        return [false, true].map { sparse in
          let gradient = Buffer<Float>(count: shape.weightCount)
          operation.backward(
            outputGradient: .buffer(output), inputGradient: nil, input: .levels(levels), weightGradient: gradient,
            scale: 0.25, images: batch - 1, sparse: sparse)
          return gradient.array.map(\.bitPattern)
        }
      }
      let expected = gradients(CPUBackend(threads: 1))
      for index in 0..<shape.weightCount {
        #expect(expected[1][index] == (frozen[index] == 0 ? expected[0][index] : 0))
      }
      for set in InstructionSet.allCases where set.isAvailable && set != .reference {
        for threads in [1, 2, 3, 16, 33] {
          #expect(gradients(CPUBackend(threads: threads, instructionSet: set)) == expected)
        }
      }
    }
  }
}
