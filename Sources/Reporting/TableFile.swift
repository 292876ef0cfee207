public import Diagnostics
import Foundation
import Records
import Storage
import Tables

/// Runs as the file `NAME.h5` of a table lists them, for comparing results whose run files are not at hand.
///
/// Such a file holds each run's accuracy, seed, parent and label. The label is what tells settings apart there.
enum TableFile {
  /// - Throws: for files that cannot be read or are no table of this program, in one line.
  static func runs(_ path: String) throws(Diagnostic) -> [RunRecord] {
    let file = try HDF5File.open(path)
    defer { file.close() }
    try ResultTable.format.check(file.root)
    let settings = try file.root.readTable("table")
    let runs = try file.root.readTable("runs")
    func column(_ name: String, in table: Table) throws(Diagnostic) -> Table.Column.Values {
      guard let column = table.column(name) else {
        throw Diagnostic(path, at: "/runs", "column '\(name)' is missing")
      }
      return column.values
    }
    func texts(_ name: String, in table: Table) throws(Diagnostic) -> [String] {
      guard case .strings(let values) = try column(name, in: table) else { throw wrongType(name) }
      return values
    }
    /// As shares, whether they are stored as such or in percent.
    func shares(_ name: String) throws(Diagnostic) -> [Double?] {
      guard case .doubles(let values) = try column(name, in: runs) else { throw wrongType(name) }
      let unit = runs.column(name)?.unit == "%" ? 0.01 : 1
      return values.map { $0.isNaN ? nil : $0 * unit }
    }
    func wrongType(_ name: String) -> Diagnostic {
      Diagnostic(
        path, at: "/runs", "column '\(name)' has another type than this program writes")
    }
    guard case .integers(let seeds) = try column("seed", in: runs) else { throw wrongType("seed") }
    let (ids, labels, kinds) = (
      try texts("id", in: runs), try texts("label", in: runs), try texts("kind", in: runs)
    )
    let (states, parents) = (try texts("status", in: runs), try texts("parent", in: runs))
    let (final, best) = (try shares("top1"), try shares("best_top1"))
    let (updates, operations) = (
      try shares("weight_updates_eliminated"), try shares("backward_flops_eliminated")
    )
    let recipe = try texts("recipe", in: settings).first ?? ""
    var records: [RunRecord] = []
    for row in ids.indices {
      guard let kind = RunKind(rawValue: kinds[row]), let status = RunOutcome.Status(rawValue: states[row]) else {
        throw Diagnostic(
          path, at: "/runs", "row \(row) is of an unknown kind or status")
      }
      var provenance = Provenance()
      provenance.seed = seeds[row]
      provenance.parentRunID = parents[row].isEmpty ? nil : parents[row]
      let label = Label(labels[row])
      var record = RunRecord(
        id: ids[row], kind: kind, recipe: RecipeName(rawValue: recipe), bits: kind == .fullPrecision ? nil : label.bits,
        label: labels[row], axes: kind == .freeze || kind == .shadow ? label.axes : [],
        configuration: label.configuration,
        provenance: provenance)
      record.outcome.status = status
      record.outcome.finalTopOne = final[row]
      record.outcome.bestTopOne = best[row]
      record.outcome.weightUpdatesEliminated = updates[row]
      record.outcome.backwardFLOPsEliminated = operations[row]
      records.append(record)
    }
    return records
  }

  /// "W2A2 freeze threshold=linear start=20% seed=1".
  private struct Label {
    var bits: BitWidths?
    /// Without the seed.
    var axes: [AxisSetting] = []

    init(_ text: String) {
      for word in text.split(separator: " ") {
        if let match = word.wholeMatch(of: #/W(\d+)A(\d+)/#), let weights = Int(match.1), let activations = Int(match.2)
        {
          bits = BitWidths(weights: weights, activations: activations)
        }
        let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
        if parts.count == 2, parts[0] != "seed" {
          let isOfFreezing = ["threshold", "start", "distanceEMA"].contains(parts[0])
          axes.append(AxisSetting(name: (isOfFreezing ? "freezing." : "") + parts[0], value: parts[1]))
        }
      }
    }

    /// What the label says of the configuration, in the form of the canonical one.
    var configuration: String {
      var settings = Dictionary(axes.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
      if let bits {
        settings["quantization.weightBits"] = "\(bits.weights)"
        settings["quantization.activationBits"] = "\(bits.activations)"
      }
      let data = try? JSONSerialization.data(withJSONObject: settings, options: .sortedKeys)
      return data.map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
  }
}

extension RunCollection {
  /// Reads several folders of results, or files `NAME.h5` of tables, to be compared together. A run that is in several of them
  /// counts once.
  public static func load(_ paths: [String]) throws(Diagnostic) -> RunCollection {
    var collections: [RunCollection] = []
    for path in paths {
      var isFolder: ObjCBool = false
      guard path.hasSuffix(".h5"), FileManager.default.fileExists(atPath: path, isDirectory: &isFolder),
        !isFolder.boolValue
      else {
        collections.append(try load(path))
        continue
      }
      let name = String(URL(fileURLWithPath: path).lastPathComponent.dropLast(3))
      collections.append(RunCollection(runs: try TableFile.runs(path), problems: [], name: name, folder: path))
    }
    var seen: Set<String> = []
    var runs = collections.flatMap(\.runs).filter { seen.insert($0.id).inserted }
    var problems = collections.flatMap(\.problems)
    // A table's runs have no version.
    let versions = Set(runs.map(\.provenance.algorithmVersion)).subtracting([0])
    if let latest = versions.max(), versions.count > 1 {
      let older = runs.filter { (1..<latest).contains($0.provenance.algorithmVersion) }
      problems.append(
        "\(older.count) run(s) made by earlier versions of the algorithm than \(latest): left out; run their sweep again"
      )
      runs.removeAll { (1..<latest).contains($0.provenance.algorithmVersion) }
    }
    return RunCollection(
      runs: runs, problems: problems, name: collections.map(\.name).joined(separator: " and "),
      folder: collections.map(\.folder).joined(separator: ", "))
  }
}
