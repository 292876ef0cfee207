public import ArgumentParser
import Diagnostics
import Foundation
public import Interchange
import Records
import Reporting

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write a run's series, record or final tensors, or all epochs of an experiment, for other programs.",
    discussion: """
      csv: the series by epoch, the layers, and the series by layer and epoch, in three files.
      json: the record with its series, without tensors.
      safetensors: final weights, quantization levels, scales and freezing masks, by PyTorch's names and shapes.
      onnx: the network with QuantizeLinear and DequantizeLinear, operator set 13; images enter normalised, by mean and \
      deviation in the metadata.
      tensorboard: series and histograms as an event file in a folder of the run's own, as 'spqat sweep --tensorboard' \
      writes it.
      hdf5: the run's file without tensors and levels, a tenth of its size; tables, comparisons and reports read it as before.
      Of a folder of results, csv writes one long table with a row for each run and epoch, tensorboard and hdf5 the files of \
      all runs.
      """)

  @Argument(help: ArgumentHelp("A run's file, the beginning of its id, or a folder of results.", valueName: "run"))
  var target: RunArgument

  @Option(help: ArgumentHelp("Where results are kept.", valueName: "dir"))
  var results = "results"

  @Option(help: "csv, json, safetensors, onnx, tensorboard or hdf5.")
  var format: RunExport

  @Option(
    help: ArgumentHelp(
      "The file, for csv the beginning of the files' names (default: the run's id, or the folder's name), for tensorboard "
        + "the folder (default: tensorboard), as for hdf5 of a folder of results (default: its name and -small).",
      valueName: "path"))
  var output: String?

  @Option(help: "Batch norm in onnx: folded into a multiplication and an addition a channel, or kept.")
  var batchNorm = ONNXBatchNorm.folded

  func run() throws {
    if target.isFolder { return try exportFolder() }
    try export(try target.file(in: results))
  }

  private func export(_ file: String) throws {
    let run = try RunFile.read(
      file, includingTensors: format.needsTensors, includingObservation: format.needsObservation)
    let output = output ?? (format == .tensorboard ? "tensorboard" : run.id)
    if format == .hdf5 { try refuse(writing: output, over: file) }
    for path in try format.write(run, to: output, batchNorm: batchNorm) { print(path) }
  }

  private func exportFolder() throws {
    guard [.csv, .tensorboard, .hdf5].contains(format) else {
      throw Diagnostic(
        target.text, "is a folder of results, which is exported as csv, tensorboard or hdf5 alone",
        remedy: "give one of its runs for \(format.rawValue)")
    }
    let collection = try RunCollection.load(target.text)
    for problem in collection.problems { printError(problem) }
    if format == .csv { return print(try collection.writeEpochs(to: output ?? collection.name)) }
    guard format == .hdf5 else {
      for run in collection.runs { if let file = collection.files[run.id] { try export(file) } }
      return
    }
    let folder = output ?? "\(collection.name)-small"
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw Diagnostic(cause: .system, folder, "cannot be made", remedy: "choose another folder with --output")
    }
    for run in collection.runs {
      let output = "\(folder)/\(run.id)"
      if let file = collection.files[run.id] { try refuse(writing: output, over: file) }
      for path in try format.write(run, to: output) { print(path) }
    }
  }

  /// The whole file is not replaced by the small one.
  private func refuse(writing output: String, over file: String) throws(Diagnostic) {
    func place(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().path }
    guard place(format.path(output)) == place(file) else { return }
    throw Diagnostic(file, "is the run's own file, whose tensors would be lost", remedy: "give another --output")
  }
}

extension RunExport: ExpressibleByArgument {}
extension ONNXBatchNorm: ExpressibleByArgument {}
