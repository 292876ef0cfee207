import CKernels
import Testing

private struct LevelRange: CustomTestStringConvertible, Sendable {
  var maxInput: Int32
  var maxWeight: Int32

  var testDescription: String { "inputs to \(maxInput), weights to ±\(maxWeight)" }

  /// From 1 bit to 8, both sides of every change of the inner loop, and mixed widths.
  static let all: [LevelRange] = [
    .init(maxInput: 1, maxWeight: 1), .init(maxInput: 3, maxWeight: 3), .init(maxInput: 7, maxWeight: 8),
    .init(maxInput: 15, maxWeight: 15), .init(maxInput: 31, maxWeight: 31), .init(maxInput: 63, maxWeight: 64),
    .init(maxInput: 127, maxWeight: 127), .init(maxInput: 127, maxWeight: 128), .init(maxInput: 128, maxWeight: 127),
    .init(maxInput: 128, maxWeight: 128), .init(maxInput: 255, maxWeight: 64), .init(maxInput: 255, maxWeight: 65),
    .init(maxInput: 255, maxWeight: 127), .init(maxInput: 255, maxWeight: 128), .init(maxInput: 255, maxWeight: 1),
    .init(maxInput: 3, maxWeight: 128),
  ]
}

private enum Levels: CaseIterable, Sendable {
  case random, allAtMaximum, allAtMinimum, extremesAtRandom

  func input(_ range: LevelRange, using random: inout SplitMix) -> UInt8 {
    self == .random ? UInt8.random(in: 0...UInt8(range.maxInput), using: &random) : UInt8(range.maxInput)
  }

  func weight(_ range: LevelRange, using random: inout SplitMix) -> Int8 {
    let highest = Int8(clamping: range.maxWeight)
    let lowest = Int8(clamping: -range.maxWeight)
    switch self {
    case .random: return Int8.random(in: lowest...highest, using: &random)
    case .allAtMaximum: return highest
    case .allAtMinimum: return lowest
    case .extremesAtRandom: return Bool.random(using: &random) ? highest : lowest
    }
  }
}

private let shapes: [sq_conv] = [
  shape(batch: 2, size: 8, channels: (16, 16)),
  shape(batch: 2, size: 9, channels: (32, 32), stride: 2),
  shape(batch: 3, size: 7, channels: (64, 33)),
  shape(batch: 2, size: 8, channels: (3, 16)),
  shape(batch: 2, size: 5, channels: (6, 9), kernel: 5, pad: 2),
  shape(batch: 1, size: 11, channels: (3, 20), kernel: 7, stride: 2, pad: 3),
  shape(batch: 3, size: 6, channels: (19, 17), kernel: 1, pad: 0),
  shape(batch: 3, size: 6, channels: (19, 17), kernel: 1, stride: 2, pad: 0),
  shape(batch: 301, size: 1, channels: (64, 10), kernel: 1, pad: 0),
  shape(batch: 2, size: 6, channels: (24, 40), groups: 2),
  shape(batch: 2, size: 6, channels: (18, 27), groups: 3),
  shape(batch: 2, size: 9, channels: (70, 70), groups: 70),
  shape(batch: 2, size: 10, channels: (40, 40), stride: 2, groups: 40),
  shape(batch: 1, size: 8, channels: (5, 5), kernel: 5, stride: 2, pad: 2, groups: 5),
  shape(batch: 1, size: 1, channels: (1, 1), kernel: 1, pad: 0),
]

private func shape(
  batch: Int32, size: Int32, channels: (input: Int32, output: Int32), kernel: Int32 = 3, stride: Int32 = 1,
  pad: Int32 = 1, groups: Int32 = 1
) -> sq_conv {
  let outSize = (size + 2 * pad - kernel) / stride + 1
  return sq_conv(
    batch: batch, in_height: size, in_width: size, in_channels: channels.input, out_height: outSize,
    out_width: outSize, out_channels: channels.output, kernel_height: kernel, kernel_width: kernel, stride_y: stride,
    stride_x: stride, pad_top: pad, pad_left: pad, groups: groups)
}

@Suite("Integer convolution kernels")
struct IntegerConvolutionTests {
  private static let instructionSets = [SQ_ISA_REFERENCE, SQ_ISA_PORTABLE, SQ_ISA_AVX2, SQ_ISA_AVX512]
    .filter { sq_kernels_for($0) != nil }.map(\.rawValue)

  /// The formula in 64-bit integers.
  private func expectedSum(
    _ shape: sq_conv, input: UnsafeMutableBufferPointer<UInt8>, weights: UnsafeMutableBufferPointer<Int8>, pixel: Int,
    channel: Int
  ) -> Int64 {
    let inGroup = Int(shape.in_channels / shape.groups)
    let outGroup = Int(shape.out_channels / shape.groups)
    let (height, width) = (Int(shape.out_height), Int(shape.out_width))
    let (n, y, x) = (pixel / (height * width), pixel / width % height, pixel % width)
    let columns = Int(shape.kernel_width)
    var sum: Int64 = 0
    for tap in 0..<Int(shape.kernel_height) * columns {
      let inputY = y * Int(shape.stride_y) + tap / columns - Int(shape.pad_top)
      let inputX = x * Int(shape.stride_x) + tap % columns - Int(shape.pad_left)
      guard inputY >= 0, inputY < shape.in_height, inputX >= 0, inputX < shape.in_width else { continue }
      let from =
        ((n * Int(shape.in_height) + inputY) * Int(shape.in_width) + inputX) * Int(shape.in_channels)
        + channel / outGroup * inGroup
      let weight = (channel * Int(shape.kernel_height) * columns + tap) * inGroup
      for i in 0..<inGroup { sum += Int64(input[from + i]) * Int64(weights[weight + i]) }
    }
    return sum
  }

  @Test(
    "sum exactly for every level range, at the extremes too, and write nothing else", arguments: LevelRange.all,
    instructionSets)
  private func sumsExactly(range: LevelRange, instructionSet: UInt32) throws {
    let kernels = try #require(sq_kernels_for(sq_isa(rawValue: instructionSet))).pointee.integer_convolution
    var random = SplitMix(state: 11)
    for (number, var shape) in shapes.enumerated() {
      #expect(kernels.supports(&shape, range.maxInput, range.maxWeight) == 1)
      let levels = Levels.allCases[(number + Int(range.maxWeight)) % Levels.allCases.count]
      let outChannels = Int(shape.out_channels)
      let outPixels = Int(shape.out_height * shape.out_width)
      let input = GuardedBuffer<UInt8>(Int(shape.batch * shape.in_height * shape.in_width * shape.in_channels)) { _ in
        levels.input(range, using: &random)
      }
      let weights = GuardedBuffer<Int8>(
        outChannels * Int(shape.kernel_height * shape.kernel_width * (shape.in_channels / shape.groups))
      ) { _ in levels.weight(range, using: &random) }
      let bias = GuardedBuffer<Float>(outChannels) { _ in Float.random(in: -1...1, using: &random) }
      let packed = GuardedBuffer<UInt8>(kernels.packed_bytes(&shape, range.maxInput, range.maxWeight)) { _ in 0xEE }
      let scratch = GuardedBuffer<UInt8>(kernels.scratch_bytes(&shape)) { _ in 0xFF }
      kernels.pack(&shape, weights.base, range.maxInput, range.maxWeight, packed.base)
      let scale: Float = 1 / 512

      // The whole batch with a bias; all but the first image without.
      for first in 0..<min(2, Int(shape.batch)) {
        let images = Int(shape.batch) - first
        let useBias = first == 0
        let written = first * outPixels..<Int(shape.batch) * outPixels
        let sums = GuardedBuffer<Int32>(Int(shape.batch) * outPixels * outChannels) { _ in 0x5A5A_5A5A }
        let output = GuardedBuffer<Float>(sums.elements.count) { _ in .nan }
        let shorts = GuardedBuffer<Int16>(sums.elements.count) { _ in 0x5A5A }
        let statistics = GuardedBuffer<Double>(2 * outChannels) { _ in .nan }
        kernels.forward(
          &shape, input.base, packed.base, range.maxInput, range.maxWeight, scale, useBias ? bias.base : nil,
          output.base, sums.base, shorts.base, statistics.base, Int32(first), Int32(images), scratch.base)

        var wrongSums = 0
        var wrongOutputs = 0
        for channel in 0..<outChannels {
          var total = 0.0
          var squares = 0.0
          var size = 0.0
          for pixel in 0..<Int(shape.batch) * outPixels {
            let at = pixel * outChannels + channel
            guard written.contains(pixel) else {
              wrongSums += sums.elements[at] == 0x5A5A_5A5A && shorts.elements[at] == 0x5A5A ? 0 : 1
              wrongOutputs += output.elements[at].isNaN ? 0 : 1
              continue
            }
            let expected = expectedSum(
              shape, input: input.elements, weights: weights.elements, pixel: pixel, channel: channel)
            wrongSums += Int64(sums.elements[at]) == expected ? 0 : 1
            let fits = Int16(exactly: expected)
            wrongSums += fits == nil || shorts.elements[at] == fits ? 0 : 1
            let product = Double(scale) * Double(expected)
            let offset = useBias ? Double(bias.elements[channel]) : 0
            let value = output.elements[at]
            wrongOutputs += abs(Double(value) - (product + offset)) <= 2e-7 * (abs(product) + abs(offset)) ? 0 : 1
            total += Double(value)
            squares += Double(value) * Double(value)
            size += abs(Double(value))
          }
          #expect(abs(statistics.elements[channel] - total) <= 3e-7 * size)
          #expect(abs(statistics.elements[outChannels + channel] - squares) <= 3e-7 * squares)
        }
        #expect(wrongSums == 0, "\(shape), \(levels)")
        #expect(wrongOutputs == 0, "\(shape), \(levels)")
        #expect(sums.endIsIntact && shorts.endIsIntact && output.endIsIntact && statistics.endIsIntact)

        // Leaving outputs out changes nothing else.
        let alone = GuardedBuffer<Int32>(sums.elements.count) { _ in 0x5A5A_5A5A }
        kernels.forward(
          &shape, input.base, packed.base, range.maxInput, range.maxWeight, scale, nil, nil, alone.base, nil, nil,
          Int32(first), Int32(images), scratch.base)
        #expect(alone.elements.elementsEqual(sums.elements))
      }
      #expect(packed.endIsIntact && scratch.endIsIntact && input.endIsIntact && weights.endIsIntact)
    }
  }

  @Test("refuse shapes and levels whose sums might not fit 32 bits", arguments: instructionSets)
  func refusesOverflow(instructionSet: UInt32) throws {
    let kernels = try #require(sq_kernels_for(sq_isa(rawValue: instructionSet))).pointee.integer_convolution
    var widest = shape(batch: 1, size: 3, channels: (7311, 8))  // 9 * 7311 * 255 * 128 > 2^31 - 1
    #expect(kernels.supports(&widest, 255, 128) == 0)
    #expect(kernels.supports(&widest, 255, 127) == 1)
    #expect(kernels.supports(&widest, 256, 1) == 0)
    #expect(kernels.supports(&widest, 1, 129) == 0)
  }
}
