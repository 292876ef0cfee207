import CKernels
import Testing

private func shape(
  batch: Int32 = 2, size: (height: Int32, width: Int32), channels: (input: Int32, output: Int32),
  kernel: (height: Int32, width: Int32) = (3, 3), stride: (y: Int32, x: Int32) = (1, 1),
  pad: (top: Int32, left: Int32) = (1, 1), groups: Int32
) -> sq_conv {
  sq_conv(
    batch: batch, in_height: size.height, in_width: size.width, in_channels: channels.input,
    out_height: (size.height + 2 * pad.top - kernel.height) / stride.y + 1,
    out_width: (size.width + 2 * pad.left - kernel.width) / stride.x + 1, out_channels: channels.output,
    kernel_height: kernel.height, kernel_width: kernel.width, stride_y: stride.y, stride_x: stride.x,
    pad_top: pad.top, pad_left: pad.left, groups: groups)
}

private let shapes: [sq_conv] = [
  shape(size: (9, 10), channels: (64, 64), groups: 64),
  shape(size: (7, 7), channels: (13, 13), stride: (2, 2), groups: 13),
  shape(batch: 3, size: (5, 6), channels: (70, 70), kernel: (5, 3), stride: (1, 2), pad: (2, 1), groups: 70),
  shape(size: (12, 11), channels: (100, 100), stride: (2, 2), groups: 100),
  shape(size: (3, 2), channels: (40, 40), groups: 40),
  shape(size: (6, 6), channels: (9, 18), groups: 9),
  shape(size: (8, 8), channels: (32, 32), groups: 2),
  shape(size: (8, 9), channels: (12, 36), stride: (2, 2), groups: 6),
  shape(size: (5, 5), channels: (10, 35), kernel: (1, 1), pad: (0, 0), groups: 5),
  shape(size: (6, 5), channels: (15, 3), kernel: (2, 4), pad: (0, 2), groups: 3),
  shape(batch: 1, size: (1, 1), channels: (2, 2), kernel: (1, 1), pad: (0, 0), groups: 2),
]

@Suite("Grouped convolution kernels")
struct GroupedConvolutionTests {
  private static let instructionSets = [SQ_ISA_PORTABLE, SQ_ISA_AVX2, SQ_ISA_AVX512]
    .filter { sq_kernels_for($0) != nil }.map(\.rawValue)

  /// Largest difference relative to the largest magnitude expected; NaN where any value is.
  private func difference(_ result: GuardedBuffer<Float>, _ expected: GuardedBuffer<Float>) -> Float {
    var largest: Float = 0
    var scale: Float = 1
    for (a, b) in zip(result.elements, expected.elements) where !(abs(a - b) <= largest) { largest = abs(a - b) }
    for b in expected.elements where b.magnitude > scale { scale = b.magnitude }
    return largest / scale
  }

  /// What the kernels of one instruction set compute from the same random values.
  private struct Results {
    var output, inputGradient, weightGradient, weightGradientOfLevels: GuardedBuffer<Float>
    var statistics: GuardedBuffer<Double>
  }

  private func compute(_ shape: sq_conv, _ instructionSet: sq_isa, first: Int32) throws -> Results {
    var shape = shape
    let kernels = try #require(sq_kernels_for(instructionSet)).pointee.convolution
    var random = SplitMix(state: 3)
    let inputCount = Int(shape.batch * shape.in_height * shape.in_width * shape.in_channels)
    let outputCount = Int(shape.batch * shape.out_height * shape.out_width * shape.out_channels)
    let outChannels = Int(shape.out_channels)
    let weightCount = outChannels * Int(shape.kernel_height * shape.kernel_width * (shape.in_channels / shape.groups))
    let input = GuardedBuffer<Float>(inputCount) { _ in Float.random(in: -1...1, using: &random) }
    let levels = GuardedBuffer<UInt8>(inputCount) { _ in UInt8.random(in: 0...255, using: &random) }
    let gradient = GuardedBuffer<Float>(outputCount) { _ in Float.random(in: -1...1, using: &random) }
    let weights = GuardedBuffer<Float>(weightCount) { _ in Float.random(in: -1...1, using: &random) }
    let bias = GuardedBuffer<Float>(outChannels) { _ in Float.random(in: -1...1, using: &random) }
    let scratch = GuardedBuffer<UInt8>(kernels.scratch_bytes(&shape)) { _ in 0xFF }
    let packed = GuardedBuffer<Float>(kernels.forward_packed_count(&shape)) { _ in .nan }
    let backwardPacked = GuardedBuffer<Float>(kernels.backward_input_packed_count(&shape)) { _ in .nan }
    let results = Results(
      output: GuardedBuffer(outputCount) { _ in 7 }, inputGradient: GuardedBuffer(inputCount) { _ in 7 },
      weightGradient: GuardedBuffer(weightCount) { _ in 7 },
      weightGradientOfLevels: GuardedBuffer(weightCount) { _ in 7 },
      statistics: GuardedBuffer(2 * outChannels) { _ in 7 })
    let count = shape.batch - first
    kernels.forward_pack(&shape, weights.base, packed.base)
    kernels.backward_input_pack(&shape, weights.base, backwardPacked.base)
    kernels.forward(
      &shape, input.base, packed.base, bias.base, results.output.base, results.statistics.base, first, count,
      scratch.base)
    kernels.backward_input(
      &shape, gradient.base, backwardPacked.base, results.inputGradient.base, first, count, scratch.base)
    kernels.backward_weight(
      &shape, input.base, gradient.base, results.weightGradient.base, first, count, scratch.base)
    kernels.backward_weight_u8(
      &shape, levels.base, gradient.base, results.weightGradientOfLevels.base, first, count, scratch.base)
    for buffer in [
      input, gradient, weights, bias, packed, backwardPacked, results.output, results.inputGradient,
      results.weightGradient, results.weightGradientOfLevels,
    ] {
      #expect(buffer.endIsIntact)
    }
    #expect(scratch.endIsIntact && levels.endIsIntact && results.statistics.endIsIntact)
    return results
  }

  @Test(
    "agree with the reference, leave other images alone and write nothing past the ends", arguments: shapes.indices,
    instructionSets)
  func agreesWithReference(shapeNumber: Int, instructionSet: UInt32) throws {
    let shape = shapes[shapeNumber]
    for first in 0..<min(2, shape.batch) {
      let results = try compute(shape, sq_isa(rawValue: instructionSet), first: first)
      let expected = try compute(shape, SQ_ISA_REFERENCE, first: first)
      #expect(difference(results.output, expected.output) <= 2e-6)
      #expect(difference(results.inputGradient, expected.inputGradient) <= 2e-6)
      #expect(difference(results.weightGradient, expected.weightGradient) <= 4e-6)
      #expect(difference(results.weightGradientOfLevels, expected.weightGradientOfLevels) <= 4e-6)
      let pixels = Double((shape.batch - first) * shape.out_height * shape.out_width)
      for (a, b) in zip(results.statistics.elements, expected.statistics.elements) {
        #expect(abs(a - b) <= 2e-6 * (pixels + abs(b)))
      }
    }
  }
}
