/// A tensor of a network by the name and in the layout of PyTorch's state dictionaries: convolution weights
/// [output channels, input channels, height, width] ("layer1.0.conv1.weight"), linear weights [outputs, inputs], batch norm
/// `weight`, `bias`, `running_mean`, `running_var`; beside a weight its freezing state as `….frozen` (1 where frozen) and its
/// quantization levels as `….level`.
public struct NamedTensor: Equatable, Sendable {
  /// Row-major elements.
  public enum Elements: Equatable, Sendable {
    case float([Float])
    case uint8([UInt8])
    case int8([Int8])

    /// Number of elements.
    public var count: Int {
      switch self {
      case .float(let values): values.count
      case .uint8(let values): values.count
      case .int8(let values): values.count
      }
    }
  }

  /// Of its layer and parameter, joined by a dot.
  public var name: String
  /// Extents, outermost first; empty for a scalar.
  public var shape: [Int]
  /// As many as the shape says.
  public var elements: Elements

  /// - Precondition: The shape has as many elements as given.
  public init(name: String, shape: [Int], elements: Elements) {
    precondition(shape.reduce(1, *) == elements.count, "\(name): \(elements.count) elements, shape \(shape)")
    self.name = name
    self.shape = shape
    self.elements = elements
  }
}

/// What a stored tensor holds, by its name and its number of dimensions.
struct TensorMeaning {
  let description: String
  /// A name for each dimension.
  let dimensions: [String]

  init(of tensor: NamedTensor) {
    description =
      switch tensor.name.split(separator: ".").last ?? "" {
      case "weight": tensor.shape.count == 1 ? "Scale of batch norm" : "Latent weights, before quantization"
      case "bias": "Bias"
      case "running_mean": "Running mean of batch norm"
      case "running_var": "Running variance of batch norm"
      case "level": "Quantization level of each weight"
      case "frozen": "1 where the weight is frozen"
      default: "Parameter of a quantizer"
      }
    dimensions =
      switch tensor.shape.count {
      case 0: []
      case 1: ["channel"]
      case 2: ["output", "input"]
      case 4: ["output channel", "input channel", "row", "column"]
      default: tensor.shape.indices.map { "dimension \($0)" }
      }
  }
}
