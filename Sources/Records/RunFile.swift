public import Diagnostics
import Foundation
public import Storage
public import Tables

/// A run's file.
///
/// Root attributes: `format`, `version`, `id`, `kind`, `recipe`, `bits` (of a weight) and `activation_bits` (both 0 for full
/// precision), `label`, `axis_names`, `axis_values`. `/configuration`: the canonical JSON.
/// `/classes`: the names of the classes as a JSON array, absent where they are not known. `/provenance` and `/outcome`:
/// groups of attributes. `/epochs`, `/layers` and `/layer_epochs`: tables; `/epochs_plots` the first again for NeXus viewers. `/final`: the tensors by name.
/// `/observation`: what became of each weight's level (`ObservationRecord`), in finished quantized runs; files of earlier programs
/// have none.
public enum RunFile {
  /// In the root attributes of every run's file.
  public static let format = FileFormat(name: "spqat-run", version: 1)

  /// Replaces the file at `path`, in an existing folder. The same record gives the same bytes.
  public static func write(_ record: RunRecord, to path: String) throws {
    try HDF5File.writeAtomically(to: path) { root in
      try format.stamp(root)
      try root.setAttribute("id", to: record.id)
      try root.setAttribute("kind", to: record.kind.rawValue)
      try root.setAttribute("recipe", to: record.recipe.rawValue)
      try root.setAttribute("bits", to: record.bits?.weights ?? 0)
      try root.setAttribute("activation_bits", to: record.bits?.activations ?? 0)
      try root.setAttribute("label", to: record.label)
      try root.setAttribute("axis_names", to: record.axes.map(\.name))
      try root.setAttribute("axis_values", to: record.axes.map(\.value))
      try root.write(record.configuration, to: "configuration")
      let names = try JSONEncoder().encode(record.classNames)
      if !record.classNames.isEmpty { try root.write(String(decoding: names, as: UTF8.self), to: "classes") }
      try record.provenance.write(to: root.createGroup("provenance"))
      let outcome = try root.createGroup("outcome")
      try record.outcome.write(to: outcome)
      try root.write(record.epochTable, to: "epochs", plottedAgainst: "epoch")
      try root.write(record.layerTable, to: "layers")
      try root.write(record.layerEpochTable, to: "layer_epochs")
      let final = try root.createGroup("final")
      for tensor in record.tensors.sorted(by: { $0.name < $1.name }) {
        switch tensor.elements {
        case .float(let values): try final.write(values, shape: tensor.shape, to: tensor.name)
        case .uint8(let values): try final.write(values, shape: tensor.shape, to: tensor.name)
        case .int8(let values): try final.write(values, shape: tensor.shape, to: tensor.name)
        }
        let meaning = TensorMeaning(of: tensor)
        try final.setAttribute("description", to: meaning.description, on: tensor.name)
        try final.setAttribute("dimensions", to: meaning.dimensions, on: tensor.name)
      }
      if let observation = record.observation {
        try observation.write(to: root.createGroup("observation"), layers: record.freezableRanges.count)
      }
    }
  }

  /// Reads a run's file; refuses files of other programs and of newer versions.
  public static func read(
    _ path: String, includingTensors: Bool, includingObservation: Bool = false
  ) throws(Diagnostic) -> RunRecord {
    let root = try HDF5File.open(path).root
    try format.check(root)
    let names = try root.stringAttributes("axis_names")
    let values = try root.stringAttributes("axis_values")
    guard names.count == values.count else {
      throw Diagnostic(path, at: "/@axis_values", "\(values.count) values for \(names.count) axes")
    }
    let kind = try kind(in: root)
    let configuration = try root.readString("configuration")
    let settings: RecordedSettings
    do {
      settings = try RecordedSettings(configuration: configuration)
    } catch {
      throw Diagnostic(path, at: "/configuration", "is not a JSON object of settings")
    }
    var record = RunRecord(
      id: try root.stringAttribute("id"), kind: kind,
      recipe: RecipeName(rawValue: try root.stringAttribute("recipe")), bits: try bits(in: root, settings),
      label: try root.stringAttribute("label"), axes: zip(names, values).map { AxisSetting(name: $0, value: $1) },
      configuration: configuration, provenance: try Provenance(from: root.group("provenance")))
    if try root.contains("classes") {
      let text = try root.readString("classes")
      guard let names = try? JSONDecoder().decode([String].self, from: Data(text.utf8)) else {
        throw Diagnostic(path, at: "/classes", "is not a JSON array of names")
      }
      record.classNames = names
    }
    record.outcome = try RunOutcome(from: root.group("outcome"))
    record.epochs = try EpochRecord.read("epochs", in: root)
    record.layers = try LayerDescription.read("layers", in: root)
    record.layerEpochs = try LayerEpochRecord.read("layer_epochs", in: root)
    if includingTensors { record.tensors = try readTensors(root.group("final")) }
    if includingObservation, try root.contains("observation") {
      record.observation = try ObservationRecord(
        from: root.group("observation"), layers: record.layers.map(\.freezableWeights).filter { $0 > 0 })
    }
    return record
  }

  private static func kind(in root: HDF5Group) throws(Diagnostic) -> RunKind {
    let text = try root.stringAttribute("kind")
    guard let kind = RunKind(rawValue: text) else {
      let allowed = RunKind.allCases.map(\.rawValue).joined(separator: ", ")
      throw Diagnostic(root.file.path, at: "/@kind", "is '\(text)', not one of \(allowed)")
    }
    return kind
  }

  /// Files of earlier programs say the bits of activations in their configuration only.
  private static func bits(in root: HDF5Group, _ settings: RecordedSettings) throws(Diagnostic) -> BitWidths? {
    let weights: Int = try root.attribute("bits")
    guard weights != 0 else { return nil }
    let stored: Int? = try root.hasAttribute("activation_bits") ? try root.attribute("activation_bits") : nil
    return BitWidths(
      weights: weights, activations: stored ?? settings.integer("quantization.activationBits") ?? weights)
  }

  private static func readTensors(_ group: HDF5Group) throws(Diagnostic) -> [NamedTensor] {
    var tensors: [NamedTensor] = []
    for name in try group.datasetNames() {
      // Safetensors files keep their metadata under this name.
      guard name != "__metadata__" else {
        throw Diagnostic(group.file.path, at: "\(group.path)/\(name)", "is no name of a tensor", remedy: "rename it")
      }
      let elements: NamedTensor.Elements =
        switch try group.scalarKind(name) {
        case .uint8: .uint8(try group.read(name))
        case .int8: .int8(try group.read(name))
        default: .float(try group.read(name))
        }
      tensors.append(NamedTensor(name: name, shape: try group.shape(name), elements: elements))
    }
    return tensors
  }
}

/// The record's series as tables, with units and descriptions.
extension RunRecord {
  /// A row for each epoch of each of these runs, one run after another.
  public static func epochTable(of runs: [RunRecord]) -> Table {
    EpochRecord.table(runs.flatMap(\.epochs), title: "Training by epoch")
  }
  /// A row an epoch.
  public var epochTable: Table { EpochRecord.table(epochs, title: "Training by epoch, \(label)") }
  /// A row a layer.
  public var layerTable: Table { LayerDescription.table(layers, title: "Layers, \(label)") }
  /// A row for each layer in each epoch.
  public var layerEpochTable: Table { LayerEpochRecord.table(layerEpochs, title: "Layers by epoch, \(label)") }
}
