import Foundation

/// What a run trains.
public enum RunKind: String, Codable, Sendable, CaseIterable {
  /// Unquantized: the network that the others start from.
  case fullPrecision
  /// Quantization-aware training of every weight in every step: the baseline.
  case fullQAT
  /// Quantization-aware training that freezes settled weights.
  case freeze
  /// Full QAT beside which a criterion decides what it would freeze.
  case shadow
}

/// A run's place on one axis of its sweep, such as freezing.threshold = 0.1.
public struct AxisSetting: Codable, Hashable, Sendable {
  /// The setting's key path.
  public var name: String
  /// As in the configuration, text without quotation marks.
  public var value: String

  /// Key path and value as text.
  public init(name: String, value: String) {
    self.name = name
    self.value = value
  }
}

/// Everything that is known of a run.
public struct RunRecord: Equatable, Sendable {
  /// Derived from every setting that changes the outcome.
  public var id: String
  /// What it trains.
  public var kind: RunKind
  /// The generation of the published code that it follows.
  public var recipe: RecipeName
  /// nil for full precision.
  public var bits: BitWidths?
  /// How a reader tells it from the others of its sweep.
  public var label: String
  /// Its values on the sweep's axes, in the sweep's order.
  public var axes: [AxisSetting]
  /// The canonical configuration, JSON.
  public var configuration: String
  /// Names of the classes in the order of the network's outputs; empty in files that do not have them.
  public var classNames: [String] = []
  /// Code, machine, data and command.
  public var provenance: Provenance
  /// In order; the last may be part of an epoch.
  public var epochs: [EpochRecord] = []
  /// From the input to the output.
  public var layers: [LayerDescription] = []
  /// By epoch, then layer.
  public var layerEpochs: [LayerEpochRecord] = []
  /// How far it came and how it ended.
  public var outcome = RunOutcome()
  /// The final weights and quantizer state, sorted by name; empty where they were not asked for.
  public var tensors: [NamedTensor] = []
  /// What became of each weight's level; nil for full precision, runs that did not finish, files of earlier programs, and where
  /// it was not asked for.
  public var observation: ObservationRecord?

  /// A run without results yet.
  public init(
    id: String, kind: RunKind, recipe: RecipeName, bits: BitWidths?, label: String, axes: [AxisSetting],
    configuration: String,
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

  /// The configuration by key; empty where it is not a JSON object, which no file is read with.
  public var settings: RecordedSettings {
    (try? RecordedSettings(configuration: configuration)) ?? RecordedSettings(values: [:])
  }

  /// The record without its tensors and observation as JSON with sorted keys: attributes and tables by the names that the run's file has,
  /// the configuration as an object; NaN and infinities as the strings "nan", "inf" and "-inf".
  public func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return String(decoding: try encoder.encode(Document(record: self)), as: UTF8.self)
  }

  private struct Document: Encodable {
    let record: RunRecord

    enum Key: String, CodingKey {
      case id, kind, recipe, bits, label, axes, configuration, classes, provenance, outcome, epochs, layers
      case activationBits = "activation_bits"
      case layerEpochs = "layer_epochs"
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: Key.self)
      try container.encode(record.id, forKey: .id)
      try container.encode(record.kind, forKey: .kind)
      try container.encode(record.recipe.rawValue, forKey: .recipe)
      try container.encode(record.bits?.weights ?? 0, forKey: .bits)
      try container.encode(record.bits?.activations ?? 0, forKey: .activationBits)
      try container.encode(record.label, forKey: .label)
      try container.encode(record.axes, forKey: .axes)
      try container.encode(record.settings, forKey: .configuration)
      if !record.classNames.isEmpty { try container.encode(record.classNames, forKey: .classes) }
      try container.encode(EncodedFields(record: record.provenance), forKey: .provenance)
      try container.encode(EncodedFields(record: record.outcome), forKey: .outcome)
      try container.encode(record.epochs.map(EncodedFields.init), forKey: .epochs)
      try container.encode(record.layers.map(EncodedFields.init), forKey: .layers)
      try container.encode(record.layerEpochs.map(EncodedFields.init), forKey: .layerEpochs)
    }
  }
}
