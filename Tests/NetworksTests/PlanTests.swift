// One file although it is long: every decision of the plan is checked over the same networks.

import Kernels
import Networks
import Quantization
import Recipes
import Tensor
import TestSupport
import Testing

struct PlanTests {
  private static func quantization(_ recipe: Recipe) -> QuantizationSpec {
    recipe.quantization(weightBits: 2, activationBits: 4)
  }

  private static func plan(
    _ recipe: Recipe, _ architecture: Architecture = .resnet20, quantized: Bool = true, batch: Int = 4
  ) throws -> Plan {
    try Plan(
      ModelSpec.resNet(recipe, architecture).graph(), quantization: quantized ? quantization(recipe) : nil,
      batch: batch,
      on: CPUBackend(threads: 1))
  }

  private static func fusions(_ plan: Plan, _ name: String) -> [String] {
    plan.fusions(of: plan.steps.firstIndex { $0.name == name }!)
  }

  @Test("batch norm, addition, rectifier and quantization are one step; its passes run in the convolutions beside it")
  func fusion() throws {
    let plan = try Self.plan(.lts)
    #expect(
      Self.fusions(plan, "layer2.0.bn1") == [
        "rectifies", "statistics inside layer2.0.conv1",
        "first backward pass inside the pieces of layer2.0.conv2", "second backward pass inside layer2.0.conv1",
        "quantizes to 4 bits for layer2.0.conv2",
      ])
    // Two convolutions read the block before: the one that comes first gets its gradient last.
    #expect(
      Self.fusions(plan, "layer1.2.bn2") == [
        "adds layer1.1.bn2", "rectifies", "statistics inside layer1.2.conv2",
        "first backward pass inside the pieces of layer2.0.conv1", "second backward pass inside layer1.2.conv2",
        "quantizes to 4 bits for layer2.0.conv1", "quantizes to 4 bits for layer2.0.shortcut.0",
      ])
    #expect(
      Self.fusions(plan, "layer2.0.conv2") == [
        "weights of 2 bits, products in integers", "forms the statistics of layer2.0.bn2",
        "second backward pass of layer2.0.bn2 as its affine output gradient",
        "first backward pass of layer2.0.bn1 inside its pieces",
      ])
    // The last block's output goes to the pooling, whose gradient does not come in pieces.
    #expect(!Self.fusions(plan, "layer3.2.bn2").contains { $0.contains("first backward pass") })
    #expect(Self.fusions(plan, "images") == ["quantizes to 4 bits for conv1"])
    let spqat = try Self.plan(.spqat)
    #expect(Self.fusions(spqat, "images").isEmpty)
    // Batch norm over pooled features: no convolution before it.
    #expect(
      Self.fusions(spqat, "bn2") == [
        "first backward pass inside the pieces of linear", "quantizes to 8 bits for linear",
      ])
    #expect(spqat.steps.map(\.name).contains("layer2.0.shortcut"))
  }

  @Test("every pass is run once, by the step that says so", arguments: Recipe.all, [false, true])
  func passes(recipe: Recipe, quantized: Bool) throws {
    let plan = try Self.plan(recipe, quantized: quantized)
    var inside = 0
    for (index, step) in plan.steps.enumerated() {
      guard case .normalization(let normalization) = step.kind else { continue }
      let hosts = plan.steps.indices.filter {
        if case .convolution(let convolution) = plan.steps[$0].kind { return convolution.firstPassOf == index }
        return false
      }
      let firstPass = normalization.firstPass == .alone ? [] : [normalization.firstPass]
      #expect(hosts.map { .inside($0) } == firstPass)
      inside += hosts.count
      let seconds = plan.steps.indices.filter {
        if case .convolution(let convolution) = plan.steps[$0].kind,
          case .affine(_, let norm) = convolution.outputGradient
        {
          return norm == index
        }
        return false
      }
      let secondPass = normalization.secondPass == .alone ? [] : [normalization.secondPass]
      #expect(seconds.map { .inside($0) } == secondPass)
      let leavesSecondPass = normalization.secondPass != .alone
      #expect((normalization.inputGradient == nil) == leavesSecondPass)
    }
    #expect(inside > 15)
  }

  /// Walks the backward pass with the regions' contents: which gradient lies where.
  @Test(
    "no step writes over a gradient that another one still reads", arguments: Recipe.all,
    [Architecture.resnet8, .resnet20, .resnet18, .resnet50, .mobilenetv1, .mobilenetv2])
  func regions(recipe: Recipe, architecture: Architecture) throws {
    let plan = try Self.plan(recipe, architecture)
    // The steps whose outputs' gradient lies in each region; a batch norm's first pass gives the residual's gradient too.
    var owners = [Set<Int>](repeating: [], count: plan.regions.count)
    owners[plan.logitsGradient] = [plan.steps.count - 1]
    func count(_ step: Int) -> Int { plan.batch * plan.steps[step].output.shape.count }
    func write(_ region: Int, for step: Int) {
      owners[region] = [step]
      #expect(plan.regions[region].count >= count(step))
    }
    func read(_ region: Int, of step: Int, by reader: Int) {
      #expect(
        owners[region].contains(step), "\(plan.steps[reader].name) reads the gradient of \(plan.steps[step].name)")
    }
    func readArriving(_ step: Int, by reader: Int) {
      for region in plan.steps[step].output.arriving { read(region, of: step, by: reader) }
    }
    func firstPass(_ normalization: Plan.Normalization, _ step: Int, by reader: Int) {
      readArriving(step, by: reader)
      write(normalization.result, for: step)
      if normalization.hasResidual { owners[normalization.result].insert(plan.steps[step].inputs[1]) }
    }
    for index in plan.steps.indices.reversed() {
      let step = plan.steps[index]
      func valueGradients(_ gradients: Plan.ValueGradients) {
        if gradients.sumsOutput { write(gradients.output, for: index) }
        write(gradients.input, for: step.inputs[0])
        read(gradients.output, of: index, by: index)
      }
      switch step.kind {
      case .images(let images):
        readArriving(index, by: index)
        #expect((images.gradient == nil) == step.output.arriving.isEmpty)
      case .convolution(let convolution):
        if let gradient = convolution.inputGradient {
          write(gradient, for: step.inputs[0])
          if let norm = convolution.firstPassOf, case .normalization(let normalization) = plan.steps[norm].kind {
            firstPass(normalization, norm, by: index)
          }
        }
        // The output's gradient is still read when the input's was written, and after the first pass on its pieces.
        switch convolution.outputGradient {
        case .region(let region): read(region, of: index, by: index)
        case .affine(let region, let norm): read(region, of: norm, by: index)
        }
      case .normalization(let normalization):
        if normalization.firstPass == .alone { firstPass(normalization, index, by: index) }
        if let gradient = normalization.inputGradient {
          read(normalization.result, of: index, by: index)
          write(gradient, for: step.inputs[0])
        }
      case .pooling(let pooling):
        readArriving(index, by: index)
        valueGradients(pooling.gradients)
      case .dropout(let dropout):
        readArriving(index, by: index)
        valueGradients(dropout.gradients)
      }
    }
  }

  @Test(
    "tensors and gradients lie apart while they live, and live until they are read", arguments: Recipe.all,
    [Architecture.resnet8, .resnet20, .resnet18, .resnet50, .mobilenetv1, .mobilenetv2])
  func lives(recipe: Recipe, architecture: Architecture) throws {
    let plan = try Self.plan(recipe, architecture)
    let steps = plan.steps
    struct Part {
      var what: String
      var place: Range<Int>
      var life: ClosedRange<Int>
    }
    func timeBack(_ step: Int) -> Int { 2 * steps.count - 1 - step }
    var parts: [Part] = []
    for (index, step) in steps.enumerated() {
      let count = plan.batch * step.output.shape.count
      if let offset = step.output.offset {
        // What reads the floats, forward and back: whoever comes behind, and the step itself unless they are not kept.
        let readers = steps.indices.filter { steps[$0].inputs.contains(index) }
        let end = step.output.keepsValues ? timeBack(index) : readers.last!
        parts.append(
          Part(what: step.name, place: offset..<offset + (step.output.holdsSums ? 2 : 4) * count, life: index...end))
      }
      for copy in step.output.copies {
        parts.append(
          Part(
            what: "\(step.name) quantized", place: copy.offset..<copy.offset + count,
            life: index...timeBack(copy.reader)))
      }
    }
    for (number, region) in plan.regions.enumerated() {
      parts.append(
        Part(what: "region \(number)", place: region.offset..<region.offset + 4 * region.count, life: region.life))
    }
    for (index, first) in parts.enumerated() {
      #expect(first.place.lowerBound % 64 == 0 && first.place.upperBound <= plan.sharedBytes)
      for second in parts[..<index] where first.life.overlaps(second.life) {
        #expect(!first.place.overlaps(second.place), "\(first.what), \(second.what)")
      }
    }
    // Floats that are not kept belong to batch norms that compute them again, and only poolings read them.
    for (index, step) in steps.enumerated() where !step.output.keepsValues {
      guard case .normalization(let normalization) = step.kind else {
        Issue.record("\(step.name) does not keep its floats")
        continue
      }
      #expect(!normalization.hasResidual)
      for reader in steps where reader.inputs.contains(index) {
        switch reader.kind {
        case .pooling, .dropout: break
        case .convolution(let convolution): #expect(convolution.copy != nil)
        case .normalization, .images: Issue.record("\(reader.name) reads floats that are not kept")
        }
      }
    }
    // The gradients that a step reads and writes on its way back live then.
    for (index, step) in steps.enumerated() {
      for region in step.output.arriving { #expect(plan.regions[region].life.contains(timeBack(index))) }
      guard case .convolution(let convolution) = step.kind else { continue }
      if let gradient = convolution.inputGradient { #expect(plan.regions[gradient].life.contains(timeBack(index))) }
      switch convolution.outputGradient {
      case .region(let region), .affine(let region, _):
        #expect(plan.regions[region].life.contains(timeBack(index)))
      }
    }
  }

  @Test("ImageNet's networks fit into the memory that they should", arguments: Recipe.all)
  func imageNetMemory(recipe: Recipe) throws {
    func bytes(_ architecture: Architecture, batch: Int) throws -> Int {
      try Plan(
        recipe.model(architecture, classes: 1000, height: 224, width: 224).graph(),
        quantization: recipe.quantization(weightBits: 4, activationBits: 4), batch: batch, on: CPUBackend(threads: 1)
      ).totalBytes
    }
    #expect(try bytes(.resnet18, batch: 256) <= 5 << 30)
    #expect(try bytes(.resnet50, batch: 128) <= 12 << 30)
  }

  @Test("the memory that a plan counts is what the network takes", arguments: Recipe.all)
  func memory(recipe: Recipe) throws {
    let batch = 3
    let network = try Network(
      spec: .resNet(recipe, .resnet8, side: 8, width: 4), quantization: Self.quantization(recipe), batch: batch,
      backend: CPUBackend(threads: 1))
    let plan = network.plan
    for (index, layer) in network.layers.enumerated() {
      let memory = Dictionary(uniqueKeysWithValues: plan.memory(of: index).map { ($0.name, $0.bytes) })
      let output: Activation
      switch layer {
      case let layer as Convolution:
        output = layer.output
        #expect(
          memory["parameters and gradients"] == 8 * (layer.weight.count + (layer.bias?.count ?? 0)), "\(layer.name)")
        #expect(memory["freezing"] == layer.freezing.map { 7 * $0.count })
        #expect(memory["history of levels"] == layer.freezing.map { 22 * $0.count })
        #expect(memory["quantized weights"] == 4 * layer.quantizedWeight.count)
      case let layer as BatchNormalization:
        output = layer.output
        #expect(memory["running statistics"] == 4 * (layer.runningMean.count + layer.runningVariance.count))
      case let layer as Pooling: output = layer.output
      case let layer as ImageInput: output = layer.output
      default: continue
      }
      #expect(memory["values"] == output.values.map { 4 * $0.count })
      #expect(memory["16-bit sums"] == output.sums.map { 2 * $0.values.count })
      let levels = memory.filter { $0.key.hasPrefix("levels") }.values.reduce(0, +)
      let allocated = output.copies.map(\.levels.count).reduce(0, +)
      #expect(levels == allocated)
      let arriving = output.gradients.count + output.copies.compactMap(\.gradient).count
      #expect(plan.gradientRegions(of: index).count == arriving)
    }
    let all = plan.steps.indices.flatMap(plan.memory).reduce(0) { $0 + $1.bytes }
    let apart = plan.steps.indices.flatMap(plan.memory).reduce(0) { $0 + ($1.isShared ? 0 : $1.bytes) }
    let regionBytes = plan.regions.map { 4 * $0.count }.reduce(0, +)
    #expect(plan.totalBytes == apart + plan.sharedBytes)
    #expect(plan.totalBytes < all + regionBytes)
  }

  @Test("operations that no step carries out are refused in one line")
  func refusals() {
    func refusal(_ network: (inout Graph, Graph.Value) -> Graph.Value) -> String? {
      do {
        _ = try Plan(
          Graph(images: .init(height: 4, width: 4, channels: 3), network: network), quantization: nil, batch: 2,
          on: CPUBackend(threads: 1))
        return nil
      } catch {
        return "\(error)"
      }
    }
    func head(_ graph: inout Graph, _ x: Graph.Value) -> Graph.Value {
      graph.linear("fc", graph.globalAveragePool("pool", x), outputs: 2)
    }
    #expect(refusal { graph, x in head(&graph, x) } == nil)
    #expect(
      refusal { graph, x in head(&graph, graph.rectify(graph.convolution("conv", x, channels: 4, kernel: 3))) }
        == "conv.relu: a rectifier runs behind a batch norm that only it reads")
    #expect(
      refusal { graph, x in head(&graph, graph.add(x, x)) }
        == "images.add: an addition runs behind a batch norm that only it reads")
    #expect(
      refusal { graph, x in
        let y = graph.convolution("conv", x, channels: 4, kernel: 3)
        return head(&graph, graph.add(graph.batchNorm("bn", y), y))
      } == "conv: a convolution's output is read once, by a batch norm or the loss")
    #expect(
      refusal { graph, x in
        _ = graph.batchNorm("bn", graph.convolution("conv", x, channels: 4, kernel: 3))
        return head(&graph, x)
      } == "bn: no layer reads the output")
  }
}

/// Networks that no recipe has: what ImageNet's will be made of, on small images.
struct OtherNetworksTests {
  /// A stem with max pooling, a depthwise and a pointwise convolution with a linear bottleneck around them, all sizes odd.
  private static let unlikeResNet = Architecture("test", family: .smallImageResNet) { graph, images, spec in
    var x = graph.convolution("stem", images, channels: 4, kernel: 3, stride: 2, place: .first)
    x = graph.maxPool("pool", graph.rectify(graph.batchNorm("stem.bn", x)), kernel: 3, stride: 2)
    let bottleneck = graph.batchNorm("narrow.bn", graph.convolution("narrow", x, channels: 4, kernel: 1))
    x = graph.rectify(graph.batchNorm("expand.bn", graph.convolution("expand", bottleneck, channels: 8, kernel: 1)))
    x = graph.rectify(
      graph.batchNorm("depthwise.bn", graph.convolution("depthwise", x, channels: 8, kernel: 3, groups: 8)))
    x = graph.convolution("project", x, channels: 4, kernel: 1)
    x = graph.add(graph.batchNorm("project.bn", x), bottleneck)
    return graph.linear("fc", graph.globalAveragePool("average", x), outputs: spec.classes)
  }

  private static func network(_ recipe: Recipe?, batch: Int = 3) throws -> Network {
    try Network(
      spec: ModelSpec(
        architecture: unlikeResNet, shortcut: .pad, batchNormBeforeLinear: false, initialization: .kaimingFanIn,
        classes: 3, inputHeight: 13, inputWidth: 22),
      quantization: recipe.map {
        $0.quantization(weightBits: 8, activationBits: 8)
      }, batch: batch, backend: CPUBackend(threads: 2))
  }

  /// The same network in float64.
  private static func reference(_ network: Network) -> ReferenceGraph {
    let labels = network.loss.labels.array.map(Int.init)
    let graph = ReferenceGraph { Reference.crossEntropy($0.last!, labels: labels) }
    for parameter in network.parameters { graph.define(parameter.name, parameter.value) }
    let images = network.images.values!.array.map(Double.init)
    func convolution(
      _ name: String, _ input: Int, channels: Int, kernel: Int, stride: Int = 1, groups: Int = 1
    ) -> Int {
      graph.node(inputs: [input], parameters: ["\(name).weight"]) { x, p in
        Reference.convolution(
          x[0], weights: p[0], bias: nil, outputs: channels, kernel: kernel, stride: stride, padding: kernel / 2,
          groups: groups)
      }
    }
    func batchNorm(_ name: String, _ input: Int, adding other: Int? = nil, relu: Bool) -> Int {
      graph.node(
        inputs: [input] + (other.map { [$0] } ?? []), parameters: ["\(name).weight", "\(name).bias"]
      ) { x, p in
        var y = Reference.batchNorm(x[0], weight: p[0], bias: p[1])
        if x.count > 1 { y = Reference.add(y, x[1]) }
        return relu ? Reference.relu(y) : y
      }
    }
    var x = graph.node(parameters: []) { _, _ in
      ReferenceTensor(images: network.batch, height: 13, width: 22, channels: 3, values: images)
    }
    x = convolution("stem", x, channels: 4, kernel: 3, stride: 2)
    x = batchNorm("stem.bn", x, relu: true)
    x = graph.node(inputs: [x], parameters: []) { x, _ in
      Reference.maxPool(x[0], kernel: 3, stride: 2, padding: 1)
    }
    let bottleneck = batchNorm("narrow.bn", convolution("narrow", x, channels: 4, kernel: 1), relu: false)
    x = batchNorm("expand.bn", convolution("expand", bottleneck, channels: 8, kernel: 1), relu: true)
    x = batchNorm("depthwise.bn", convolution("depthwise", x, channels: 8, kernel: 3, groups: 8), relu: true)
    x = batchNorm("project.bn", convolution("project", x, channels: 4, kernel: 1), adding: bottleneck, relu: false)
    x = graph.node(inputs: [x], parameters: []) { x, _ in
      let input = x[0]
      let pixels = input.height * input.width
      var means = [Double](repeating: 0, count: input.images * input.channels)
      for (index, value) in input.values.enumerated() {
        let image = index / (pixels * input.channels)
        means[image * input.channels + index % input.channels] += value / Double(pixels)
      }
      return ReferenceTensor(images: input.images, height: 1, width: 1, channels: input.channels, values: means)
    }
    _ = graph.node(inputs: [x], parameters: ["fc.weight", "fc.bias"]) { x, p in
      Reference.convolution(x[0], weights: p[0], bias: p[1], outputs: 3, kernel: 1)
    }
    return graph
  }

  @Test("every parameter's gradient is the derivative of the loss")
  func gradients() throws {
    let network = try Self.network(nil)
    network.fill(seed: 5)
    network.forward(images: 3, purpose: .training)
    let loss = network.loss.evaluate(images: 3, withGradient: true, on: network.backend).loss
    network.backward(images: 3)
    let graph = Self.reference(network)
    #expect(abs(loss - graph.evaluate()) <= 1e-5)
    for parameter in network.trainedParameters {
      let error = relativeError(parameter.gradient, graph.gradient(of: parameter.name))
      #expect(error <= 2e-4, "\(parameter.name)")
    }
  }

  @Test("quantized, every parameter gets a gradient", arguments: Recipe.all)
  func quantized(recipe: Recipe) throws {
    let network = try Self.network(recipe)
    network.fill(seed: 5)
    network.initializeWeightQuantizers()
    network.forward(images: 3, purpose: .training)
    #expect(network.loss.evaluate(images: 3, withGradient: true, on: network.backend).loss.isFinite)
    network.backward(images: 3)
    for parameter in network.trainedParameters {
      let gradient = parameter.gradient.array
      #expect(gradient.allSatisfy { $0.isFinite }, "\(parameter.name)")
      #expect(gradient.contains { $0 != 0 }, "\(parameter.name)")
    }
  }

  @Test("ResNets take images that are not square, and of any size", arguments: [(16, 8), (5, 32), (1, 1), (3, 7)])
  func anySize(height: Int, width: Int) throws {
    for recipe in Recipe.all {
      var spec = ModelSpec.resNet(recipe, .resnet8, classes: 3, width: 4)
      spec.inputHeight = height
      spec.inputWidth = width
      let network = try Network(
        spec: spec,
        quantization: recipe.quantization(weightBits: 4, activationBits: 4),
        batch: 5, backend: CPUBackend(threads: 1))
      network.fill(seed: 2)
      network.initializeWeightQuantizers()
      network.forward(images: 5, purpose: .training)
      #expect(network.loss.evaluate(images: 5, withGradient: true, on: network.backend).loss.isFinite)
      network.backward(images: 5)
      #expect(network.convolutions.allSatisfy { $0.weight.gradient.array.allSatisfy(\.isFinite) })
    }
  }
}
