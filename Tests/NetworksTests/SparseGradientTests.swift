import Kernels
import Networks
import Quantization
import Tensor
import TestSupport
import Testing

/// What is frozen is not computed; what is computed equals the dense gradient.
struct SparseGradientTests {
  enum Input: Sendable, CaseIterable {
    /// Quantization levels of 2 bits.
    case levels
    /// Floats, as a first layer takes them.
    case floats
  }

  /// A convolution after a forward and a backward pass, a share of its weights frozen at random.
  private func layer(
    rules: Rules, rangeGradient: RangeGradient, shape: ConvolutionShape, input kind: Input, frozenShare: Double?,
    sparseThreshold: Double
  ) -> Convolution {
    let weight = rules.weights(bits: 2, rangeGradient: rangeGradient)
    let activation = kind == .levels ? rules.activations(bits: 2) : nil
    let input = Activation.holding(
      normals(shape.inputCount, seed: 1), for: shape, quantizers: [activation].compactMap { $0 })
    let backend = CPUBackend(threads: 2)
    let layer = Convolution(
      "layer", shape: shape, input: input,
      quantizers: .init(weight: weight, activation: activation, freezes: frozenShare != nil), backend: backend)
    layer.weight.value.copy(from: Buffer(normals(shape.weightCount, seed: 2)))
    weight.initialize(weights: layer.weight.value)
    layer.sparseThreshold = sparseThreshold
    if let frozenShare { layer.freezing!.freezeRandomly(share: frozenShare, seed: 3) }
    LayerRun(layer: layer, output: layer.output, images: shape.batch, backend: backend)
      .run(input: ImageInput(output: input, gradient: nil))
    return layer
  }

  private static let shapes = [
    ConvolutionShape(
      batch: 3, inputHeight: 8, inputWidth: 8, inputChannels: 16, outputChannels: 16, kernel: 3, padding: 1),
    ConvolutionShape(
      batch: 2, inputHeight: 7, inputWidth: 9, inputChannels: 5, outputChannels: 11, kernel: 3, stride: 2, padding: 1),
    ConvolutionShape(
      batch: 4, inputHeight: 5, inputWidth: 5, inputChannels: 9, outputChannels: 7, kernel: 1, stride: 2),
    ConvolutionShape(
      batch: 2, inputHeight: 6, inputWidth: 6, inputChannels: 8, outputChannels: 8, kernel: 3, padding: 1, groups: 4),
    ConvolutionShape(batch: 9, inputHeight: 1, inputWidth: 1, inputChannels: 20, outputChannels: 10, kernel: 1),
  ]

  @Test(
    "the sparse gradient is the dense one on the unfrozen weights and 0 on the frozen ones",
    arguments: shapes.indices, Input.allCases)
  func sparseEqualsDense(shape: Int, input: Input) {
    let shape = Self.shapes[shape]
    let dense = layer(
      rules: .scale, rangeGradient: .unfrozen, shape: shape, input: input, frozenShare: nil, sparseThreshold: 0
    ).weight.gradient.array
    let largest = dense.map(abs).max()!
    #expect(largest > 0)
    for share in [0, 0.3, 0.6, 0.9, 1] {
      // 2: never sparse.
      for threshold in [0.0, 2] {
        let layer = layer(
          rules: .scale, rangeGradient: .unfrozen, shape: shape, input: input, frozenShare: share,
          sparseThreshold: threshold)
        #expect(layer.usesSparseGradient == (threshold == 0))
        let frozen = layer.freezing!.frozen
        var worst: Float = 0
        for index in 0..<shape.weightCount {
          if frozen[index] != 0 {
            #expect(layer.weight.gradient[index] == 0)
          } else {
            let error = abs(layer.weight.gradient[index] - dense[index])
            if !(error <= worst) { worst = error }
          }
        }
        #expect(worst <= 1e-5 * largest, "share \(share), threshold \(threshold)")
      }
    }
  }

  @Test("the frozen share decides which kernel runs")
  func threshold() {
    let shape = Self.shapes[0]
    for (share, isSparse) in [(0.4, false), (0.6, true)] {
      let layer = layer(
        rules: .scale, rangeGradient: .unfrozen, shape: shape, input: .levels, frozenShare: share, sparseThreshold: 0.5
      )
      #expect(layer.usesSparseGradient == isSparse)
      layer.sparseThreshold = layer.freezing!.frozenShare
      #expect(layer.usesSparseGradient)
      layer.sparseThreshold = layer.freezing!.frozenShare.nextUp
      #expect(!layer.usesSparseGradient)
    }
    let unfreezing = layer(
      rules: .scale, rangeGradient: .unfrozen, shape: shape, input: .levels, frozenShare: nil, sparseThreshold: 0)
    #expect(!unfreezing.usesSparseGradient)
  }

  @Test("weights that freeze between two passes leave the sparse gradient")
  func changingMask() {
    let shape = Self.shapes[0]
    let weight = FixedScaleWeights(bits: 2, learnsOutputScale: false, layer: "layer")
    let input = Activation.holding(normals(shape.inputCount, seed: 1), for: shape)
    let backend = CPUBackend(threads: 1)
    let layer = Convolution(
      "layer", shape: shape, input: input, quantizers: .init(weight: weight, activation: nil, freezes: true),
      backend: backend)
    layer.weight.value.copy(from: Buffer(normals(shape.weightCount, seed: 2)))
    weight.initialize(weights: layer.weight.value)
    layer.sparseThreshold = 0
    let run = LayerRun(layer: layer, output: layer.output, images: shape.batch, backend: backend)
    run.run()
    let nonzero = layer.weight.gradient.filter { $0 != 0 }.count
    #expect(nonzero > shape.weightCount * 9 / 10)
    // A fixed threshold of 2 spacings and no memory: everything inside the range freezes.
    let policy = FreezingPolicy(
      spec: FreezingSpec(schedule: .fixed(2), startStep: 0, totalSteps: 10, distanceEMA: 0), clock: .fromZero)
    let forward = ForwardPass(backend: backend, images: shape.batch, purpose: .training, freezing: (policy, 1))
    layer.prepare(forward)
    layer.forward(forward)
    #expect(layer.freezing!.frozenShare > 0.9)
    let backward = BackwardPass(backend: backend, images: shape.batch)
    layer.backward(backward)
    layer.finish(backward)
    for index in 0..<shape.weightCount where layer.freezing!.frozen[index] != 0 {
      #expect(layer.weight.gradient[index] == 0)
    }
  }

  @Test("a learned range sums over every weight (dense) or over the unfrozen ones", arguments: RangeGradient.allCases)
  func rangeGradient(rangeGradient: RangeGradient) {
    let shape = Self.shapes[1]
    let whole = layer(
      rules: .range, rangeGradient: .dense, shape: shape, input: .levels, frozenShare: nil, sparseThreshold: 0)
    let layer = layer(
      rules: .range, rangeGradient: rangeGradient, shape: shape, input: .levels, frozenShare: 0.5, sparseThreshold: 0)
    #expect(layer.usesSparseGradient == (rangeGradient == .unfrozen))
    let quantizer = layer.weightQuantizer!
    let h = quantizer.upperBound
    let l = quantizer.lowerBound!
    var upper = 0.0
    var lower = 0.0
    for index in 0..<shape.weightCount {
      let isFrozen = layer.freezing!.frozen[index] != 0
      if isFrozen { #expect(layer.weight.gradient[index] == 0) }
      if isFrozen && rangeGradient == .unfrozen { continue }
      // The weight's own gradient is that of ŵ times 2/(h − l), or 0 outside the range.
      let gradient = Double(whole.weight.gradient[index]) * (h - l) / 2
      let w = Double(layer.weight.value[index])
      upper += -2 * gradient * (w - l) / ((h - l) * (h - l))
      lower += 2 * gradient * (w - h) / ((h - l) * (h - l))
    }
    #expect(abs(Double(quantizer.parameters[0].gradient[0]) - upper) <= 1e-4 * abs(upper))
    #expect(abs(Double(quantizer.parameters[1].gradient[0]) - lower) <= 1e-4 * abs(lower))
  }

  @Test("the dense range gradient needs every weight's, whatever is frozen")
  func denseRangeGradientStaysDense() {
    for share in [0.5, 1] {
      let layer = layer(
        rules: .range, rangeGradient: .dense, shape: Self.shapes[0], input: .levels, frozenShare: share,
        sparseThreshold: 0)
      #expect(!layer.usesSparseGradient)
      #expect(layer.weightQuantizer!.parameters[0].gradient[0] != 0)
      #expect(layer.weight.gradient.contains { $0 != 0 } == (share < 1))
    }
  }
}
