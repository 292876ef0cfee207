import Configuration
import Datasets
import Diagnostics
import Files
import Foundation
import Networks
import Quantization
public import Records
import Tables
import Training

/// A run in formats of other programs.
public enum RunExport: String, CaseIterable, Sendable {
  /// The series: PREFIX-epochs.csv, PREFIX-layers.csv and PREFIX-layer-epochs.csv.
  case csv
  /// Everything but the tensors, in one file.
  case json
  /// The final weights, levels, scales and freezing masks, with the run's settings as metadata.
  case safetensors
  /// The network as it computes when it is evaluated, for other run times.
  case onnx
  /// An event file in a folder of the run's own.
  case tensorboard
  /// The run's file without tensors and without what became of weights' levels: small, and enough for tables, comparisons and
  /// reports.
  case hdf5

  /// Writes the files, each replaced as a whole.
  ///
  /// - Parameters:
  ///   - output: the file, for `csv` the beginning of the files' names, for `tensorboard` the folder that holds those of runs;
  ///     an ending such as ".csv" (of `hdf5` ".h5") is added where it is missing.
  ///   - batchNorm: for `onnx`.
  /// - Returns: the paths written.
  public func write(
    _ run: RunRecord, to output: String, batchNorm: ONNXBatchNorm = .folded
  ) throws -> [String] {
    let path = path(output)
    let prefix = String(path.dropLast(ending.count))
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
      try Self.requireTensors(run)
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
    case .onnx:
      try Self.requireTensors(run)
      let file = try Self.onnx(run, batchNorm: batchNorm)
      try Array(file).withUnsafeBytes { bytes in try replaceFile(at: path, with: bytes) }
    case .tensorboard:
      return [try run.writeTensorBoard(in: output)]
    case .hdf5:
      var small = run
      (small.tensors, small.observation) = ([], nil)
      try RunFile.write(small, to: path)
    }
    return [path]
  }

  /// The file of an output, of which `csv` and `tensorboard` make others.
  public func path(_ output: String) -> String { output.hasSuffix(ending) ? output : output + ending }

  private var ending: String { self == .hdf5 ? ".h5" : ".\(rawValue)" }

  /// Whether the format holds tensors.
  public var needsTensors: Bool { self == .safetensors || self == .onnx }

  /// Whether the format holds what became of weights' levels.
  public var needsObservation: Bool { self == .tensorboard }

  private static func requireTensors(_ run: RunRecord) throws(Diagnostic) {
    guard run.tensors.isEmpty else { return }
    throw Diagnostic(
      "run \(run.id)",
      "has no final weights, since it \(Self.reasonForNoTensors(run))")
  }

  private static func reasonForNoTensors(_ run: RunRecord) -> String {
    switch run.outcome.status {
    case .diverged: "diverged"
    case .finished: "was exported without them"
    default: "did not finish"
    }
  }

  private static func onnx(_ run: RunRecord, batchNorm: ONNXBatchNorm) throws -> Data {
    let stored = try StoredSpecification(canonicalForm: run.configuration, file: "run \(run.id)")
    var network = ONNXNetwork(
      try stored.spec.model.graph(), quantization: stored.spec.quantization, tensors: run.tensors, batchNorm: batchNorm,
      subject: "run \(run.id)")
    func list(_ values: [Double]) -> String { values.map { "\($0)" }.joined(separator: " ") }
    return try network.file(
      name: stored.spec.model.architecture.name, version: run.provenance.spqatVersion,
      metadata: [
        ("id", run.id), ("label", run.label), ("recipe", run.recipe.rawValue),
        ("pixels", "(byte / 255 - mean) / deviation, red, green, blue"),
        ("mean", list(stored.normalization.mean)), ("deviation", list(stored.normalization.standardDeviation)),
        ("classes", run.classNames.joined(separator: "\n")),
        ("top1", run.outcome.finalTopOne.map { "\($0)" } ?? ""),
      ])
  }
}
