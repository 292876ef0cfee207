import Kernels
import Networks
import Quantization
import Tensor
import TestSupport
import Testing

/// Gradients of quantized layers. Where every number lies on its grid rounding changes nothing, so there the
/// straight-through rule is the derivative of the quantizers with the rounding left out.
struct QuantizedGradientTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var rules: Rules
    var weightBits: Int
    var activationBits: Int
    var isLast = false
    /// Learned scales may pass zero.
    var sign: Float = 1

    var testDescription: String {
      "\(rules), weights of \(weightBits) bits, activations of \(activationBits), last \(isLast), sign \(sign)"
    }
  }

  /// Numbers on a grid of `steps` steps from `lower` to `upper`, its ends left out, and some far outside.
  private static func onGrid(_ count: Int, lower: Float, upper: Float, steps: Int, seed: UInt64) -> [Float] {
    var random = CounterRandom(seed: seed, stream: 0)
    return (0..<count).map { _ in
      let width = upper - lower
      switch random.bounded(8) {
      case 0: return lower - width * (0.3 + random.uniform())
      case 1: return upper + width * (0.3 + random.uniform())
      default: return lower + width * Float(1 + random.bounded(steps - 1)) / Float(steps)
      }
    }
  }

  @Test(
    "convolution and linear layers: weights, input, scales and ranges",
    arguments: [
      Case(rules: .scale, weightBits: 2, activationBits: 2), Case(rules: .scale, weightBits: 3, activationBits: 4),
      Case(rules: .scale, weightBits: 8, activationBits: 8, isLast: true),
      Case(rules: .scale, weightBits: 4, activationBits: 4, sign: -1),
      Case(rules: .scale, weightBits: 8, activationBits: 8, isLast: true, sign: -1),
      Case(rules: .range, weightBits: 2, activationBits: 2), Case(rules: .range, weightBits: 3, activationBits: 4),
      Case(rules: .range, weightBits: 4, activationBits: 4, isLast: true),
      Case(rules: .range, weightBits: 8, activationBits: 8),
    ])
  func convolution(test: Case) {
    let shape =
      test.isLast
      ? ConvolutionShape(batch: 4, inputHeight: 1, inputWidth: 1, inputChannels: 12, outputChannels: 7, kernel: 1)
      : ConvolutionShape(
        batch: 3, inputHeight: 5, inputWidth: 4, inputChannels: 4, outputChannels: 6, kernel: 3, stride: 2, padding: 1)
    let activation = test.rules.activations(bits: test.activationBits)
    let weight = test.rules.weights(
      bits: test.weightBits, learnsOutputScale: test.rules == .scale && test.isLast)
    activation.set(scale: 1.7 * test.sign, lower: -0.4, upper: 1.9)
    weight.set(scale: 0.6 * test.sign, lower: -0.5, upper: 0.7)
    let x: [Float]
    let w: [Float]
    switch test.rules {
    case .scale:
      let levels = 1 << test.activationBits
      let width = Float(1.7 + 1e-6)
      // The grid ends one level below the scale.
      x = Self.onGrid(
        shape.inputCount, lower: 0, upper: width * Float(levels - 1) / Float(levels), steps: levels - 1, seed: 1)
      let half = 1 << (test.weightBits - 1)
      w = Self.onGrid(
        shape.weightCount, lower: -0.6 - 1e-6, upper: (0.6 + 1e-6) * Float(half - 1) / Float(half), steps: 2 * half - 1,
        seed: 2)
    case .range:
      x = Self.onGrid(shape.inputCount, lower: -0.4, upper: 1.9, steps: (1 << test.activationBits) - 1, seed: 1)
      w = Self.onGrid(shape.weightCount, lower: -0.5, upper: 0.7, steps: (1 << test.weightBits) - 1, seed: 2)
    }
    let input = Activation.holding(x, for: shape, quantizers: [activation])
    let backend = CPUBackend(threads: 2)
    let layer = Convolution(
      "layer", shape: shape, input: input, hasBias: test.isLast,
      quantizers: .init(weight: weight, activation: activation, freezes: false), backend: backend)
    layer.weight.value.copy(from: Buffer(w))
    layer.bias?.value.copy(from: Buffer(normals(shape.outputChannels, seed: 3)))
    let run = LayerRun(layer: layer, output: layer.output, images: shape.batch, backend: backend)
    let inputGradient = Buffer<Float>(count: shape.inputCount)
    run.run(input: ImageInput(output: input, gradient: inputGradient))

    let graph = ReferenceGraph { weightedSum($0.last!, run.outputGradient) }
    graph.define("input", x)
    for parameter in layer.parameters { graph.define(parameter.name, parameter.value) }
    if layer.bias == nil { graph.define("layer.bias", [Float](repeating: 0, count: shape.outputChannels)) }
    let result: Int
    switch test.rules {
    case .scale:
      result = graph.node(parameters: ["input", "layer.weight", "layer.bias", "layer.sA", "layer.sW"]) { _, p in
        let weights = p[1].map {
          Reference.scaledWeight($0, scale: p[4][0], bits: test.weightBits) * (test.isLast ? p[4][0] : 1)
        }
        return Self.convolution(
          shape, p[0].map { Reference.scaledActivation($0, scale: p[3][0], bits: test.activationBits) }, weights, p[2])
      }
    case .range:
      result = graph.node(
        parameters: ["input", "layer.weight", "layer.bias", "layer.lA", "layer.uA", "layer.lW", "layer.uW"]
      ) { _, p in
        Self.convolution(
          shape, p[0].map { Reference.rangedActivation($0, lower: p[3][0], upper: p[4][0]) },
          p[1].map { Reference.rangedWeight($0, lower: p[5][0], upper: p[6][0]) }, p[2])
      }
    }
    _ = graph.evaluate()
    #expect(relativeError(layer.output.values!, graph.value(of: result).values) <= 1e-5)
    #expect(relativeError(inputGradient, graph.gradient(of: "input")) <= 1e-4)
    let trained = [layer.weight, layer.bias].compactMap { $0 } + weight.trainedParameters + activation.parameters
    for parameter in trained {
      let error = relativeError(parameter.gradient, graph.gradient(of: parameter.name))
      #expect(error <= 1e-4, "\(parameter.name)")
    }
  }

  private static func convolution(
    _ shape: ConvolutionShape, _ input: [Double], _ weights: [Double], _ bias: [Double]
  ) -> ReferenceTensor {
    Reference.convolution(
      ReferenceTensor(
        images: shape.batch, height: shape.inputHeight, width: shape.inputWidth, channels: shape.inputChannels,
        values: input),
      weights: weights, bias: bias, outputs: shape.outputChannels, kernel: shape.kernelHeight, stride: shape.stride,
      padding: shape.padding)
  }

  @Test(
    "an output used as floats and through two quantized copies", arguments: Rules.allCases, [false, true])
  func copies(rules: Rules, hasResidual: Bool) {
    let (images, height, width, channels) = (3, 3, 4, 5)
    let count = images * height * width * channels
    let input = Activation.holding(
      normals(count, seed: 1), images: images, height: height, width: width, channels: channels)
    let residual =
      hasResidual
      ? Activation.holding(normals(count, seed: 2), images: images, height: height, width: width, channels: channels)
      : nil
    let quantizers = [2, 4].map { rules.activations(bits: $0, layer: "bits\($0)") }
    for (quantizer, upper) in zip(quantizers, [Float(0.8), -1.5]) {
      // One range starts below the rectifier's zeros, the other one above.
      quantizer.set(scale: upper, lower: 0.25 * upper, upper: 1.3)
    }
    let backend = CPUBackend(threads: 2)
    let layer = BatchNormalization(
      "bn", input: input, residual: residual, rectifier: .relu,
      output: Activation(images: images, height: height, width: width, channels: channels, quantizers: quantizers),
      backend: backend)
    layer.weight.value.copy(from: Buffer(normals(channels, seed: 3)))
    layer.bias.value.copy(from: Buffer(normals(channels, seed: 4)))
    let run = LayerRun(layer: layer, output: layer.output, images: images, backend: backend)
    run.run()

    let graph = ReferenceGraph { results in
      weightedSum(results[0], run.outputGradient) + weightedSum(results[1], run.copyGradient(0))
        + weightedSum(results[2], run.copyGradient(1))
    }
    graph.define("input", input.values!)
    graph.define("residual", residual?.values!.array ?? [Float](repeating: 0, count: count))
    for parameter in layer.parameters + quantizers.flatMap(\.parameters) {
      graph.define(parameter.name, parameter.value)
    }
    func tensor(_ values: [Double]) -> ReferenceTensor {
      ReferenceTensor(images: images, height: height, width: width, channels: channels, values: values)
    }
    let output = graph.node(parameters: ["input", "bn.weight", "bn.bias", "residual"]) { _, p in
      Reference.relu(Reference.add(Reference.batchNorm(tensor(p[0]), weight: p[1], bias: p[2]), tensor(p[3])))
    }
    for quantizer in quantizers {
      _ = graph.node(inputs: [output], parameters: quantizer.parameters.map(\.name)) { inputs, p in
        tensor(
          inputs[0].values.map {
            rules == .scale
              ? Reference.scaledActivation($0, scale: p[0][0], bits: quantizer.bits)
              : Reference.rangedActivation($0, lower: p[1][0], upper: p[0][0])
          })
      }
    }
    #expect(relativeError(input.gradients[0], graph.gradient(of: "input")) <= 1e-4)
    for parameter in layer.parameters + quantizers.flatMap(\.parameters) {
      let error = relativeError(parameter.gradient, graph.gradient(of: parameter.name))
      #expect(error <= 1e-4, "\(parameter.name)")
    }
    if let residual {
      #expect(relativeError(residual.gradients[0], graph.gradient(of: "residual")) <= 1e-4)
    }
    // The copies hold the rounded levels of the output.
    let z = graph.value(of: output).values
    for (copy, quantizer) in zip(layer.output.copies, quantizers) {
      for (index, value) in z.enumerated() {
        let scaled =
          rules == .scale
          ? Reference.scaledActivation(value, scale: quantizer.upperBound, bits: quantizer.bits)
            * Double(1 << quantizer.bits)
          : Reference.rangedActivation(
            value, lower: quantizer.lowerBound!, upper: quantizer.upperBound)
            * Double((1 << quantizer.bits) - 1)
        #expect(abs(Double(copy.levels[index]) - scaled) <= 0.5 + 1e-4)
      }
    }
  }

  @Test("gradients pass the clamp inside the range, both ends included, and none outside")
  func ends() {
    // l = −1, h = 2, two bits: positions −1, 0, 1.5, 3 and 4 of a grid from 0 to 3.
    let values: [Float] = [-2, -1, 0.5, 2, 3]
    let gradients: [Float] = [1, 2, 4, 8, 16]
    let quantizer = LearnedRangeActivations(bits: 2, layer: "layer")
    quantizer.lower.scalar = -1
    quantizer.upper.scalar = 2
    quantizer.isInitialized = true
    let output = Activation.holding(
      values, images: 1, height: 1, width: 5, channels: 1, uses: 0, quantizers: [quantizer])
    let copy = output.copies[0]
    let input = ImageInput(output: output, gradient: Buffer(count: 5))
    let backend = CPUBackend(threads: 1)
    input.forward(ForwardPass(backend: backend, images: 1, purpose: .training))
    #expect(copy.levels.array == [0, 0, 2, 3, 3])
    copy.gradient!.copy(from: Buffer(gradients))
    input.backward(BackwardPass(backend: backend, images: 1))
    let third: Float = 1 / 3
    for (value, expected) in zip(input.gradient!.array, [0, 2 * third, 4 * third, 8 * third, 0]) {
      #expect(abs(value - expected) <= 1e-6)
    }
    // ∂x̂/∂h = −(x − l)/9 and ∂x̂/∂l = (x − h)/9 at −1, 0.5 and 2.
    let upper: Float = -(4 * 1.5 + 8 * 3) / 9
    let lower: Float = -(2 * 3 + 4 * 1.5) / 9
    #expect(abs(quantizer.upper.gradient[0] - upper) <= 1e-5)
    #expect(abs(quantizer.lower.gradient[0] - lower) <= 1e-5)
  }
}
