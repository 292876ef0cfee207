import ArgumentParser
import Configuration
import Datasets
import Diagnostics
import Foundation
import Interchange
import Networks
import Recipes
import Records
import Runs
import Training

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Recompute a finished run's accuracy from its stored weights, or an imported network's.",
    discussion: """
      A file that 'spqat weights import' wrote, or any safetensors file of weights by PyTorch's names, is evaluated in full \
      precision, beside the published accuracy where there is one.
      Classes are told by the names of their folders: other images may have some of the run's classes, in any order.
      """)

  @Argument(help: ArgumentHelp("A run's file, the beginning of its id, or a safetensors file.", valueName: "run"))
  var target: RunArgument

  @Option(
    help: ArgumentHelp(
      "Images {train,test}/CLASS/*.png (default: the data that the run was trained on).", valueName: "path"))
  var data: String?

  @Option(
    help: ArgumentHelp(
      "The index of pictures of any size (default: \(DatasetIndex.fileName) in the tree).", valueName: "file"))
  var index: String?

  @Option(help: "The network of a safetensors file that does not say it.") var model: Architecture?
  @Option(help: "The recipe of a safetensors file that does not say it.") var recipe: Recipe?

  @OptionGroup var place: PlaceOptions

  func run() throws {
    if target.text.hasSuffix(".safetensors") { return try evaluateImported() }
    for (option, isGiven) in [("--model", model != nil), ("--recipe", recipe != nil)] where isGiven {
      throw Diagnostic(option, "is for safetensors files; a run knows its own")
    }
    let file = try target.file(in: place.results)
    let record = try RunFile.read(file, includingTensors: true)
    guard record.outcome.status == .finished else {
      throw Diagnostic(file, "the run is \(record.outcome.status.rawValue), it has no final weights")
    }
    guard !record.tensors.isEmpty else {
      throw Diagnostic(
        file, "has no final weights, since it was exported without tensors", remedy: "give the whole file")
    }
    let stored = try StoredSpecification(canonicalForm: record.configuration, file: file)
    // Before memory is asked for: an edited configuration may describe a network that no machine holds.
    let parameters = ModelSummary(try stored.spec.model.graph(), quantization: nil).parameters
    let numbers = record.tensors.reduce(0) { $0 + $1.elements.count }
    guard numbers >= parameters else {
      throw Diagnostic(
        file,
        "its configuration's network has \(parameters) parameters, its tensors \(numbers) numbers; one of them "
          + "was edited")
    }
    let root = try data ?? recordedData(of: record, file: file)
    let images = try EvaluationData(
      root: root, index: index, areCut: stored.spec.images != nil, threads: place.threads)
    let isRecorded = images.contentHash == record.provenance.datasetHash
    guard isRecorded || data != nil else {
      throw Diagnostic(
        root,
        "holds other images (SHA-256 \(images.contentHash.prefix(12))…) than the run was trained on "
          + "(\(record.provenance.datasetHash.prefix(12))…); give those, or these, with --data")
    }
    if record.classNames.isEmpty, !isRecorded {
      printError(
        "\(file): names no classes, as an earlier version wrote it; they are taken in the order of their names")
    }
    let session = try images.session(
      stored.spec, normalization: stored.normalization, classes: record.classNames, path: root, threads: place.threads)
    do {
      try session.load(final: record.tensors)
    } catch let error as Diagnostic {
      throw Diagnostic(file, at: error.subject, error.problem, remedy: error.remedy)
    }
    let result = try session.evaluate()
    print("\(record.id)  \(record.label)  on \(images.name), \(result.images) test images")
    print("top-1 \(percent(result.topOne)), top-5 \(percent(result.topFive)), loss \(decimal(result.loss, 5))")
    let recorded = record.outcome.finalTopOne ?? .nan
    if isRecorded {
      print("recorded: top-1 \(percent(recorded))\(recorded == result.topOne ? ", the same" : ", which differs")")
    } else {
      print("recorded, on other images (\(record.provenance.datasetName)): top-1 \(percent(recorded))")
    }
  }

  private func evaluateImported() throws {
    let file = try SafetensorsFile(target.text)
    let network = try ImportedNetwork(file, model: model, recipe: recipe)
    guard let data else {
      throw Diagnostic(
        target.text, "does not say which images to evaluate it on", remedy: "give their folder with --data")
    }
    // Pictures of any size are cut as published: 224 pixels out of the middle, where the shorter side has 256.
    let isIndexed = FileManager.default.fileExists(atPath: DatasetIndex.file(of: URL(fileURLWithPath: data)).path)
    let crop = index != nil || isIndexed ? ImageCrop(side: 224, shorterSide: 256, smallestArea: 1) : nil
    let images = try EvaluationData(root: data, index: index, areCut: crop != nil, threads: place.threads)
    let classes = images.classes.count
    guard classes == network.model.classes else {
      throw Diagnostic(data, "has \(classes) classes, the network of \(target.text) \(network.model.classes)")
    }
    var model = network.model
    var normalization = Normalization.imageNet
    if case .images(let images) = images {
      (model.inputHeight, model.inputWidth) = (images.height, images.width)
      normalization = network.recipe.normalization(for: images.manifest, network: model.architecture)
    } else if let crop {
      (model.inputHeight, model.inputWidth) = (crop.side, crop.side)
    }
    // Classes are numbered in the order of their names, as torchvision's are.
    var spec = TrainingSpec.evaluating(model, batchSize: 50)
    spec.images = crop
    let session = try images.session(
      spec, normalization: normalization, classes: [], path: data, threads: place.threads,
      initial: network.weights.tensors)
    let result = try session.evaluate()
    print("\(model.architecture), \(target.text)  on \(images.name), \(result.images) test images")
    print("top-1 \(percent(result.topOne)), top-5 \(percent(result.topFive)), loss \(decimal(result.loss, 5))")
    if !network.weights.absent.isEmpty {
      print("with batch norm that is not in the file, untrained: \(network.weights.absent.joined(separator: ", "))")
    }
    if let published = network.weights.published {
      print("published: \(published)")
      if let warning = published.warning { printError("\(target.text): \(warning)") }
    } else if let published = PublishedWeights.recommended(for: model.architecture) {
      print("published, of weights that this file does not say it has: \(published)")
    }
  }

  /// The folder of the images that the run was trained on.
  private func recordedData(of record: RunRecord, file: String) throws -> String {
    let provenance = record.provenance
    let root = provenance.datasetPath ?? "\(place.datasets)/\(provenance.datasetName)"
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: root, isDirectory: &isFolder), isFolder.boolValue else {
      throw Diagnostic(
        file,
        "was trained on \(provenance.datasetName), which is not at \(root); give its folder with --data")
    }
    return root
  }
}
