public import ArgumentParser
import Records
public import Reporting

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write a run's series, record or final tensors for other programs.",
    discussion: """
      csv: the series by epoch, the layers, and the series by layer and epoch, in three files.
      json: the record with its series, without tensors.
      safetensors: final weights, quantization levels, scales and freezing masks, by PyTorch's names and shapes.
      """)

  @Argument(help: ArgumentHelp("A run's file, or the beginning of its id.", valueName: "run"))
  var target: RunArgument

  @Option(help: ArgumentHelp("Where results are kept.", valueName: "dir"))
  var results = "results"

  @Option(help: "csv, json or safetensors.")
  var format: RunExport

  @Option(
    help: ArgumentHelp(
      "The file, or for csv the beginning of the files' names (default: the run's id).", valueName: "path"))
  var output: String?

  func run() throws {
    let run = try RunFile.read(try target.file(in: results), includingTensors: format == .safetensors)
    for path in try format.write(run, to: output ?? run.id) { print(path) }
  }
}

extension RunExport: ExpressibleByArgument {}
