import Diagnostics
import Files
import Foundation
public import Records
import Tables

/// A run in formats of other programs.
public enum RunExport: String, CaseIterable, Sendable {
  /// The series: PREFIX-epochs.csv, PREFIX-layers.csv and PREFIX-layer-epochs.csv.
  case csv
  /// Everything but the tensors, in one file.
  case json
  /// The final weights, levels, scales and freezing masks, with the run's settings as metadata.
  case safetensors

  /// Writes the files, each replaced as a whole.
  ///
  /// - Parameter output: the file, or for `csv` the beginning of the files' names; an ending such as ".csv" is added where it
  ///   is missing.
  /// - Returns: the paths written.
  public func write(_ run: RunRecord, to output: String) throws -> [String] {
    let prefix = output.hasSuffix(".\(rawValue)") ? String(output.dropLast(rawValue.count + 1)) : output
    let path = "\(prefix).\(rawValue)"
    switch self {
    case .csv:
      let tables = [("epochs", run.epochTable), ("layers", run.layerTable), ("layer-epochs", run.layerEpochTable)]
      return try tables.map { name, table in
        try replaceFile(at: "\(prefix)-\(name).csv", with: table.csv())
        return "\(prefix)-\(name).csv"
      }
    case .json:
      try replaceFile(at: path, with: try run.json() + "\n")
    case .safetensors:
      guard !run.tensors.isEmpty else {
        throw Diagnostic(
          "run \(run.id)",
          "has no final weights, since it \(run.outcome.status == .diverged ? "diverged" : "did not finish")")
      }
      let metadata = [
        "format": "pt", "id": run.id, "label": run.label, "kind": run.kind.rawValue, "recipe": run.recipe.rawValue,
        "activation_bits": "\(run.bits?.activations ?? 32)", "bits": "\(run.bits?.weights ?? 32)",
        "configuration": run.configuration,
        "dataset": run.provenance.datasetName, "dataset_sha256": run.provenance.datasetHash,
        "commit": run.provenance.gitCommit, "command": run.provenance.commandLine,
        "top1": run.outcome.finalTopOne.map { "\($0)" } ?? "",
      ]
      let data = try Safetensors.file(run.tensors, metadata: metadata)
      try Array(data).withUnsafeBytes { bytes in try replaceFile(at: path, with: bytes) }
    }
    return [path]
  }
}
