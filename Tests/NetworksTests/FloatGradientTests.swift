import Kernels
import Networks
import Tensor
import TestSupport
import Testing

/// Gradients of the unquantized layers against float64 finite differences.
struct FloatGradientTests {
  struct Geometry: Sendable, CustomTestStringConvertible {
    var images = 3
    var height = 6
    var width = 5
    var inputs = 4
    var outputs = 6
    var kernel = 3
    var stride = 1
    var padding = 1
    var groups = 1

    var testDescription: String {
      "\(images)x\(height)x\(width)x\(inputs) -> \(outputs), kernel \(kernel), stride \(stride), padding \(padding), groups \(groups)"
    }

    var shape: ConvolutionShape {
      ConvolutionShape(
        batch: images, inputHeight: height, inputWidth: width, inputChannels: inputs, outputChannels: outputs,
        kernel: kernel, stride: stride, padding: padding, groups: groups)
    }

    func input(_ values: [Double]) -> ReferenceTensor {
      ReferenceTensor(images: images, height: height, width: width, channels: inputs, values: values)
    }
  }

  @Test(
    "convolution",
    arguments: [
      Geometry(), Geometry(inputs: 3, outputs: 16), Geometry(kernel: 1, padding: 0),
      Geometry(kernel: 1, stride: 2, padding: 0), Geometry(stride: 2), Geometry(height: 7, width: 7, stride: 2),
      Geometry(kernel: 5, stride: 3, padding: 2), Geometry(kernel: 2, stride: 2, padding: 0),
      Geometry(kernel: 2, padding: 1), Geometry(padding: 2), Geometry(groups: 2),
      Geometry(inputs: 6, outputs: 6, groups: 6), Geometry(inputs: 8, outputs: 8, stride: 2, groups: 8),
      Geometry(images: 1, inputs: 1, outputs: 1), Geometry(images: 9, height: 3, width: 3, inputs: 2, outputs: 17),
      Geometry(images: 5, height: 1, width: 1, inputs: 12, outputs: 10, kernel: 1, padding: 0),
    ], [false, true])
  func convolution(geometry: Geometry, hasBias: Bool) {
    let shape = geometry.shape
    let x = normals(shape.inputCount, seed: 1)
    let input = Activation.holding(
      x, images: geometry.images, height: geometry.height, width: geometry.width, channels: geometry.inputs)
    let backend = CPUBackend(threads: 2)
    let layer = Convolution("conv", shape: shape, input: input, hasBias: hasBias, backend: backend)
    layer.weight.value.copy(from: Buffer(normals(shape.weightCount, seed: 2)))
    layer.bias?.value.copy(from: Buffer(normals(geometry.outputs, seed: 3)))
    // The layer's own back end has the scratch memory that its operation asked for.
    let run = LayerRun(layer: layer, output: layer.output, images: geometry.images, backend: backend)
    run.run()

    let graph = ReferenceGraph { weightedSum($0.last!, run.outputGradient) }
    graph.define("input", x)
    graph.define("weight", layer.weight.value)
    graph.define("bias", layer.bias?.value.array ?? [Float](repeating: 0, count: geometry.outputs))
    let result = graph.node(parameters: ["input", "weight", "bias"]) { _, p in
      Reference.convolution(
        geometry.input(p[0]), weights: p[1], bias: p[2], outputs: geometry.outputs, kernel: geometry.kernel,
        stride: geometry.stride, padding: geometry.padding, groups: geometry.groups)
    }
    _ = graph.evaluate()
    #expect(relativeError(layer.output.values!, graph.value(of: result).values) <= 1e-5)
    #expect(relativeError(layer.weight.gradient, graph.gradient(of: "weight", step: 1e-3)) <= 1e-5)
    #expect(
      relativeError(input.gradients[0], graph.gradient(of: "input", step: 1e-3))
        <= 1e-5)
    if let bias = layer.bias {
      #expect(relativeError(bias.gradient, graph.gradient(of: "bias", step: 1e-3)) <= 1e-5)
    }
  }

  @Test("batch norm, residual and rectifier", arguments: [false, true], [nil, Rectifier.relu, .relu6])
  func batchNorm(hasResidual: Bool, rectifier: Rectifier?) {
    let (images, height, width, channels) = (3, 4, 5, 6)
    let count = images * height * width * channels
    let input = Activation.holding(
      normals(count, seed: 1).map { 3 * $0 + 2 }, images: images, height: height, width: width, channels: channels)
    let residual =
      hasResidual
      ? Activation.holding(normals(count, seed: 2), images: images, height: height, width: width, channels: channels)
      : nil
    let backend = CPUBackend(threads: 2)
    let output = Activation(images: images, height: height, width: width, channels: channels, uses: 2)
    let layer = BatchNormalization(
      "bn", input: input, residual: residual, rectifier: rectifier, output: output, backend: backend)
    // Wide enough for both ends of a rectifier.
    layer.weight.value.copy(from: Buffer(normals(channels, seed: 3).map { 4 * $0 }))
    layer.bias.value.copy(from: Buffer(normals(channels, seed: 4)))
    let x = input.values!.array
    let run = LayerRun(layer: layer, output: layer.output, images: images, backend: backend)
    run.run()

    let graph = ReferenceGraph { weightedSum($0.last!, run.outputGradient) }
    graph.define("input", x)
    graph.define("weight", layer.weight.value)
    graph.define("bias", layer.bias.value)
    graph.define("residual", residual?.values!.array ?? [Float](repeating: 0, count: count))
    let result = graph.node(parameters: ["input", "weight", "bias", "residual"]) { _, p in
      func tensor(_ values: [Double]) -> ReferenceTensor {
        ReferenceTensor(images: images, height: height, width: width, channels: channels, values: values)
      }
      let sum = Reference.add(Reference.batchNorm(tensor(p[0]), weight: p[1], bias: p[2]), tensor(p[3]))
      return rectifier.map { Reference.relu(sum, upper: Double($0.upper)) } ?? sum
    }
    _ = graph.evaluate()
    #expect(relativeError(layer.output.values!, graph.value(of: result).values) <= 1e-5)
    #expect(relativeError(layer.weight.gradient, graph.gradient(of: "weight")) <= 1e-5)
    #expect(relativeError(layer.bias.gradient, graph.gradient(of: "bias")) <= 1e-5)
    #expect(relativeError(input.gradients[0], graph.gradient(of: "input")) <= 1e-4)
    if let residual {
      #expect(relativeError(residual.gradients[0], graph.gradient(of: "residual")) <= 1e-5)
    }

    // Running statistics: momentum 0.1, the variance with n − 1.
    let rows = Double(images * height * width)
    for channel in 0..<channels {
      let values = stride(from: channel, to: count, by: channels).map { Double(x[$0]) }
      let mean = values.reduce(0, +) / rows
      let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (rows - 1)
      #expect(abs(Double(layer.runningMean[channel]) - 0.1 * mean) <= 1e-5)
      #expect(abs(Double(layer.runningVariance[channel]) - (0.9 + 0.1 * variance)) <= 1e-5)
    }
  }

  @Test("batch norm in evaluation uses the running statistics and leaves them alone")
  func batchNormEvaluation() {
    let input = Activation.holding([1, 2, 3, 4], images: 1, height: 2, width: 1, channels: 2)
    let backend = CPUBackend(threads: 1)
    let output = Activation(images: 1, height: 2, width: 1, channels: 2)
    let layer = BatchNormalization("bn", input: input, residual: nil, rectifier: nil, output: output, backend: backend)
    for (channel, mean) in [Float(1), -2].enumerated() {
      layer.runningMean[channel] = mean
      layer.runningVariance[channel] = 4
      layer.bias.value[channel] = 0.5
    }
    layer.forward(ForwardPass(backend: backend, images: 1, purpose: .evaluation))
    let expected: [Float] = [0.5, 2.5, 1.5, 3.5]
    for (value, expected) in zip(layer.output.values!.array, expected) { #expect(abs(value - expected) <= 1e-4) }
    #expect(layer.runningMean.array == [1, -2])
    #expect(layer.runningVariance.array == [4, 4])
  }

  @Test(
    "pooling and the parameter-free shortcut",
    arguments: [
      (Pooling.Kind.average, Geometry(height: 4, width: 4, outputs: 4, kernel: 4, stride: 4, padding: 0)),
      (.average, Geometry(outputs: 4, kernel: 3, stride: 2, padding: 1)),
      (.average, Geometry(outputs: 4, kernel: 2, stride: 1, padding: 0)),
      (.maximum, Geometry(height: 7, width: 8, outputs: 4, kernel: 3, stride: 2, padding: 1)),
      (.maximum, Geometry(inputs: 9, outputs: 9, kernel: 2, stride: 2, padding: 0)),
      (.padShortcut, Geometry(outputs: 8, kernel: 1, stride: 2, padding: 0)),
      (.padShortcut, Geometry(height: 7, width: 7, outputs: 10, kernel: 1, stride: 2, padding: 0)),
      (.padShortcut, Geometry(outputs: 4, kernel: 1, stride: 2, padding: 0)),
    ], [1, 2])
  func pooling(test: (kind: Pooling.Kind, geometry: Geometry), uses: Int) {
    let (kind, geometry) = test
    let shape = geometry.shape
    let input = Activation.holding(
      normals(shape.inputCount, seed: 1), images: geometry.images, height: geometry.height, width: geometry.width,
      channels: geometry.inputs)
    let output = Activation(of: shape, uses: uses)
    let backend = CPUBackend(threads: 2)
    let layer = Pooling(
      name: "pool", kind: kind, shape: shape, input: input, output: output,
      gradients: .init(
        output: uses == 1 ? output.gradients[0] : Buffer(count: output.count), sumsOutput: uses > 1,
        input: input.gradients[0]), backend: backend)
    let run = LayerRun(layer: layer, output: output, images: geometry.images, backend: backend)
    run.run()

    let graph = ReferenceGraph { weightedSum($0.last!, run.outputGradient) }
    graph.define("input", input.values!)
    let result = graph.node(parameters: ["input"]) { _, p in
      let x = geometry.input(p[0])
      switch kind {
      case .average:
        return Reference.averagePool(x, kernel: geometry.kernel, stride: geometry.stride, padding: geometry.padding)
      case .maximum:
        return Reference.maxPool(x, kernel: geometry.kernel, stride: geometry.stride, padding: geometry.padding)
      case .padShortcut: return Reference.padShortcut(x, channels: geometry.outputs, stride: geometry.stride)
      }
    }
    _ = graph.evaluate()
    #expect(relativeError(layer.output.values!, graph.value(of: result).values) <= 1e-6)
    #expect(relativeError(input.gradients[0], graph.gradient(of: "input")) <= 1e-5)
  }

  @Test("cross-entropy, its gradient and the ranks")
  func crossEntropy() {
    let (images, classes) = (5, 7)
    let values = normals(images * classes, seed: 1).map { 4 * $0 }
    let labels: [Int32] = [0, 6, 3, 3, 1]
    let logits = Activation.holding(values, images: images, height: 1, width: 1, channels: classes)
    let backend = CPUBackend(threads: 1)
    let loss = CrossEntropy(batch: images, logits: logits, gradient: logits.gradients[0], backend: backend)
    for (image, label) in labels.enumerated() { loss.labels[image] = label }
    let result = loss.evaluate(images: images, withGradient: true, on: backend)

    let graph = ReferenceGraph { Reference.crossEntropy($0[0], labels: labels.map(Int.init)) }
    graph.define("logits", values)
    _ = graph.node(parameters: ["logits"]) { _, p in
      ReferenceTensor(images: images, height: 1, width: 1, channels: classes, values: p[0])
    }
    #expect(abs(result.loss - graph.evaluate()) <= 1e-6)
    #expect(relativeError(logits.gradients[0], graph.gradient(of: "logits")) <= 1e-5)

    var topOne = 0
    var topFive = 0
    for image in 0..<images {
      let row = values[image * classes..<(image + 1) * classes]
      let rank = row.count { $0 > row[row.startIndex + Int(labels[image])] }
      #expect(Int(loss.ranks[image]) == rank)
      topOne += rank < 1 ? 1 : 0
      topFive += rank < 5 ? 1 : 0
    }
    #expect(result.topOne == topOne && result.topFive == topFive)
  }

  @Test("cross-entropy of a part of the batch is the mean over that part; large logits do not overflow")
  func crossEntropyPart() {
    let logits = Activation.holding([1000, 0, 0, 1000, .nan, .nan], images: 3, height: 1, width: 1, channels: 2)
    let backend = CPUBackend(threads: 1)
    let loss = CrossEntropy(batch: 3, logits: logits, gradient: logits.gradients[0], backend: backend)
    let result = loss.evaluate(images: 2, withGradient: true, on: backend)
    // The first image is certain and right, the second certain and wrong.
    #expect(abs(result.loss - 500) <= 1e-3)
    #expect(result.topOne == 1)
    let expected: [Float] = [0, 0, -0.5, 0.5]
    for (value, expected) in zip(logits.gradients[0].array, expected) { #expect(abs(value - expected) <= 1e-6) }
    #expect(!loss.evaluate(images: 3, withGradient: false, on: backend).loss.isFinite)
  }
}
