import Foundation

/// What a run trains.
public enum RunKind: String, Codable, Sendable, CaseIterable {
  /// Unquantized: the network that the others start from.
  case fullPrecision
  /// Quantization-aware training of every weight in every step: the baseline.
  case fullQAT
  /// Quantization-aware training that freezes settled weights.
  case freeze
}

/// One value of a sweep's axis, such as threshold = 0.1.
public struct AxisValue: Codable, Hashable, Sendable {
  public var name: String
  public var value: String

  public init(name: String, value: String) {
    self.name = name
    self.value = value
  }
}

/// Everything that is known of a run. Encodes without its tensors.
public struct RunRecord: Codable, Equatable, Sendable {
  /// Derived from every setting that changes the outcome.
  public var id: String
  public var kind: RunKind
  /// "spqat" or "lts".
  public var recipe: String
  /// Bits of weights and activations; nil for full precision.
  public var bits: Int?
  /// How a reader tells it from the others of its sweep.
  public var label: String
  /// Its values on the sweep's axes, in the sweep's order.
  public var axes: [AxisValue]
  /// The canonical configuration, JSON.
  public var configuration: String
  public var provenance: Provenance
  /// In order; the last may be part of an epoch.
  public var epochs: [EpochRecord] = []
  /// From the input to the output.
  public var layers: [LayerDescription] = []
  /// By epoch, then layer.
  public var layerEpochs: [LayerEpochRecord] = []
  public var outcome = RunOutcome()
  /// The final weights and quantizer state, sorted by name; empty where they were not asked for.
  public var tensors: [NamedTensor] = []

  public init(
    id: String, kind: RunKind, recipe: String, bits: Int?, label: String, axes: [AxisValue], configuration: String,
    provenance: Provenance
  ) {
    self.id = id
    self.kind = kind
    self.recipe = recipe
    self.bits = bits
    self.label = label
    self.axes = axes
    self.configuration = configuration
    self.provenance = provenance
  }

  private enum CodingKeys: CodingKey {
    case id, kind, recipe, bits, label, axes, configuration, provenance, epochs, layers, layerEpochs, outcome
  }

  /// The record without its tensors as JSON with sorted keys; NaN and infinities as the strings "nan", "inf" and "-inf".
  public func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}

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

    public var count: Int {
      switch self {
      case .float(let values): values.count
      case .uint8(let values): values.count
      case .int8(let values): values.count
      }
    }
  }

  public var name: String
  public var shape: [Int]
  public var elements: Elements

  /// - Precondition: The shape has as many elements as given.
  public init(name: String, shape: [Int], elements: Elements) {
    precondition(shape.reduce(1, *) == elements.count, "\(name): \(elements.count) elements, shape \(shape)")
    self.name = name
    self.shape = shape
    self.elements = elements
  }
}
