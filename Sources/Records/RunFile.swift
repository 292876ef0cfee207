public import Storage
public import Tables

/// A run's file.
///
/// Root attributes: `format`, `version`, `id`, `kind`, `recipe`, `bits` (0 for full precision), `label`, `axis_names`,
/// `axis_values`. `/configuration`: the canonical JSON. `/provenance` and `/outcome`: groups of attributes. `/epochs`, `/layers`
/// and `/layer_epochs`: tables; `/epochs_plots` the first again for NeXus viewers. `/final`: the tensors by name.
public enum RunFile {
  public static let format = FileFormat(name: "spqat-run", version: 1)

  /// Replaces the file at `path`, in an existing folder. The same record gives the same bytes.
  public static func write(_ record: RunRecord, to path: String) throws {
    try HDF5File.writeAtomically(to: path) { root in
      try format.stamp(root)
      try root.setAttribute("id", to: record.id)
      try root.setAttribute("kind", to: record.kind.rawValue)
      try root.setAttribute("recipe", to: record.recipe)
      try root.setAttribute("bits", to: record.bits ?? 0)
      try root.setAttribute("label", to: record.label)
      try root.setAttribute("axis_names", to: record.axes.map(\.name))
      try root.setAttribute("axis_values", to: record.axes.map(\.value))
      try root.write(record.configuration, to: "configuration")
      try record.provenance.write(to: root.createGroup("provenance"))
      let outcome = try root.createGroup("outcome")
      try outcome.setAttribute("status", to: record.outcome.status.rawValue)
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
      }
    }
  }

  /// Reads a run's file; refuses files of other programs and of newer versions.
  public static func read(_ path: String, includingTensors: Bool) throws(StorageError) -> RunRecord {
    let root = try HDF5File.open(path).root
    try format.check(root)
    let names = try root.stringAttributes("axis_names")
    let values = try root.stringAttributes("axis_values")
    guard names.count == values.count else {
      throw StorageError(
        .damaged, file: path, object: "/@axis_values", "\(values.count) values for \(names.count) axes")
    }
    let bits: Int = try root.attribute("bits")
    var record = RunRecord(
      id: try root.stringAttribute("id"), kind: try known("kind", in: root), recipe: try root.stringAttribute("recipe"),
      bits: bits == 0 ? nil : bits, label: try root.stringAttribute("label"),
      axes: zip(names, values).map { AxisValue(name: $0, value: $1) },
      configuration: try root.readString("configuration"), provenance: try Provenance(from: root.group("provenance")))
    let outcome = try root.group("outcome")
    record.outcome = try RunOutcome(from: outcome)
    record.outcome.status = try known("status", in: outcome)
    record.epochs = try EpochRecord.read("epochs", in: root)
    record.layers = try LayerDescription.read("layers", in: root)
    record.layerEpochs = try LayerEpochRecord.read("layer_epochs", in: root)
    if includingTensors { record.tensors = try readTensors(root.group("final")) }
    return record
  }

  private static func known<Value: RawRepresentable & CaseIterable>(
    _ attribute: String, in group: HDF5Group
  ) throws(StorageError) -> Value where Value.RawValue == String {
    let text = try group.stringAttribute(attribute)
    guard let value = Value(rawValue: text) else {
      let allowed = Value.allCases.map(\.rawValue).joined(separator: ", ")
      throw StorageError(
        .wrongType, file: group.file.path, object: "\(group.path)@\(attribute)", "is '\(text)', not one of \(allowed)")
    }
    return value
  }

  private static func readTensors(_ group: HDF5Group) throws(StorageError) -> [NamedTensor] {
    var tensors: [NamedTensor] = []
    for name in try group.datasetNames() {
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
  public var epochTable: Table { EpochRecord.table(epochs, title: "Training by epoch, \(label)") }
  public var layerTable: Table { LayerDescription.table(layers, title: "Layers, \(label)") }
  public var layerEpochTable: Table { LayerEpochRecord.table(layerEpochs, title: "Layers by epoch, \(label)") }
}
