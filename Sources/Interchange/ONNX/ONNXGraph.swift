import Foundation

/// An ONNX model under construction: nodes in an order in which they can run, and constants.
///
/// Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
struct ONNXGraph {
  /// The operator set: the first in which QuantizeLinear and DequantizeLinear are as they are used here.
  static let operatorSet = 13
  /// The version of the file format that came with it.
  static let formatVersion = 7

  /// Element types as the format numbers them.
  enum ElementType: Int {
    case float = 1
    case uint8 = 2
    case int8 = 3
    case int64 = 7
    case double = 11
  }

  /// Of a node; types as the format numbers them.
  enum Attribute {
    case float(Float)
    case integer(Int)
    case integers([Int])
  }

  private var nodes: [ProtobufMessage] = []
  private var constants: [ProtobufMessage] = []
  private var names: Set<String> = []

  // MARK: Nodes

  /// Adds a node with one output.
  /// - Returns: the output, named like the node.
  mutating func add(
    _ operation: String, _ inputs: [String], name: String, _ attributes: KeyValuePairs<String, Attribute> = [:]
  ) -> String {
    precondition(names.insert(name).inserted, "\(name) is there already")
    var node = ProtobufMessage()
    for input in inputs { node.add(1, input) }
    node.add(2, name)
    node.add(3, name)
    node.add(4, operation)
    for (key, value) in attributes {
      node.add(5) { attribute in
        attribute.add(1, key)
        switch value {
        case .float(let number):
          attribute.add(2, number)
          attribute.add(20, 1)
        case .integer(let number):
          attribute.add(3, number)
          attribute.add(20, 2)
        case .integers(let numbers):
          for number in numbers { attribute.add(8, number) }
          attribute.add(20, 7)
        }
      }
    }
    nodes.append(node)
    return name
  }

  // MARK: Constants

  /// Adds a tensor of the network, row-major and little-endian.
  /// - Returns: its name.
  mutating func constant(_ name: String, _ type: ElementType, _ shape: [Int], _ data: Data) -> String {
    precondition(names.insert(name).inserted, "\(name) is there already")
    var tensor = ProtobufMessage()
    for extent in shape { tensor.add(1, extent) }
    tensor.add(2, type.rawValue)
    tensor.add(8, name)
    tensor.add(9, data)
    constants.append(tensor)
    return name
  }

  mutating func constant(_ name: String, _ shape: [Int], _ values: [Float]) -> String {
    constant(name, .float, shape, values.map(\.bitPattern.littleEndian).withUnsafeBytes { Data($0) })
  }

  mutating func constant(_ name: String, _ shape: [Int], doubles values: [Double]) -> String {
    constant(name, .double, shape, values.map(\.bitPattern.littleEndian).withUnsafeBytes { Data($0) })
  }

  mutating func constant(_ name: String, _ shape: [Int], integers values: [Int]) -> String {
    constant(name, .int64, shape, values.map { Int64($0).littleEndian }.withUnsafeBytes { Data($0) })
  }

  /// A scalar.
  mutating func constant(_ name: String, _ value: Float) -> String { constant(name, [], [value]) }

  /// A scalar.
  mutating func constant(_ name: String, byte value: UInt8) -> String { constant(name, .uint8, [], Data([value])) }

  // MARK: The model

  /// A float tensor that enters or leaves the model; nil: any extent, the batch.
  struct Port {
    let name: String
    let shape: [Int?]

    fileprivate var message: ProtobufMessage {
      var port = ProtobufMessage()
      port.add(1, name)
      port.add(2) { type in
        type.add(1) { tensor in
          tensor.add(1, ElementType.float.rawValue)
          tensor.add(2) { extents in
            for extent in shape {
              extents.add(1) { dimension in
                if let extent { dimension.add(1, extent) } else { dimension.add(2, "batch") }
              }
            }
          }
        }
      }
      return port
    }
  }

  /// The file.
  func file(
    name: String, input: Port, output: Port, producer: String, version: String, metadata: [(key: String, value: String)]
  ) -> Data {
    var model = ProtobufMessage()
    model.add(1, Self.formatVersion)
    model.add(2, producer)
    model.add(3, version)
    model.add(7) { graph in
      for node in nodes { graph.add(1, node) }
      graph.add(2, name)
      for constant in constants { graph.add(5, constant) }
      graph.add(11, input.message)
      graph.add(12, output.message)
    }
    model.add(8) { operators in
      operators.add(1, "")
      operators.add(2, Self.operatorSet)
    }
    for (key, value) in metadata {
      model.add(14) { entry in
        entry.add(1, key)
        entry.add(2, value)
      }
    }
    return model.bytes
  }
}
