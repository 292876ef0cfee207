import CKernels
import Foundation
import Testing

@Suite("Pooling kernels")
struct PoolingKernelsTests {
  typealias Buffer = Elementwise.Buffer

  private func kernels(_ isa: sq_isa) -> sq_pooling_kernels { sq_kernels_for(isa)!.pointee.pooling }

  /// (size of the image, window, stride, padding)
  private static let windows = [
    (8, 8, 8, 0), (7, 7, 1, 0), (9, 3, 2, 1), (8, 3, 2, 1), (6, 2, 2, 0), (5, 3, 1, 1), (7, 2, 3, 0), (1, 1, 1, 0),
  ]
  private static let channelCounts = [1, 3, 7, 8, 9, 16, 17, 64, 1023]

  private static func shape(
    _ size: Int, _ window: Int, _ stride: Int, _ padding: Int, channels: Int, outChannels: Int? = nil
  ) -> sq_conv {
    let out = (size + 2 * padding - window) / stride + 1
    var shape = sq_conv()
    shape.batch = 3
    (shape.in_height, shape.in_width, shape.in_channels) = (Int32(size), Int32(size), Int32(channels))
    (shape.out_height, shape.out_width) = (Int32(out), Int32(out))
    shape.out_channels = Int32(outChannels ?? channels)
    (shape.kernel_height, shape.kernel_width) = (Int32(window), Int32(window))
    (shape.stride_y, shape.stride_x, shape.pad_top, shape.pad_left) = (
      Int32(stride), Int32(stride), Int32(padding), Int32(padding)
    )
    shape.groups = 1
    return shape
  }

  private static var shapes: [sq_conv] {
    windows.flatMap { w in
      channelCounts.filter { $0 <= 64 || w.0 <= 6 }.map { shape(w.0, w.1, w.2, w.3, channels: $0) }
    }
  }

  private static func inputCount(_ s: sq_conv) -> Int { Int(s.batch * s.in_height * s.in_width * s.in_channels) }
  private static func outputCount(_ s: sq_conv) -> Int { Int(s.batch * s.out_height * s.out_width * s.out_channels) }

  @Test("Pooling and its gradients agree with the reference", arguments: Elementwise.vectorised)
  func agreement(isa: sq_isa) {
    for shape in Self.shapes {
      // Multiples of 1/16, whose sums are exact, with many ties.
      let input = Buffer(Elementwise.values(Self.inputCount(shape), seed: 1, isa: SQ_ISA_PORTABLE))
      let gradient = Buffer(
        Elementwise.values(Self.outputCount(shape), seed: 2, isa: SQ_ISA_PORTABLE))
      for (first, count) in [(0, 3), (1, 1), (1, 2)] as [(Int32, Int32)] {
        func run(_ set: sq_isa) -> ([Buffer<Float>], Buffer<UInt8>) {
          var shape = shape
          let kernels = kernels(set)
          let outputs = (0..<2).map { _ in Buffer<Float>(repeating: 9, count: gradient.count) }
          let gradients = (0..<2).map { _ in Buffer<Float>(repeating: 9, count: input.count) }
          let winner = Buffer<UInt8>(repeating: 99, count: gradient.count)
          kernels.average_forward(&shape, input.pointer, outputs[0].pointer, first, count)
          kernels.average_backward(&shape, gradient.pointer, gradients[0].pointer, first, count)
          kernels.max_forward(&shape, input.pointer, outputs[1].pointer, winner.pointer, first, count)
          kernels.max_backward(&shape, gradient.pointer, winner.pointer, gradients[1].pointer, first, count)
          return (outputs + gradients, winner)
        }
        let (result, reference) = (run(isa), run(SQ_ISA_REFERENCE))
        let backend = "\(shape), images from \(first), \(count) of them"
        Elementwise.expectSame(result.1, reference.1, "winner, \(backend)")
        Elementwise.expectSame(result.0[1], reference.0[1], "maximum, \(backend)")
        Elementwise.expectSame(result.0[3], reference.0[3], "maximum's gradient, \(backend)")
        for index in [0, 2] {
          let (a, b) = (result.0[index], reference.0[index])
          let worst = zip(a.values, b.values).map { abs($0 - $1) }.max()!
          #expect(worst <= 1e-6, "average \(index), \(backend)")
          #expect(a.isIntact)
        }
      }
    }
  }

  @Test("Average pooling's gradient is the transpose of average pooling", arguments: Elementwise.all)
  func averageAdjoint(isa: sq_isa) {
    for shape in Self.shapes where shape.in_channels <= 17 {
      var shape = shape
      let x = Elementwise.values(Self.inputCount(shape), seed: 1, isa: SQ_ISA_PORTABLE)
      let g = Elementwise.values(Self.outputCount(shape), seed: 2, isa: SQ_ISA_PORTABLE)
      let (input, gradient) = (Buffer(x), Buffer(g))
      let output = Buffer<Float>(repeating: 9, count: g.count)
      let back = Buffer<Float>(repeating: 9, count: x.count)
      kernels(isa).average_forward(&shape, input.pointer, output.pointer, 0, 3)
      kernels(isa).average_backward(&shape, gradient.pointer, back.pointer, 0, 3)
      let forward = zip(output.values, g).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
      let backward = zip(x, back.values).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
      #expect(abs(forward - backward) <= 1e-5 * Double(g.count))
    }
  }

  @Test("Average pooling counts padding as zeros", arguments: Elementwise.all)
  func averageByHand(isa: sq_isa) {
    var shape = Self.shape(3, 2, 2, 1, channels: 1)
    shape.batch = 1
    let input = Buffer<Float>([1, 2, 3, 4, 5, 6, 7, 8, 9])
    let output = Buffer<Float>(repeating: 9, count: 4)
    kernels(isa).average_forward(&shape, input.pointer, output.pointer, 0, 1)
    #expect(output.values == [0.25, 1.25, 2.75, 7])
  }

  @Test("Max pooling ignores padding, takes the first of equals and lets NaN win", arguments: Elementwise.all)
  func maxByHand(isa: sq_isa) {
    var shape = Self.shape(3, 2, 2, 1, channels: 1)
    shape.batch = 1
    let input = Buffer<Float>([-1, -2, -2, -3, -5, -5, -3, -5, .nan])
    let output = Buffer<Float>(repeating: 9, count: 4)
    let winner = Buffer<UInt8>(repeating: 99, count: 4)
    kernels(isa).max_forward(&shape, input.pointer, output.pointer, winner.pointer, 0, 1)
    #expect(Array(output.values.dropLast()) == [-1, -2, -3] && output.values[3].isNaN)
    #expect(winner.values == [3, 2, 1, 3])
    let gradient = Buffer<Float>([1, 2, 4, 8])
    let back = Buffer<Float>(repeating: 9, count: 9)
    kernels(isa).max_backward(&shape, gradient.pointer, winner.pointer, back.pointer, 0, 1)
    #expect(back.values == [1, 2, 0, 4, 0, 0, 0, 0, 8])
  }

  @Test("Max pooling of nothing but minus infinity chooses a position on the image", arguments: Elementwise.all)
  func maxOfInfinities(isa: sq_isa) {
    var shape = Self.shape(3, 2, 2, 1, channels: 1)
    shape.batch = 1
    let input = Buffer<Float>(repeating: -.infinity, count: 9)
    let output = Buffer<Float>(repeating: 9, count: 4)
    let winner = Buffer<UInt8>(repeating: 99, count: 4)
    kernels(isa).max_forward(&shape, input.pointer, output.pointer, winner.pointer, 0, 1)
    #expect(winner.values == [3, 2, 1, 0])
  }

  @Test(
    "The parameter-free shortcut takes every second pixel and pads channels on both sides",
    arguments: Elementwise.all)
  func shortcut(isa: sq_isa) {
    for (channels, outChannels) in [(16, 32), (32, 64), (3, 6), (5, 8), (4, 4), (1, 17)] {
      for (size, stride) in [(8, 2), (7, 2), (5, 1)] {
        var shape = Self.shape(size, 1, stride, 0, channels: channels, outChannels: outChannels)
        let x = Elementwise.values(Self.inputCount(shape), seed: 1, isa: isa)
        let g = Elementwise.values(Self.outputCount(shape), seed: 2, isa: isa)
        let (input, gradient) = (Buffer(x), Buffer(g))
        let output = Buffer<Float>(repeating: 9, count: g.count)
        let back = Buffer<Float>(repeating: 9, count: x.count)
        kernels(isa).pad_shortcut_forward(&shape, input.pointer, output.pointer, 1, 2)
        kernels(isa).pad_shortcut_backward(&shape, gradient.pointer, back.pointer, 1, 2)
        var (expected, expectedBack) = (
          Array(repeating: Float(9), count: g.count), Array(repeating: Float(9), count: x.count)
        )
        let out = Int(shape.out_height)
        let before = (outChannels - channels) / 2
        for index in x.count / 3..<x.count { expectedBack[index] = 0 }
        for index in g.count / 3..<g.count { expected[index] = 0 }
        for n in 1..<3 {
          for row in 0..<out {
            for column in 0..<out {
              for c in 0..<channels {
                let source = ((n * size + row * stride) * size + column * stride) * channels + c
                let target = ((n * out + row) * out + column) * outChannels + before + c
                expected[target] = x[source]
                expectedBack[source] = g[target]
              }
            }
          }
        }
        #expect(output.values == expected && output.isIntact)
        #expect(back.values == expectedBack && back.isIntact)
      }
    }
  }

  // MARK: Softmax cross-entropy

  private static func loss(_ logits: [Double], label: Int) -> Double {
    let largest = logits.max()!
    return log(logits.reduce(0) { $0 + exp($1 - largest) }) + largest - logits[label]
  }

  @Test(
    "Cross-entropy, its gradient and the label's rank follow their definitions", arguments: Elementwise.all,
    [1, 2, 10, 100, 1000])
  func crossEntropy(isa: sq_isa, classes: Int) {
    let rows = 5
    let values = Elementwise.values(rows * classes, seed: 1, isa: SQ_ISA_AVX2)
    let labels = Buffer((0..<rows).map { Int32($0 * 37 % classes) })
    let logits = Buffer(values)
    let losses = Buffer<Double>(repeating: 9, count: rows)
    let ranks = Buffer<Int32>(repeating: 9, count: rows)
    let gradient = Buffer<Float>(repeating: 9, count: values.count)
    kernels(isa).softmax_cross_entropy(
      logits.pointer, labels.pointer, Int32(classes), 0.25, 1, 3, losses.pointer, ranks.pointer, gradient.pointer)
    #expect(losses.values[0] == 9 && losses.values[4] == 9 && ranks.values[0] == 9 && ranks.values[4] == 9)
    #expect(gradient.values.prefix(classes).allSatisfy { $0 == 9 })
    #expect(losses.isIntact && ranks.isIntact && gradient.isIntact)
    for row in 1..<4 {
      let z = values[row * classes..<(row + 1) * classes].map(Double.init)
      let label = row * 37 % classes
      #expect(abs(losses.values[row] - Self.loss(z, label: label)) <= 1e-12)
      #expect(ranks.values[row] == Int32(z.indices.count { z[$0] > z[label] || z[$0] == z[label] && $0 < label }))
      for k in stride(from: 0, to: classes, by: max(1, classes / 10)) {
        var (above, below) = (z, z)
        above[k] += 1e-5
        below[k] -= 1e-5
        let expected = 0.25 * (Self.loss(above, label: label) - Self.loss(below, label: label)) / 2e-5
        #expect(abs(Double(gradient.values[row * classes + k]) - expected) <= 1e-8 + 1e-6 * abs(expected))
      }
    }
  }

  @Test("Huge logits neither overflow nor lose the gradient, and NaN shows", arguments: Elementwise.all)
  func extremeLogits(isa: sq_isa) {
    let logits = Buffer<Float>([1e30, 0, -1e30, 3, 3, 3, 1, .nan, 2])
    let labels = Buffer<Int32>([0, 2, 0])
    let losses = Buffer<Double>(repeating: 9, count: 3)
    let ranks = Buffer<Int32>(repeating: 9, count: 3)
    let gradient = Buffer<Float>(repeating: 9, count: 9)
    kernels(isa).softmax_cross_entropy(
      logits.pointer, labels.pointer, 3, 3, 0, 3, losses.pointer, ranks.pointer, gradient.pointer)
    #expect(losses.values[0] == 0 && abs(losses.values[1] - log(3)) <= 1e-15 && losses.values[2].isNaN)
    #expect(ranks.values == [0, 2, .max])
    #expect(Array(gradient.values[0..<6]) == [0, 0, 0, 1, 1, -2])
    #expect(gradient.values[6...].allSatisfy { $0.isNaN })
    kernels(isa).softmax_cross_entropy(
      logits.pointer, labels.pointer, 3, 1, 0, 1, losses.pointer, ranks.pointer, nil)
    #expect(losses.values[0] == 0)
  }

  private func ranks(_ isa: sq_isa, _ rows: [[Float]], labels: [Int]) -> [Int32] {
    let logits = Buffer(rows.flatMap(\.self))
    let classes = Buffer(labels.map(Int32.init))
    let losses = Buffer<Double>(repeating: 0, count: rows.count)
    let ranks = Buffer<Int32>(repeating: -1, count: rows.count)
    kernels(isa).softmax_cross_entropy(
      logits.pointer, classes.pointer, Int32(rows[0].count), 1, 0, Int32(rows.count), losses.pointer, ranks.pointer,
      nil)
    return ranks.values
  }

  @Test("Equal logits rank by index: a head of zeros finds the share of class 0", arguments: Elementwise.all)
  func ties(isa: sq_isa) {
    let labels = (0..<100).map { $0 % 10 }
    let ranks = self.ranks(isa, labels.map { _ in Array(repeating: 0, count: 10) }, labels: labels)
    #expect(ranks == labels.map(Int32.init))
    #expect(ranks.count { $0 < 1 } == 10 && ranks.count { $0 < 5 } == 50)
    #expect(self.ranks(isa, [[1, 2, 2, -0.0, 0]], labels: [2]) == [1])
    #expect(self.ranks(isa, [[1, 2, 2, -0.0, 0]], labels: [1]) == [0])
    #expect(self.ranks(isa, [[1, 2, 2, -0.0, 0]], labels: [4]) == [4])
  }

  @Test("A label is no hit beside a logit that is not finite", arguments: Elementwise.all)
  func undefinedRanks(isa: sq_isa) {
    let rows: [[Float]] = [
      [.infinity, 0, 1], [9, -.infinity, 1], [9, 0, .nan], [.infinity, .infinity, .infinity], [.nan, .nan, .nan],
    ]
    for label in 0..<3 {
      #expect(self.ranks(isa, rows, labels: rows.map { _ in label }) == rows.map { _ in .max })
    }
  }
}
