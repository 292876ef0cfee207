import Kernels
import Networks
import Quantization
import Recipes
import Tensor
import TestSupport
import Testing

extension ModelSpec {
  /// The topology of a recipe.
  static func resNet(
    _ recipe: Recipe, _ architecture: Architecture, classes: Int = 10, side: Int = 32, width: Int = 16
  ) -> ModelSpec {
    recipe.model(architecture, classes: classes, height: side, width: side, channels: width)
  }
}

extension Network {
  /// Weights from a seed, batch norm away from its start, random images and labels.
  func fill(seed: UInt64) {
    initializeWeights(seed: seed)
    for (index, norm) in batchNorms.enumerated() {
      let values = normals(2 * norm.weight.count, seed: seed + 100 + UInt64(index))
      for channel in 0..<norm.weight.count {
        norm.weight.value[channel] = 1 + 0.3 * values[2 * channel]
        norm.bias.value[channel] = 0.3 * values[2 * channel + 1]
      }
    }
    images.values!.copy(from: Buffer(normals(images.count, seed: seed + 1)))
    var random = CounterRandom(seed: seed, stream: 7)
    for image in 0..<batch { loss.labels[image] = Int32(random.bounded(spec.classes)) }
  }
}

struct NetworkGradientTests {
  /// The network of `spec` in float64.
  private static func reference(_ spec: ModelSpec, blocksPerStage: Int, network: Network) -> ReferenceGraph {
    let labels = network.loss.labels.array.map(Int.init)
    let graph = ReferenceGraph { Reference.crossEntropy($0.last!, labels: labels) }
    for parameter in network.parameters { graph.define(parameter.name, parameter.value) }
    let images = network.images.values!.array.map(Double.init)
    func convolution(_ name: String, _ input: Int, channels: Int, kernel: Int, stride: Int = 1) -> Int {
      graph.node(inputs: [input], parameters: ["\(name).weight"]) { x, p in
        Reference.convolution(
          x[0], weights: p[0], bias: nil, outputs: channels, kernel: kernel, stride: stride, padding: kernel / 2)
      }
    }
    func batchNorm(_ name: String, _ input: Int, adding residual: Int? = nil, relu: Bool) -> Int {
      graph.node(
        inputs: [input] + (residual.map { [$0] } ?? []), parameters: ["\(name).weight", "\(name).bias"]
      ) { x, p in
        var y = Reference.batchNorm(x[0], weight: p[0], bias: p[1])
        if x.count > 1 { y = Reference.add(y, x[1]) }
        return relu ? Reference.relu(y) : y
      }
    }
    var x = graph.node(parameters: []) { _, _ in
      ReferenceTensor(
        images: network.batch, height: spec.inputHeight, width: spec.inputWidth, channels: 3, values: images)
    }
    x = convolution("conv1", x, channels: spec.width, kernel: 3)
    x = batchNorm("bn1", x, relu: true)
    for stage in 0..<3 {
      let channels = spec.width << stage
      for block in 0..<blocksPerStage {
        let name = "layer\(stage + 1).\(block)"
        let stride = stage > 0 && block == 0 ? 2 : 1
        var y = convolution("\(name).conv1", x, channels: channels, kernel: 3, stride: stride)
        y = batchNorm("\(name).bn1", y, relu: true)
        y = convolution("\(name).conv2", y, channels: channels, kernel: 3)
        var shortcut = x
        if stride == 2 {
          switch spec.shortcut {
          case .pad:
            shortcut = graph.node(inputs: [x], parameters: []) { x, _ in
              Reference.padShortcut(x[0], channels: channels, stride: 2)
            }
          case .convolution:
            shortcut = convolution("\(name).shortcut.0", x, channels: channels, kernel: 1, stride: 2)
            shortcut = batchNorm("\(name).shortcut.1", shortcut, relu: false)
          }
        }
        x = batchNorm("\(name).bn2", y, adding: shortcut, relu: true)
      }
    }
    let side = spec.inputHeight / 4
    x = graph.node(inputs: [x], parameters: []) { x, _ in Reference.averagePool(x[0], kernel: side, stride: side) }
    if spec.batchNormBeforeLinear { x = batchNorm("bn2", x, relu: false) }
    let linear = spec.shortcut == .pad ? "linear" : "fc"
    _ = graph.node(inputs: [x], parameters: ["\(linear).weight", "\(linear).bias"]) { x, p in
      Reference.convolution(x[0], weights: p[0], bias: p[1], outputs: spec.classes, kernel: 1)
    }
    return graph
  }

  @Test("every parameter's gradient is the derivative of the loss", arguments: Recipe.all)
  func gradients(recipe: Recipe) throws {
    let spec = ModelSpec.resNet(recipe, .resnet8, classes: 7, side: 8, width: 4)
    var expected: [String: [Double]] = [:]
    for instructionSet in InstructionSet.available.reversed() {
      let backend = CPUBackend(threads: 2, instructionSet: instructionSet)
      let network = try Network(spec: spec, quantization: nil, batch: 3, backend: backend)
      network.fill(seed: 3)
      network.forward(images: 3, purpose: .training)
      let loss = network.loss.evaluate(images: 3, withGradient: true, on: backend).loss
      network.backward(images: 3)
      if expected.isEmpty {
        let graph = Self.reference(spec, blocksPerStage: 1, network: network)
        #expect(abs(loss - graph.evaluate()) <= 1e-5)
        for parameter in network.trainedParameters { expected[parameter.name] = graph.gradient(of: parameter.name) }
      }
      #expect(network.trainedParameters.count == network.parameters.count)
      for parameter in network.trainedParameters {
        let error = relativeError(parameter.gradient, expected[parameter.name]!)
        #expect(error <= 2e-4, "\(parameter.name), \(instructionSet.rawValue)")
      }
    }
  }

  @Test("a batch that is not full gives the gradients of a smaller network", arguments: Recipe.all)
  func partialBatch(recipe: Recipe) throws {
    let spec = ModelSpec.resNet(recipe, .resnet8, classes: 7, side: 8, width: 4)
    let backend = CPUBackend(threads: 2)
    let quantization = recipe.quantization(weightBits: 4, activationBits: 4)
    let networks = try [3, 5].map { try Network(spec: spec, quantization: quantization, batch: $0, backend: backend) }
    networks[0].fill(seed: 3)
    for (target, source) in zip(networks[1].parameters, networks[0].parameters) {
      target.value.copy(from: source.value)
    }
    for index in 0..<networks[0].images.count { networks[1].images.values![index] = networks[0].images.values![index] }
    for index in 0..<3 { networks[1].loss.labels[index] = networks[0].loss.labels[index] }
    let losses = networks.map { network in
      network.initializeWeightQuantizers()
      network.forward(images: 3, purpose: .training)
      let result = network.loss.evaluate(images: 3, withGradient: true, on: backend)
      network.backward(images: 3)
      return result.loss
    }
    #expect(losses[0] == losses[1])
    for (first, second) in zip(networks[0].trainedParameters, networks[1].trainedParameters) {
      #expect(first.gradient.array == second.gradient.array, "\(first.name)")
    }
  }
}

struct NetworkTests {
  @Test("ResNet-20 has its published size, and the shortcuts' parameters in `lts`")
  func parameterCounts() throws {
    let backend = CPUBackend(threads: 1)
    func count(_ recipe: Recipe, _ classes: Int) throws -> Int {
      try Network(spec: .resNet(recipe, .resnet20, classes: classes), quantization: nil, batch: 1, backend: backend)
        .parameters.reduce(0) { $0 + $1.count }
    }
    // Convolutions 432 + 6·2304 + 4608 + 5·9216 + 18432 + 5·36864, batch norm 2·(7·16 + 6·32 + 6·64), linear 650.
    let spqat = try count(.spqat, 10)
    let lts = try count(.lts, 10)
    let hundred = try count(.spqat, 100)
    #expect(spqat == 267_696 + 1376 + 650 + 2 * 64)
    #expect(lts == 267_696 + 1376 + 650 + 16 * 32 + 32 * 64 + 2 * 32 + 2 * 64)
    #expect(hundred == spqat + 90 * 65)
  }

  @Test("the quantizers' numbers, and which weights may freeze")
  func quantizedCounts() throws {
    let backend = CPUBackend(threads: 1)
    let spqat = try Network(
      spec: .resNet(.spqat, .resnet20),
      quantization: Recipe.spqat.quantization(weightBits: 2, activationBits: 3),
      batch: 1, backend: backend)
    // 20 weight scales, of which one learns; 19 activation scales.
    #expect(spqat.parameters.filter { $0.group == .quantizers }.count == 39)
    #expect(spqat.trainedParameters.filter { $0.group == .quantizers }.count == 20)
    #expect(spqat.freezableWeights == 267_696)
    #expect(spqat.convolutions.map { $0.weightQuantizer!.bits } == [8] + [Int](repeating: 2, count: 18) + [8])
    #expect(spqat.convolutions.map { $0.activationQuantizer?.bits } == [nil] + [Int](repeating: 3, count: 18) + [8])
    #expect(spqat.convolutions.first!.needsInputGradient == false && spqat.convolutions.last!.freezing == nil)

    let lts = try Network(
      spec: .resNet(.lts, .resnet20),
      quantization: Recipe.lts.quantization(weightBits: 2, activationBits: 3), batch: 1,
      backend: backend)
    #expect(lts.trainedParameters.filter { $0.group == .quantizers }.count == 22 * 4)
    #expect(lts.freezableWeights == 267_696 + 16 * 32 + 32 * 64 + 640)
    #expect(lts.convolutions.allSatisfy { $0.weightQuantizer!.bits == 2 && $0.activationQuantizer!.bits == 3 })
    #expect(Set(lts.parameters.map(\.name)).count == lts.parameters.count)
  }

  @Test("ResNet-20 takes 40.6 million multiply-adds an image of 32×32")
  func multiplyAdds() throws {
    let network = try Network(
      spec: .resNet(.spqat, .resnet20), quantization: nil, batch: 1, backend: CPUBackend(threads: 1))
    let macs = network.convolutions.reduce(0) { $0 + $1.shape.macs }
    // 1024·(432 + 6·2304) + 256·(4608 + 5·9216) + 64·(18432 + 5·36864) + 640
    #expect(macs == 40_551_040)
  }

  @Test(
    "an architecture of 6n + 2 layers has n blocks a stage",
    arguments: zip(ModelSpec.Architecture.allCases, [8, 20, 32, 44, 56]))
  func depth(architecture: ModelSpec.Architecture, layers: Int) throws {
    let network = try Network(
      spec: .resNet(.spqat, architecture, side: 8, width: 2), quantization: nil, batch: 1,
      backend: CPUBackend(threads: 1))
    #expect(network.convolutions.count == layers)
    #expect(network.convolutions.last!.name == "linear")
  }

  @Test(
    "weights start with Kaiming's standard deviation, biases within ±1/sqrt(fan in)",
    arguments: [ModelSpec.Initialization.kaimingFanIn, .kaimingFanOut])
  func initialization(kind: ModelSpec.Initialization) throws {
    var spec = ModelSpec.resNet(.lts, .resnet20, classes: 100)
    spec.initialization = kind
    let network = try Network(spec: spec, quantization: nil, batch: 1, backend: CPUBackend(threads: 1))
    network.initializeWeights(seed: 1)
    for layer in network.convolutions {
      let shape = layer.shape
      let window = Double(shape.kernelHeight * shape.kernelWidth)
      let fan = window * Double(kind == .kaimingFanIn ? shape.inputChannels : shape.outputChannels)
      let values = layer.weight.value.array.map(Double.init)
      let count = Double(values.count)
      let mean = values.reduce(0, +) / count
      let deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)).squareRoot()
      let expected = (2 / fan).squareRoot()
      // Four standard errors.
      #expect(abs(mean) <= 4 * expected / count.squareRoot(), "\(layer.name)")
      #expect(abs(deviation / expected - 1) <= 4 / (2 * count).squareRoot(), "\(layer.name)")
      if let bias = layer.bias {
        let bound = 1 / Float(shape.inputChannels).squareRoot()
        #expect(bias.value.allSatisfy { abs($0) <= bound })
        #expect(bias.value.contains { $0 > bound / 2 })
        #expect(bias.value.contains { $0 < -bound / 2 })
      }
    }
    let again = try Network(spec: spec, quantization: nil, batch: 1, backend: CPUBackend(threads: 1))
    again.initializeWeights(seed: 1)
    #expect(again.convolutions[3].weight.value.array == network.convolutions[3].weight.value.array)
    again.initializeWeights(seed: 2)
    #expect(again.convolutions[3].weight.value.array != network.convolutions[3].weight.value.array)
    #expect(network.convolutions[1].weight.value.array != network.convolutions[2].weight.value.array)
  }

  @Test("an evaluation pass changes nothing and does not depend on the batch")
  func evaluation() throws {
    let backend = CPUBackend(threads: 2)
    let spec = ModelSpec.resNet(.lts, .resnet8, classes: 5, side: 8, width: 4)
    let network = try Network(
      spec: spec,
      quantization: Recipe.lts.quantization(weightBits: 3, activationBits: 3), batch: 4,
      backend: backend)
    network.fill(seed: 1)
    network.initializeWeightQuantizers()
    network.forward(images: 4, purpose: .training)
    #expect(network.areActivationQuantizersInitialized)
    let before = network.parameters.map(\.value.array) + network.batchNorms.map(\.runningMean.array)
    network.forward(images: 4, purpose: .evaluation)
    let all = network.loss.logits.values!.array
    network.forward(images: 1, purpose: .evaluation)
    #expect(Array(network.loss.logits.values!.array.prefix(5)) == Array(all.prefix(5)))
    #expect(before == network.parameters.map(\.value.array) + network.batchNorms.map(\.runningMean.array))
  }
}

struct PyTorchLayoutTests {
  @Test("four extents go from output, row, column, input to output, input, row, column, and back")
  func roundTrip() {
    let shape = [2, 3, 4, 5]
    let values = Buffer((0..<120).map(Float.init))
    let exported = PyTorchLayout.export(values, shape: shape)
    #expect(PyTorchLayout.shape(shape, isLinear: false) == [2, 5, 3, 4])
    for (output, row, column, input) in [(0, 0, 0, 0), (1, 2, 3, 4), (1, 0, 2, 3), (0, 1, 3, 1)] {
      #expect(
        exported[((output * 5 + input) * 3 + row) * 4 + column] == values[((output * 3 + row) * 4 + column) * 5 + input]
      )
    }
    let back = Buffer<Float>(count: 120)
    PyTorchLayout.import(exported, shape: shape, into: back)
    #expect(back.array == values.array)
  }

  @Test("linear layers have two extents, vectors and scalars stay")
  func otherShapes() {
    #expect(PyTorchLayout.shape([10, 1, 1, 64], isLinear: true) == [10, 64])
    #expect(PyTorchLayout.shape([16], isLinear: false) == [16])
    #expect(PyTorchLayout.shape([], isLinear: false) == [])
    #expect(PyTorchLayout.export(Buffer<Float>([1, 2, 3]), shape: [3]) == [1, 2, 3])
    #expect(PyTorchLayout.export(Buffer((0..<6).map(Float.init)), shape: [2, 1, 1, 3]) == [0, 1, 2, 3, 4, 5])
  }
}
