import Configuration
import Diagnostics
import Foundation
import Kernels
import Networks
import Quantization
import Records
import Tensor

/// How batch norm stands in an ONNX file.
public enum ONNXBatchNorm: String, CaseIterable, Sendable {
  /// As one multiplication and one addition a channel with this program's own factors.
  case folded
  /// As BatchNormalization with its four tensors.
  case kept
}

/// A trained network as ONNX nodes.
///
/// An input x of a quantized layer becomes its level: QuantizeLinear rounds (x − l)/step half to even, and Clip cuts off what
/// is above the highest of fewer than 256 levels. Weights are their levels, int8, or uint8 where those do not fit. Levels
/// are multiplied as whole numbers (DequantizeLinear has scale 1), whose sums are exact in float32, and the product of both
/// steps follows the convolution. So an activation lies between the same two levels as in this program. Images enter
/// normalised, [batch, 3, height, width].
struct ONNXNetwork {
  private let graph: Graph
  private let quantization: QuantizationSpec?
  private let batchNorm: ONNXBatchNorm
  private let tensors: [String: NamedTensor]
  private let subject: String
  private var onnx = ONNXGraph()

  /// - Parameters:
  ///   - tensors: all that `spec` needs, by PyTorch's names.
  ///   - subject: what messages name.
  init(
    _ graph: Graph, quantization: QuantizationSpec?, tensors: [NamedTensor], batchNorm: ONNXBatchNorm, subject: String
  ) {
    self.graph = graph
    self.quantization = quantization
    self.batchNorm = batchNorm
    self.tensors = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    self.subject = subject
  }

  /// The file's bytes.
  mutating func file(name: String, version: String, metadata: [(key: String, value: String)]) throws -> Data {
    var values: [String] = []
    for node in graph.nodes { values.append(try value(of: node, inputs: node.inputs.map { values[$0.node] })) }
    let images = graph.nodes[0].shape
    let classes = graph.shape(of: graph.logits).channels
    let logits = onnx.add("Flatten", [values[graph.logits.node]], name: "logits", ["axis": .integer(1)])
    return onnx.file(
      name: name,
      input: .init(name: values[0], shape: [nil, images.channels, images.height, images.width]),
      output: .init(name: logits, shape: [nil, classes]), producer: "spqat", version: version, metadata: metadata)
  }

  // MARK: Tensors of the run

  private func tensor(_ name: String) throws(Diagnostic) -> NamedTensor {
    guard let tensor = tensors[name] else {
      throw Diagnostic(subject, at: name, "is missing among the final tensors; the file was written by another version")
    }
    return tensor
  }

  private func floats(_ name: String) throws(Diagnostic) -> [Float] {
    switch try tensor(name).elements {
    case .float(let values): values
    case .int8(let values): values.map(Float.init)
    case .uint8(let values): values.map(Float.init)
    }
  }

  // MARK: Nodes

  private mutating func value(of node: Graph.Node, inputs: [String]) throws -> String {
    let name = node.name
    switch node.operation {
    case .images: return name
    case .convolution(let window, let groups, let hasBias, let place):
      return try convolution(node, inputs[0], window, groups: groups, hasBias: hasBias, place: place)
    case .batchNorm: return try batchNorm(node, inputs[0])
    case .add: return onnx.add("Add", inputs, name: name)
    case .dropout: return inputs[0]
    case .rectify(.relu): return onnx.add("Relu", inputs, name: name)
    case .rectify(let rectifier):
      let ends = [onnx.constant("\(name).lower", 0), onnx.constant("\(name).upper", rectifier.upper)]
      return onnx.add("Clip", inputs + ends, name: name)
    case .averagePool(let window):
      return onnx.add(
        "AveragePool", inputs, name: name,
        [
          "kernel_shape": .integers([window.height, window.width]), "strides": strides(window), "pads": pads(window),
          "count_include_pad": .integer(1),
        ])
    case .maxPool(let window):
      return onnx.add(
        "MaxPool", inputs, name: name,
        [
          "kernel_shape": .integers([window.height, window.width]), "strides": strides(window), "pads": pads(window),
        ])
    case .padShortcut(let stride): return padShortcut(node, inputs[0], stride: stride)
    }
  }

  private func strides(_ window: Graph.Window) -> ONNXGraph.Attribute { .integers([window.stride, window.stride]) }

  /// Before and behind the rows and columns.
  private func pads(_ window: Graph.Window) -> ONNXGraph.Attribute {
    .integers([Int](repeating: window.padding, count: 4))
  }

  private mutating func padShortcut(_ node: Graph.Node, _ input: String, stride: Int) -> String {
    let name = node.name
    let pixels = onnx.add(
      "Slice",
      [
        input, onnx.constant("\(name).starts", [2], integers: [0, 0]),
        onnx.constant("\(name).ends", [2], integers: [Int(Int32.max), Int(Int32.max)]),
        onnx.constant("\(name).axes", [2], integers: [2, 3]),
        onnx.constant("\(name).steps", [2], integers: [stride, stride]),
      ], name: "\(name).pixels")
    let added = node.shape.channels - graph.shape(of: node.inputs[0]).channels
    let before = added / 2
    let pads = onnx.constant("\(name).pads", [8], integers: [0, before, 0, 0, 0, added - before, 0, 0])
    return onnx.add("Pad", [pixels, pads], name: name)
  }

  private mutating func batchNorm(_ node: Graph.Node, _ input: String) throws -> String {
    let name = node.name
    let channels = node.shape.channels
    let weight = try floats("\(name).weight")
    let bias = try floats("\(name).bias")
    let mean = try floats("\(name).running_mean")
    let variance = try floats("\(name).running_var")
    if batchNorm == .kept {
      let parameters = [
        onnx.constant("\(name).weight", [channels], weight), onnx.constant("\(name).bias", [channels], bias),
        onnx.constant("\(name).running_mean", [channels], mean),
        onnx.constant("\(name).running_var", [channels], variance),
      ]
      return onnx.add(
        "BatchNormalization", [input] + parameters, name: name,
        ["epsilon": .float(Float(BatchNormalization.epsilon))])
    }
    // As `BatchNormalization` forms them.
    let inverse = variance.map { 1 / (Double($0) + BatchNormalization.epsilon).squareRoot() }
    let scale = (0..<channels).map { Float(Double(weight[$0]) * inverse[$0]) }
    let shift = (0..<channels).map { Float(Double(bias[$0]) - Double(mean[$0]) * Double(weight[$0]) * inverse[$0]) }
    // In doubles the product is exact and the sum is rounded once, as in this program's fused multiply-add, but for one in 2^29.
    let wide = onnx.add("Cast", [input], name: "\(name).input", ["to": .integer(ONNXGraph.ElementType.double.rawValue)])
    let factor = onnx.constant("\(name).scale", [channels, 1, 1], doubles: scale.map(Double.init))
    let scaled = onnx.add("Mul", [wide, factor], name: "\(name).scaled")
    let addend = onnx.constant("\(name).shift", [channels, 1, 1], doubles: shift.map(Double.init))
    let shifted = onnx.add("Add", [scaled, addend], name: "\(name).shifted")
    return onnx.add("Cast", [shifted], name: name, ["to": .integer(ONNXGraph.ElementType.float.rawValue)])
  }

  private mutating func convolution(
    _ node: Graph.Node, _ input: String, _ window: Graph.Window, groups: Int, hasBias: Bool, place: Graph.Place
  ) throws -> String {
    let name = node.name
    let operands = try operands(name, input, place)
    // A linear layer's weights have two extents in PyTorch; here it is a convolution over one pixel.
    let weights =
      hasBias
      ? onnx.add(
        "Reshape", [operands.weights, onnx.constant("\(name).extents", [4], integers: [0, 0, 1, 1])],
        name: "\(name).weights.pixel")
      : operands.weights
    let isLast = operands.outputScale == nil && !hasBias
    var result = onnx.add(
      "Conv", [operands.input, weights], name: isLast ? name : "\(name).sums",
      [
        "kernel_shape": .integers([window.height, window.width]), "strides": strides(window), "pads": pads(window),
        "group": .integer(groups),
      ])
    if let scale = operands.outputScale {
      let factor = onnx.constant("\(name).scale", scale)
      result = onnx.add("Mul", [result, factor], name: hasBias ? "\(name).products" : name)
    }
    guard hasBias else { return result }
    let bias = onnx.constant("\(name).bias", [node.shape.channels, 1, 1], try floats("\(name).bias"))
    return onnx.add("Add", [result, bias], name: name)
  }

  /// What a convolution multiplies.
  private struct Operands {
    var input: String
    var weights: String
    /// What its sums are then multiplied by; nil: by nothing.
    var outputScale: Float?
  }

  private mutating func operands(_ name: String, _ input: String, _ place: Graph.Place) throws -> Operands {
    guard let quantization, let weightQuantizer = quantization.weightQuantizer(at: place, layer: name) else {
      let tensor = try tensor("\(name).weight")
      return Operands(
        input: input, weights: onnx.constant(tensor.name, tensor.shape, try floats(tensor.name)), outputScale: nil)
    }
    for parameter in weightQuantizer.parameters { parameter.value[0] = try floats(parameter.name)[0] }
    let grid = weightQuantizer.grid
    let activation = quantization.activationQuantizer(at: place, layer: name)
    for parameter in activation?.parameters ?? [] { parameter.value[0] = try floats(parameter.name)[0] }

    // Whole numbers where both factors are levels; otherwise values, by which float products are formed.
    let isWhole = activation != nil && grid.levelsFitByte
    let levels = try tensor("\(name).level")
    let values = try floats(levels.name)
    let weights: String
    if grid.levelsFitByte {
      let bytes = Data(values.map { UInt8(bitPattern: Int8($0)) })
      let constant = onnx.constant(levels.name, .int8, levels.shape, bytes)
      let scale = onnx.constant("\(name).weights.scale", isWhole ? 1 : grid.valueScale)
      weights = onnx.add("DequantizeLinear", [constant, scale], name: "\(name).weights")
    } else {
      // Levels of a learned range of 8 bits, −255 to 255 in steps of 2, by their number from below.
      let indices = values.map { UInt8(($0 - Float(grid.addend)) / Float(grid.multiplier)) }
      let constant = onnx.constant("\(name).index", .uint8, levels.shape, Data(indices))
      let scale = onnx.constant("\(name).weights.scale", Float(grid.multiplier) * grid.valueScale)
      let steps = onnx.add("DequantizeLinear", [constant, scale], name: "\(name).weights.steps")
      let lowest = onnx.constant("\(name).weights.lowest", Float(grid.addend) * grid.valueScale)
      weights = onnx.add("Add", [steps, lowest], name: "\(name).weights")
    }
    guard let activation else { return Operands(input: input, weights: weights, outputScale: nil) }
    return Operands(
      input: levelled(name, input, activation, scale: isWhole ? 1 : activation.step), weights: weights,
      outputScale: isWhole ? activation.step * grid.valueScale : nil)
  }

  /// The levels of a layer's input, times `scale`.
  private mutating func levelled(
    _ name: String, _ input: String, _ quantizer: any ActivationQuantizer, scale: Float
  ) -> String {
    let grid = quantizer.grid
    var position = input
    if quantizer.lowerBound != nil {
      position = onnx.add(
        "Sub", [position, onnx.constant("\(name).input.lower", grid.lower)], name: "\(name).input.shifted")
    }
    // Multiplied before QuantizeLinear, which would divide: a rounded quotient can lie on the other side of a tie.
    position = onnx.add(
      "Mul", [position, onnx.constant("\(name).input.inverseStep", grid.inverseStep)], name: "\(name).input.position")
    let zero = onnx.constant("\(name).input.zero", byte: 0)
    var level = onnx.add(
      "QuantizeLinear", [position, onnx.constant("\(name).input.unit", 1), zero], name: "\(name).input.rounded")
    if quantizer.bits < 8 {
      let highest = onnx.constant("\(name).input.highest", byte: UInt8(quantizer.maximumLevel))
      level = onnx.add("Clip", [level, zero, highest], name: "\(name).input.level")
    }
    return onnx.add(
      "DequantizeLinear", [level, onnx.constant("\(name).input.scale", scale)], name: "\(name).input")
  }
}
