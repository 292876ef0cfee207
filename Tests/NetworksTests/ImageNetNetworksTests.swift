import Kernels
import Networks
import Quantization
import Recipes
import Tensor
import TestSupport
import Testing

/// The networks for ImageNet, narrow and on small images that are not square.
struct ImageNetNetworksTests {
  private static let networks: [Architecture] = [.resnet18, .resnet50, .mobilenetv1, .mobilenetv2, .mobilenetv2s]

  private static func spec(_ recipe: Recipe, _ network: Architecture) -> ModelSpec {
    var spec = recipe.model(network, classes: 3, height: 33, width: 40, channels: network == .resnet50 ? 2 : 4)
    if network == .mobilenetv2s { (spec.inputHeight, spec.inputWidth) = (9, 10) }
    spec.dropout = 0
    return spec
  }

  /// The loss of a graph in float64, operation by operation.
  private static func loss(
    _ graph: Graph, _ parameters: [String: [Double]], images: ReferenceTensor, labels: [Int]
  ) -> Double {
    var values: [ReferenceTensor] = []
    for node in graph.nodes {
      let inputs = node.inputs.map { values[$0.node] }
      switch node.operation {
      case .images: values.append(images)
      case .convolution(let window, let groups, let hasBias, _):
        values.append(
          Reference.convolution(
            inputs[0], weights: parameters["\(node.name).weight"]!,
            bias: hasBias ? parameters["\(node.name).bias"]! : nil,
            outputs: node.shape.channels, kernel: window.height, stride: window.stride, padding: window.padding,
            groups: groups))
      case .batchNorm:
        values.append(
          Reference.batchNorm(
            inputs[0], weight: parameters["\(node.name).weight"]!, bias: parameters["\(node.name).bias"]!))
      case .add: values.append(Reference.add(inputs[0], inputs[1]))
      case .rectify(let rectifier): values.append(Reference.relu(inputs[0], upper: Double(rectifier.upper)))
      case .maxPool(let window):
        values.append(
          Reference.maxPool(inputs[0], kernel: window.height, stride: window.stride, padding: window.padding))
      case .averagePool:
        let x = inputs[0]
        let pixels = x.height * x.width
        var means = [Double](repeating: 0, count: x.images * x.channels)
        for (index, value) in x.values.enumerated() {
          means[index / (pixels * x.channels) * x.channels + index % x.channels] += value / Double(pixels)
        }
        values.append(ReferenceTensor(images: x.images, height: 1, width: 1, channels: x.channels, values: means))
      case .padShortcut, .dropout: preconditionFailure("these networks have none")
      }
    }
    return Reference.crossEntropy(values[graph.logits.node], labels: labels)
  }

  /// Derivatives along random directions, to which every tensor contributes alike: a wrong one shows.
  @Test(
    "every parameter's gradient is the derivative of the loss",
    arguments: networks.map { (Recipe.spqat, $0) } + [(.lts, .mobilenetv2), (.lts, .mobilenetv2s)])
  func gradients(recipe: Recipe, architecture: Architecture) throws {
    let images = 4
    let spec = Self.spec(recipe, architecture)
    let network = try Network(spec: spec, quantization: nil, batch: images, backend: CPUBackend(threads: 2))
    network.fill(seed: 5)
    network.forward(images: images, purpose: .training)
    let loss = network.loss.evaluate(images: images, withGradient: true, on: network.backend).loss
    network.backward(images: images)

    let graph = try spec.graph()
    let pixels = ReferenceTensor(
      images: images, height: spec.inputHeight, width: spec.inputWidth, channels: 3,
      values: network.images.values!.array.map(Double.init))
    let labels = network.loss.labels.array.map(Int.init)
    let start = Dictionary(
      uniqueKeysWithValues: network.parameters.map { ($0.name, $0.value.array.map(Double.init)) })
    // Rounding in single precision through 54 layers, with batch norm over few pixels: 1e-4 in ResNet-50.
    #expect(abs(loss - Self.loss(graph, start, images: pixels, labels: labels)) <= 4e-4)
    for direction in 0..<3 {
      var expected = 0.0
      var steps: [String: [Double]] = [:]
      for (index, parameter) in network.parameters.enumerated() {
        let gradient = parameter.gradient.array.map(Double.init)
        let norm = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
        let random = normals(parameter.count, seed: UInt64(1000 * direction + index)).map(Double.init)
        let step = random.map { $0 / max(norm, 1e-3) }
        steps[parameter.name] = step
        expected += zip(gradient, step).reduce(0) { $0 + $1.0 * $1.1 }
      }
      func loss(at distance: Double) -> Double {
        Self.loss(
          graph, start.merging(steps) { zip($0, $1).map { $0 + distance * $1 } }, images: pixels, labels: labels)
      }
      let difference = (loss(at: 1e-6) - loss(at: -1e-6)) / 2e-6
      // The directions are of unit size for each of the tensors.
      #expect(abs(difference - expected) <= 0.02 * Double(network.parameters.count).squareRoot())
    }
  }

  @Test("a quantized step has finite gradients, and every convolution gets some", arguments: Recipe.all, networks)
  func quantized(recipe: Recipe, architecture: Architecture) throws {
    let network = try Network(
      spec: Self.spec(recipe, architecture), quantization: recipe.quantization(weightBits: 8, activationBits: 8),
      batch: 4, backend: CPUBackend(threads: 2))
    network.fill(seed: 5)
    network.initializeWeightQuantizers()
    network.forward(images: 4, purpose: .training)
    #expect(network.areActivationQuantizersInitialized)
    #expect(network.loss.evaluate(images: 4, withGradient: true, on: network.backend).loss.isFinite)
    network.backward(images: 4)
    for parameter in network.trainedParameters {
      #expect(parameter.gradient.allSatisfy { $0.isFinite }, "\(parameter.name)")
    }
    for layer in network.convolutions { #expect(layer.weight.gradient.contains { $0 != 0 }, "\(layer.name)") }
    let ends = [network.convolutions.first!, network.convolutions.last!]
    for layer in ends {
      #expect((layer.weightQuantizer == nil) == (recipe == .spqat), "\(layer.name)")
      #expect((layer.activationQuantizer == nil) == (recipe == .spqat) && (layer.freezing == nil) == (recipe == .spqat))
    }
    #expect(network.convolutions.first!.needsInputGradient == (recipe == .lts))
  }

  @Test("a linear bottleneck's negative half is kept in `lts` and clamped in `spqat`", arguments: Recipe.all)
  func bottlenecks(recipe: Recipe) throws {
    let network = try Network(
      spec: Self.spec(recipe, .mobilenetv2s), quantization: recipe.quantization(weightBits: 4, activationBits: 4),
      batch: 4, backend: CPUBackend(threads: 2))
    network.fill(seed: 5)
    network.initializeWeightQuantizers()
    network.forward(images: 4, purpose: .training)
    // Reads the output of a block of stride 1, which the block behind adds up as floats, too.
    let expand = try #require(network.convolutions.first { $0.name == "features.3.conv.0.0" })
    let values = try #require(expand.input.values)
    let copy = expand.input.copies[0]
    let lower = Double(copy.quantizer.lowerBound ?? 0)
    #expect((lower < 0) == (recipe == .lts))
    let inside = (0..<values.count).filter { values[$0] < 0 && copy.levels[$0] > 0 }
    #expect(values.contains { $0 < 0 } && inside.isEmpty == (recipe == .spqat))
    // What pads a depthwise convolution is level 0.
    for index in 0..<values.count where Double(values[index]) <= lower { #expect(copy.levels[index] == 0) }
  }
}
