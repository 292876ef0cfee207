public import ArgumentParser
import Diagnostics
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
      Of a folder of results, csv writes one long table with a row for each run and epoch, tensorboard the files of all runs.
      """)

  @Argument(help: ArgumentHelp("A run's file, the beginning of its id, or a folder of results.", valueName: "run"))
  var target: RunArgument

  @Option(help: ArgumentHelp("Where results are kept.", valueName: "dir"))
  var results = "results"

  @Option(help: "csv, json, safetensors, onnx or tensorboard.")
  var format: RunExport

  @Option(
    help: ArgumentHelp(
      "The file, for csv the beginning of the files' names (default: the run's id, or the folder's name), for tensorboard "
        + "the folder (default: tensorboard).",
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
    for path in try format.write(run, to: output, batchNorm: batchNorm) { print(path) }
  }

  private func exportFolder() throws {
    guard format == .csv || format == .tensorboard else {
      throw Diagnostic(
        target.text, "is a folder of results, which is exported as csv or tensorboard alone",
        remedy: "give one of its runs for \(format.rawValue)")
    }
    let collection = try RunCollection.load(target.text)
    for problem in collection.problems { printError(problem) }
    if format == .csv { return print(try collection.writeEpochs(to: output ?? collection.name)) }
    for run in collection.runs { if let file = collection.files[run.id] { try export(file) } }
  }
}

extension RunExport: ExpressibleByArgument {}
extension ONNXBatchNorm: ExpressibleByArgument {}
