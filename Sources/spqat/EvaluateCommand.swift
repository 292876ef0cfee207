import ArgumentParser
import Configuration
import Datasets
import Diagnostics
import Foundation
import Networks
import Records
import Runs
import Training

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Recompute a finished run's accuracy from its stored weights.",
    discussion: """
      Classes are told by the names of their folders: other images may have some of the run's classes, in any order.
      """)

  @Argument(help: ArgumentHelp("A run's file, or the beginning of its id.", valueName: "run"))
  var target: RunArgument

  @Option(
    help: ArgumentHelp(
      "Images {train,test}/CLASS/*.png (default: the data that the run was trained on).", valueName: "path"))
  var data: String?

  @Option(
    help: ArgumentHelp(
      "The index of pictures of any size (default: \(DatasetIndex.fileName) in the tree).", valueName: "file"))
  var index: String?

  @OptionGroup var place: PlaceOptions

  func run() throws {
    let file = try target.file(in: place.results)
    let record = try RunFile.read(file, includingTensors: true)
    guard record.outcome.status == .finished else {
      throw Diagnostic(file, "the run is \(record.outcome.status.rawValue), it has no final weights")
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
    let images = try EvaluationData(root: root, index: index, of: stored, threads: place.threads)
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
    let session = try images.session(stored, classes: record.classNames, path: root, threads: place.threads)
    do {
      try session.load(final: record.tensors)
    } catch let error as TrainingError {
      throw Diagnostic(file, error.description)
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
