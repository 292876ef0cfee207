// One file although it is long: every kernel of the family is held against its reference over the same operands.

import CKernels
import Testing

@Suite("Normalization kernels")
struct NormalizationKernelsTests {
  typealias Buffer = Elementwise.Buffer

  private func kernels(_ isa: sq_isa) -> sq_normalization_kernels { sq_kernels_for(isa)!.pointee.normalization }

  /// Per-channel operands with which the portable kernels are exact, too.
  private func scales(_ channels: Int, isa: sq_isa) -> [Float] {
    isa == SQ_ISA_PORTABLE
      ? (0..<channels).map { [0.5, -1, 2, 0.25][$0 % 4] }
      : Elementwise.values(channels, seed: 77, isa: isa)
  }

  private func floats(_ buffer: Buffer<Float>) -> sq_channels {
    sq_channels(floats: UnsafePointer(buffer.pointer), sums: nil, unit: 1)
  }

  @Test("Sums with their unit are read as the floats that they stand for, to the bit", arguments: Elementwise.all)
  func sums(isa: sq_isa) {
    for channels in [1, 16, 24, 700] {
      let rows = 19
      let unit: Float = 0.0123
      let sums = Buffer<Int16>((0..<rows * channels).map { Int16(truncatingIfNeeded: $0 * 7919 - 32768) })
      let values = Buffer(sums.values.map { unit * Float($0) })
      let (scale, shift) = (
        Buffer(Elementwise.values(channels, seed: 3, isa: isa)), Buffer(Elementwise.values(channels, seed: 5, isa: isa))
      )
      let gradient = Elementwise.values(rows * channels, seed: 8, isa: isa)
      func run(_ input: sq_channels) -> ([Float], [UInt8], [Float], [Double], [Float]) {
        let (output, levels) = (
          Buffer<Float>(repeating: 9, count: rows * channels), Buffer<UInt8>(repeating: 9, count: rows * channels)
        )
        var forward = sq_normalize()
        forward.channels = Int32(channels)
        forward.relu = 1
        forward.upper = 6
        forward.input = input
        forward.scale = UnsafePointer(scale.pointer)
        forward.shift = UnsafePointer(shift.pointer)
        forward.output = output.pointer
        forward.quantized_count = 1
        forward.quantized.0 = sq_quantized_output(lower: 0, inverse_step: 4, levels: 15, output: levels.pointer)
        kernels(isa).normalize(&forward, 1, Int64(rows - 2))
        let (arriving, channelSums) = (Buffer(gradient), Buffer<Double>(repeating: 0, count: 2 * channels))
        var backward = sq_normalize_backward()
        backward.channels = Int32(channels)
        backward.relu = 1
        backward.upper = 6
        backward.input = input
        backward.scale = forward.scale
        backward.shift = forward.shift
        backward.gradient.0 = UnsafePointer(arriving.pointer)
        backward.pre_gradient = arriving.pointer
        kernels(isa).normalize_backward(&backward, 0, Int64(rows), channelSums.pointer, nil)
        let affine = Buffer<Float>(repeating: 9, count: rows * channels)
        kernels(isa).channel_affine(
          arriving.pointer, input, scale.pointer, shift.pointer, scale.pointer, affine.pointer, Int32(channels), 2,
          Int64(rows - 2))
        return (output.values, levels.values, arriving.values, channelSums.values, affine.values)
      }
      let expected = run(floats(values))
      let result = run(sq_channels(floats: nil, sums: UnsafePointer(sums.pointer), unit: unit))
      #expect(result == expected, "\(channels) channels")
    }
  }

  // MARK: Forward

  private struct Forward {
    var channels: Int
    var relu, residual, output, affine: Bool
    var copies: Int
    /// Of the rectifier.
    var upper = Float.infinity
  }

  private static func forwardCases(channels: Int) -> [Forward] {
    var cases: [Forward] = []
    for bits in 0..<16 {
      for copies in 0...2 {
        var test = Forward(
          channels: channels, relu: bits & 1 != 0, residual: bits & 2 != 0, output: bits & 4 != 0,
          affine: bits & 8 != 0, copies: copies)
        cases.append(test)
        test.upper = 1.5
        if test.relu { cases.append(test) }
      }
    }
    return cases
  }

  private func runForward(
    _ isa: sq_isa, _ test: Forward, rows: Range<Int>, input: Buffer<Float>?, residual: Buffer<Float>,
    scale: Buffer<Float>, shift: Buffer<Float>
  ) -> (Buffer<Float>, [Buffer<UInt8>]) {
    let output = Buffer<Float>(repeating: 9, count: residual.count)
    let copies = (0..<2).map { _ in Buffer<UInt8>(repeating: 99, count: residual.count) }
    var arguments = sq_normalize()
    arguments.channels = Int32(test.channels)
    arguments.relu = test.relu ? 1 : 0
    arguments.upper = test.upper
    arguments.input.floats = input.map { UnsafePointer($0.pointer) }
    if test.affine {
      arguments.scale = UnsafePointer(scale.pointer)
      arguments.shift = UnsafePointer(shift.pointer)
    }
    if test.residual { arguments.residual = UnsafePointer(residual.pointer) }
    if test.output { arguments.output = output.pointer }
    arguments.quantized_count = Int32(test.copies)
    arguments.quantized.0 = sq_quantized_output(lower: 0, inverse_step: 4, levels: 15, output: copies[0].pointer)
    arguments.quantized.1 = sq_quantized_output(lower: -0.75, inverse_step: 2, levels: 3, output: copies[1].pointer)
    kernels(isa).normalize(&arguments, Int64(rows.lowerBound), Int64(rows.count))
    return (output, copies)
  }

  @Test("Forward agrees with the reference for every combination of arguments", arguments: Elementwise.vectorised)
  func forward(isa: sq_isa) {
    for channels in Elementwise.channelCounts {
      let scale = Buffer(scales(channels, isa: isa))
      let shift = Buffer(Elementwise.values(channels, seed: 5, isa: isa))
      for rows in Elementwise.rowCounts(channels: channels) {
        let input = Buffer(Elementwise.values(rows * channels, seed: 1, isa: isa))
        let residual = Buffer(Elementwise.values(rows * channels, seed: 2, isa: isa))
        for range in Elementwise.ranges(rows) {
          for test in Self.forwardCases(channels: channels) {
            func run(_ isa: sq_isa) -> (Buffer<Float>, [Buffer<UInt8>]) {
              runForward(
                isa, test, rows: range, input: input, residual: residual, scale: scale, shift: shift)
            }
            let (result, reference) = (run(isa), run(SQ_ISA_REFERENCE))
            Elementwise.expectSame(result.0, reference.0, "\(test), rows \(range) of \(rows)")
            for copy in 0..<2 {
              Elementwise.expectSame(
                result.1[copy], reference.1[copy], "copy \(copy), \(test), rows \(range) of \(rows)")
            }
          }
        }
      }
    }
  }

  @Test("A residual alone is rectified and quantized", arguments: Elementwise.all)
  func residualAlone(isa: sq_isa) {
    let residual = Buffer<Float>([-1, 0.5, 1.25, 30, -0.0, 2])
    let unused = Buffer<Float>([1, 1])
    let test = Forward(channels: 2, relu: true, residual: true, output: true, affine: false, copies: 1)
    let (output, copies) = runForward(
      isa, test, rows: 0..<3, input: nil, residual: residual, scale: unused, shift: unused)
    #expect(output.values == [0, 0.5, 1.25, 30, 0, 2])
    #expect(copies[0].values == [0, 2, 5, 15, 0, 8])
  }

  @Test("More channels than a tile holds are worked through in pieces", arguments: Elementwise.vectorised)
  func manyChannels(isa: sq_isa) {
    let channels = 2049
    let (scale, shift) = (
      Buffer(scales(channels, isa: isa)), Buffer(Elementwise.values(channels, seed: 5, isa: isa))
    )
    let input = Buffer(Elementwise.values(3 * channels, seed: 1, isa: isa))
    let test = Forward(channels: channels, relu: true, residual: false, output: true, affine: true, copies: 1)
    func run(_ isa: sq_isa) -> (Buffer<Float>, [Buffer<UInt8>]) {
      runForward(isa, test, rows: 1..<3, input: input, residual: input, scale: scale, shift: shift)
    }
    Elementwise.expectSame(run(isa).0, run(SQ_ISA_REFERENCE).0, "output")
    Elementwise.expectSame(run(isa).1[0], run(SQ_ISA_REFERENCE).1[0], "copy")
  }

  @Test(
    "Levels round half to even, saturate, and are 0 for NaN, which the float output keeps",
    arguments: Elementwise.all)
  func rounding(isa: sq_isa) {
    let values: [Float] = [0.5, 1.5, 2.5, 3.5, -0.5, -7, 4.4, .infinity, -.infinity, .nan, 0.49999997, 2.5000002]
    let input = Buffer(values)
    let copy = Buffer<UInt8>(repeating: 99, count: values.count)
    let output = Buffer<Float>(repeating: 9, count: values.count)
    var arguments = sq_normalize()
    arguments.channels = 1
    arguments.relu = 1
    arguments.upper = .infinity
    arguments.input.floats = UnsafePointer(input.pointer)
    arguments.output = output.pointer
    arguments.quantized_count = 1
    arguments.quantized.0 = sq_quantized_output(lower: 0, inverse_step: 1, levels: 4, output: copy.pointer)
    kernels(isa).normalize(&arguments, 0, Int64(values.count))
    #expect(copy.values == [0, 2, 2, 4, 0, 0, 4, 4, 0, 0, 0, 3])
    #expect(output.values[9].isNaN)
    #expect(output.values[8] == 0)
    #expect(copy.isIntact && output.isIntact)
  }

  @Test("All 256 levels of 8 bits are reached", arguments: Elementwise.all)
  func eightBits(isa: sq_isa) {
    let input = Buffer((0..<256).map { Float($0) / 255 })
    let copy = Buffer<UInt8>(repeating: 0, count: 256)
    var arguments = sq_normalize()
    arguments.channels = 1
    arguments.input.floats = UnsafePointer(input.pointer)
    arguments.quantized_count = 1
    arguments.quantized.0 = sq_quantized_output(lower: 0, inverse_step: 255, levels: 255, output: copy.pointer)
    kernels(isa).normalize(&arguments, 0, 256)
    #expect(copy.values == (0..<256).map { UInt8($0) })
  }

  // MARK: Backward

  private struct Backward {
    var channels: Int
    var relu, keptOutput: Bool
    var gradients: [Int]
    var copies: Int
    var sums: Bool
    var inPlace: Bool
    /// Of the rectifier.
    var upper = Float.infinity
  }

  private static func backwardCases(channels: Int) -> [Backward] {
    var cases: [Backward] = []
    for subset in 0..<8 {
      for bits in 0..<8 {
        for copies in 0...2 {
          let gradients = (0..<3).filter { subset >> $0 & 1 == 1 }
          var test = Backward(
            channels: channels, relu: bits & 1 != 0, keptOutput: bits & 2 != 0, gradients: gradients, copies: copies,
            sums: bits & 4 == 0, inPlace: bits == 5 && gradients.contains(1))
          cases.append(test)
          test.upper = 1.5
          if test.relu { cases.append(test) }
        }
      }
    }
    return cases
  }

  private struct BackwardResult {
    var preGradient: Buffer<Float>
    var channelSums: Buffer<Double>
    var quantizerSums: Buffer<Double>
  }

  private struct BackwardData {
    var input, output, scale, shift: Buffer<Float>
    var gradients: [[Float]]
  }

  private func runBackward(_ isa: sq_isa, _ test: Backward, rows: Range<Int>, _ data: BackwardData) -> BackwardResult {
    let gradients = data.gradients.map { Buffer($0) }
    let result = BackwardResult(
      preGradient: test.inPlace ? gradients[1] : Buffer(repeating: 9, count: data.input.count),
      channelSums: Buffer(repeating: 9, count: 2 * test.channels),
      quantizerSums: Buffer(repeating: 9, count: max(1, 2 * test.copies)))
    var arguments = sq_normalize_backward()
    arguments.channels = Int32(test.channels)
    arguments.relu = test.relu ? 1 : 0
    arguments.upper = test.upper
    arguments.input.floats = UnsafePointer(data.input.pointer)
    arguments.scale = UnsafePointer(data.scale.pointer)
    arguments.shift = UnsafePointer(data.shift.pointer)
    if test.keptOutput { arguments.output = UnsafePointer(data.output.pointer) }
    let used = (0..<3).map { test.gradients.contains($0) ? UnsafePointer(gradients[$0].pointer) : nil }
    arguments.gradient = (used[0], used[1], used[2])
    arguments.quantized_count = Int32(test.copies)
    arguments.quantized.0 = sq_quantized_gradient(
      lower: 0, inverse_step: 4, levels: 15, gradient_scale: 0.25, gradient: gradients[3].pointer)
    arguments.quantized.1 = sq_quantized_gradient(
      lower: -0.75, inverse_step: 2, levels: 3, gradient_scale: 0.5, gradient: gradients[4].pointer)
    arguments.pre_gradient = result.preGradient.pointer
    // Pointers keep no buffer alive.
    withExtendedLifetime(gradients) {
      kernels(isa).normalize_backward(
        &arguments, Int64(rows.lowerBound), Int64(rows.count), test.sums ? result.channelSums.pointer : nil,
        test.sums ? result.quantizerSums.pointer : nil)
    }
    return result
  }

  @Test("Backward agrees with the reference for every combination of arguments", arguments: Elementwise.vectorised)
  func backward(isa: sq_isa) {
    for channels in Elementwise.channelCounts {
      let scale = Buffer(scales(channels, isa: isa))
      let shift = Buffer(Elementwise.values(channels, seed: 5, isa: isa))
      for rows in Elementwise.rowCounts(channels: channels) where rows * channels <= 20000 || channels > 100 {
        let data = BackwardData(
          input: Buffer(Elementwise.values(rows * channels, seed: 1, isa: isa)),
          output: Buffer(Elementwise.values(rows * channels, seed: 2, isa: isa).map { max(0, $0) }),
          scale: scale, shift: shift,
          gradients: (0..<5).map { Elementwise.values(rows * channels, seed: 10 + UInt64($0), isa: isa) })
        for range in Elementwise.ranges(rows) {
          // Magnitudes that bound every case's sums: |input| <= 4, |z| <= 20, up to five gradients of at most 4.
          let channelBound = Array(repeating: Double(range.count) * 12, count: channels)
          let bounds = channelBound + channelBound.map { $0 * 4 }
          for test in Self.backwardCases(channels: channels) {
            let result = runBackward(isa, test, rows: range, data)
            let reference = runBackward(SQ_ISA_REFERENCE, test, rows: range, data)
            let backend = "\(test), rows \(range) of \(rows)"
            Elementwise.expectSame(result.preGradient, reference.preGradient, backend)
            Elementwise.expectClose(
              result.channelSums.values, reference.channelSums.values, magnitudes: bounds, backend)
            let elements = Double(range.count * channels)
            Elementwise.expectClose(
              result.quantizerSums.values, reference.quantizerSums.values,
              magnitudes: (0..<result.quantizerSums.count).map { elements * ($0 % 2 == 0 ? 2 : 4) }, backend)
            if !result.channelSums.isIntact || !result.quantizerSums.isIntact {
              Issue.record("\(backend): wrote outside the sums")
            }
          }
        }
      }
    }
  }

  @Test(
    "Both ends of the clamp pass gradients, nothing outside does, and ReLU stops them at 0",
    arguments: Elementwise.all, [false, true])
  func ends(isa: sq_isa, relu: Bool) {
    // (z - 0) * 4 within [0, 3]: the ends are 0 and 0.75.
    let z: [Float] = [0, 0.75, -0.0, Float(0.75).nextUp, -1e-30, 0.3, 5, -5]
    let input = Buffer(z)
    let gradient = Buffer<Float>(Array(repeating: 2, count: z.count))
    let result = Buffer<Float>(repeating: 9, count: z.count)
    var sums = [9.0, 9.0]
    var arguments = sq_normalize_backward()
    arguments.channels = 1
    arguments.relu = relu ? 1 : 0
    arguments.upper = .infinity
    arguments.input.floats = UnsafePointer(input.pointer)
    arguments.quantized_count = 1
    arguments.quantized.0 = sq_quantized_gradient(
      lower: 0, inverse_step: 4, levels: 3, gradient_scale: 0.5, gradient: gradient.pointer)
    arguments.pre_gradient = result.pointer
    kernels(isa).normalize_backward(&arguments, 0, Int64(z.count), nil, &sums)
    // ReLU moves the negative ones to 0, the lower end: they count in the sums, and ReLU then stops their gradient.
    #expect(result.values == (relu ? [0, 1, 0, 0, 0, 1, 0, 0] : [1, 1, 1, 0, 0, 1, 0, 0]))
    // The sums are added to.
    #expect(sums[0] == 9 + (relu ? 12 : 8))
    #expect(abs(sums[1] - 9 - 2 * (0.75 + Double(Float(0.3)))) < 1e-6)
  }

  @Test("A rectifier with an upper end stops gradients at both ends and keeps NaN", arguments: Elementwise.all)
  func upperEnd(isa: sq_isa) {
    let z: [Float] = [0, 6, Float(6).nextDown, 7, -1, .nan, .infinity, 3]
    let input = Buffer(z)
    let output = Buffer<Float>(repeating: 9, count: z.count)
    var forward = sq_normalize()
    forward.channels = 1
    forward.relu = 1
    forward.upper = 6
    forward.input.floats = UnsafePointer(input.pointer)
    forward.output = output.pointer
    kernels(isa).normalize(&forward, 0, Int64(z.count))
    #expect(output.values[5].isNaN)
    #expect(output.values.filter { !$0.isNaN } == [0, 6, Float(6).nextDown, 6, 0, 6, 3])
    let gradient = Buffer<Float>(Array(repeating: 2, count: z.count))
    let result = Buffer<Float>(repeating: 9, count: z.count)
    var backward = sq_normalize_backward()
    backward.channels = 1
    backward.relu = 1
    backward.upper = 6
    backward.input.floats = UnsafePointer(input.pointer)
    backward.gradient.0 = UnsafePointer(gradient.pointer)
    backward.pre_gradient = result.pointer
    kernels(isa).normalize_backward(&backward, 0, Int64(z.count), nil, nil)
    #expect(result.values == [0, 0, 2, 0, 0, 2, 0, 2])
  }

  @Test("NaN shows in gradients and sums", arguments: Elementwise.all)
  func undefined(isa: sq_isa) {
    let input = Buffer<Float>([1, .nan, 1, 1])
    let gradient = Buffer<Float>([1, 1, .nan, 1])
    let result = Buffer<Float>(repeating: 9, count: 4)
    var (channelSums, quantizerSums) = ([9.0, 9, 9, 9], [9.0, 9])
    var arguments = sq_normalize_backward()
    arguments.channels = 2
    arguments.relu = 1
    arguments.upper = .infinity
    arguments.input.floats = UnsafePointer(input.pointer)
    arguments.gradient.0 = UnsafePointer(gradient.pointer)
    arguments.quantized_count = 1
    arguments.quantized.0 = sq_quantized_gradient(
      lower: 0, inverse_step: 1, levels: 3, gradient_scale: 1, gradient: gradient.pointer)
    arguments.pre_gradient = result.pointer
    kernels(isa).normalize_backward(&arguments, 0, 2, &channelSums, &quantizerSums)
    #expect(result.values[2].isNaN && result.values[0] == 2)
    #expect(channelSums[0].isNaN && channelSums[3].isNaN)
    #expect(quantizerSums[0].isNaN && quantizerSums[1].isNaN)
  }

  @Test("The passes of batch norm give the derivative of its definition", arguments: Elementwise.all)
  func batchNormalization(isa: sq_isa) {
    let (rows, channels) = (37, 3)
    let values = Elementwise.values(rows * channels, seed: 31, isa: SQ_ISA_AVX2)
    let weights = Elementwise.values(rows * channels, seed: 32, isa: SQ_ISA_AVX2)
    let (gamma, beta) = ([0.7, -1.3, 2.1], [0.31, 0.13, -0.27])
    let epsilon = 1e-5

    /// sum weights * relu(batch norm(x)), in double from the definition.
    func loss(_ x: [Double]) -> Double {
      var total = 0.0
      for c in 0..<channels {
        let column = (0..<rows).map { x[$0 * channels + c] }
        let mean = column.reduce(0, +) / Double(rows)
        let variance = column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rows)
        for row in 0..<rows {
          let z = gamma[c] * (column[row] - mean) / (variance + epsilon).squareRoot() + beta[c]
          total += Double(weights[row * channels + c]) * max(0, z)
        }
      }
      return total
    }

    let kernels = kernels(isa)
    let (input, gradient) = (Buffer(values), Buffer(weights))
    var sums = Array(repeating: 0.0, count: 2 * channels)
    kernels.statistics(input.pointer, Int32(channels), 0, Int64(rows), &sums)
    let mean = (0..<channels).map { sums[$0] / Double(rows) }
    let deviation = (0..<channels).map {
      (sums[channels + $0] / Double(rows) - mean[$0] * mean[$0] + epsilon).squareRoot()
    }
    let scale = Buffer((0..<channels).map { Float(gamma[$0] / deviation[$0]) })
    let shift = Buffer((0..<channels).map { Float(beta[$0] - mean[$0] * gamma[$0] / deviation[$0]) })
    var arguments = sq_normalize_backward()
    arguments.channels = Int32(channels)
    arguments.relu = 1
    arguments.upper = .infinity
    arguments.input.floats = UnsafePointer(input.pointer)
    arguments.scale = UnsafePointer(scale.pointer)
    arguments.shift = UnsafePointer(shift.pointer)
    arguments.gradient.0 = UnsafePointer(gradient.pointer)
    arguments.pre_gradient = gradient.pointer
    sums = [Double](repeating: 0, count: 2 * channels)
    kernels.normalize_backward(&arguments, 0, Int64(rows), &sums, nil)
    let b = Buffer(
      (0..<channels).map { c -> Float in
        let correlation = (sums[channels + c] - mean[c] * sums[c]) / Double(rows)
        return Float(-gamma[c] * correlation / (deviation[c] * deviation[c] * deviation[c]))
      })
    let d = Buffer(
      (0..<channels).map { c -> Float in
        Float(-gamma[c] / deviation[c] * sums[c] / Double(rows) - Double(b.pointer[c]) * mean[c])
      })
    kernels.channel_affine(
      gradient.pointer, floats(input), scale.pointer, b.pointer, d.pointer, gradient.pointer, Int32(channels), 0,
      Int64(rows))

    let x = values.map(Double.init)
    for index in x.indices {
      var (above, below) = (x, x)
      above[index] += 1e-6
      below[index] -= 1e-6
      let expected = (loss(above) - loss(below)) / 2e-6
      let found = Double(gradient.pointer[index])
      #expect(abs(found - expected) <= 2e-5, "element \(index): \(found), not \(expected)")
    }
  }

  // MARK: Sums and plain passes

  @Test("Statistics agree with sums in double", arguments: Elementwise.all)
  func statistics(isa: sq_isa) {
    for channels in Elementwise.channelCounts + [513, 2048] {
      for rows in Elementwise.rowCounts(channels: channels) {
        let values = Elementwise.values(rows * channels, seed: 3, isa: SQ_ISA_AVX2)
        let input = Buffer(values)
        for range in Elementwise.ranges(rows) {
          let sums = Buffer<Double>(repeating: 9, count: 2 * channels)
          kernels(isa).statistics(
            input.pointer, Int32(channels), Int64(range.lowerBound), Int64(range.count), sums.pointer)
          var (expected, magnitudes) = (Array(repeating: 0.0, count: 2 * channels), [Double]())
          magnitudes = expected
          for row in range {
            for c in 0..<channels {
              let x = Double(values[row * channels + c])
              expected[c] += x
              magnitudes[c] += abs(x)
              expected[channels + c] += x * x
              magnitudes[channels + c] += x * x
            }
          }
          Elementwise.expectClose(
            sums.values, expected, magnitudes: magnitudes, "\(channels) channels, rows \(range) of \(rows)")
          #expect(sums.isIntact)
        }
      }
    }
  }

  @Test("Statistics of two million values keep single precision's accuracy", arguments: Elementwise.all)
  func longStatistics(isa: sq_isa) {
    let rows = 1 << 17
    let input = Buffer<Float>((0..<16 * rows).map { 1 + Float($0 % 1013) * 0.000987654 })
    var sums = Array(repeating: 0.0, count: 32)
    kernels(isa).statistics(input.pointer, 16, 0, Int64(rows), &sums)
    let expected = stride(from: 3, to: 16 * rows, by: 16).reduce(0.0) { $0 + Double(input.pointer[$1]) }
    #expect(abs(sums[3] - expected) <= 1e-7 * expected)
  }

  @Test("Range statistics give the smallest value and both sums", arguments: Elementwise.all)
  func rangeStatistics(isa: sq_isa) {
    for count in [1, 2, 63, 64, 65, 511, 512, 513, 20000] {
      let values = Elementwise.values(count + 5, seed: 8, isa: SQ_ISA_AVX2)
      let used = values[2..<2 + count].map(Double.init)
      let input = Buffer(values)
      let result = Buffer<Double>(repeating: 9, count: 3)
      kernels(isa).range_statistics(input.pointer, 2, Int64(count), result.pointer)
      #expect(result.values[0] == used.min())
      Elementwise.expectClose(
        Array(result.values[1...]), [used.reduce(0, +), used.reduce(0) { $0 + $1 * $1 }],
        magnitudes: [used.reduce(0) { $0 + abs($1) }, used.reduce(0) { $0 + $1 * $1 }], "\(count) values")
      input.pointer[2 + count / 2] = .nan
      kernels(isa).range_statistics(input.pointer, 2, Int64(count), result.pointer)
      #expect(result.values.allSatisfy { $0.isNaN })
      #expect(result.isIntact)
    }
  }

  @Test("Channel affine agrees with the reference, in place too", arguments: Elementwise.vectorised)
  func channelAffine(isa: sq_isa) {
    for channels in Elementwise.channelCounts + [2049] {
      let (a, b, d) = (
        Buffer(scales(channels, isa: isa)), Buffer(scales(channels, isa: isa).map { $0 / 2 }),
        Buffer(Elementwise.values(channels, seed: 4, isa: isa))
      )
      for rows in Elementwise.rowCounts(channels: channels) {
        let y = Buffer(Elementwise.values(rows * channels, seed: 6, isa: isa))
        for range in Elementwise.ranges(rows) {
          func run(_ set: sq_isa, inPlace: Bool) -> Buffer<Float> {
            let x = Buffer(Elementwise.values(rows * channels, seed: 7, isa: isa))
            let output = inPlace ? x : Buffer(x.values)
            kernels(set).channel_affine(
              x.pointer, floats(y), a.pointer, b.pointer, d.pointer, output.pointer, Int32(channels),
              Int64(range.lowerBound), Int64(range.count))
            return output
          }
          let reference = run(SQ_ISA_REFERENCE, inPlace: false)
          for inPlace in [false, true] {
            Elementwise.expectSame(
              run(isa, inPlace: inPlace), reference, "\(channels) channels, rows \(range), in place: \(inPlace)")
          }
        }
      }
    }
  }
}
