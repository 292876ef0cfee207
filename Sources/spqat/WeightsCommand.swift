import ArgumentParser
import Diagnostics
import Files
import Foundation
import Interchange
import Networks
import Recipes

struct WeightsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "weights", abstract: "Pretrained weights of other programs.", subcommands: [WeightsImportCommand.self])
}

struct WeightsImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Check the weights of a safetensors file against a network, tensor by tensor.",
    discussion: """
      Names are torchvision's, of MobileNetV1 pytorchcv's. Scripts/torch_to_safetensors.py makes such a file from a PyTorch \
      checkpoint. An experiment trains from it with "pretraining": {"weights": "FILE"}; with --out the network is written \
      as 'spqat evaluate' takes it.
      """)

  @Argument(help: ArgumentHelp("Weights in the safetensors format.", valueName: "file"))
  var file: String
  @Option(help: "The network: \(Architecture.all.map(\.name).joined(separator: ", ")).") var model: Architecture
  @Option(help: "The recipe, which decides about shortcuts, activations and batch norm.") var recipe = Recipe.all[0]
  @Option(help: "Classes to tell apart (default: those of the file's last layer).") var classes: Int?
  @Option(help: ArgumentHelp("Where to write the network.", valueName: "file")) var out: String?

  mutating func validate() throws {
    if let classes, !(2...65536).contains(classes) {
      throw ValidationError("--classes is \(classes); allowed: 2 to 65536")
    }
  }

  func run() throws {
    let source = try SafetensorsFile(file)
    let network = try ImportedNetwork(source, model: model, recipe: recipe, classes: classes)
    print(network.account)
    if let warning = network.weights.published?.warning { printError("\(file): \(warning)") }
    if let out {
      let path = out.hasSuffix(".safetensors") ? out : "\(out).safetensors"
      try network.write(to: path)
      print(path)
    }
  }
}
