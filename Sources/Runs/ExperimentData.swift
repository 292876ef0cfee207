import Configuration
public import Datasets
public import Foundation

/// The data set of an experiment: found by name, described by its manifest, decoded when the first run trains.
public final class ExperimentData {
  /// Absolute or relative to the working directory.
  public let root: URL
  /// As the experiment gives it, where it gives a path.
  public let path: String?
  /// Of the whole data set.
  public let manifest: DatasetManifest
  private let threads: Int
  private let progress: ProgressHandler?
  private var whole: ImageDataset?
  private var subsets: [Int: ImageDataset] = [:]
  /// The subset is the same for every run of every experiment, whatever the run's seed.
  private static let subsetSeed: UInt64 = 0

  /// - Parameters:
  ///   - reference: "default", the name of a folder in `folder`, or a path with a slash.
  ///   - folder: where imported data sets are, `datasets` by default.
  public init(
    _ reference: String, file: String, folder: String, threads: Int, progress: ProgressHandler? = nil
  ) throws {
    root = try Self.locate(reference, file: file, folder: folder)
    path = reference.contains("/") ? reference : nil
    self.threads = threads
    self.progress = progress
    if let stored = try DatasetManifest.read(root: root) {
      manifest = stored
    } else {
      let dataset = try ImageDataset.load(root: root, threads: threads, progress: progress)
      whole = dataset
      manifest = dataset.manifest
    }
  }

  /// The images that a run with this training subset sees. Decodes on first use, and checks against the manifest.
  public func images(subset: Int?) throws -> ImageDataset {
    if whole == nil { whole = try ImageDataset.load(root: root, threads: threads, progress: progress) }
    guard let whole else { preconditionFailure("just loaded") }
    // The run's id was derived from the manifest, so training on anything else would file it under a wrong id.
    guard whole.contentHash == manifest.contentHash else {
      throw ResultsError(path: root.path, problem: "the images changed since the program started; run it again")
    }
    guard let subset else { return whole }
    if let known = subsets[subset] { return known }
    let images = whole.subset(train: subset, test: nil, seed: Self.subsetSeed)
    subsets[subset] = images
    return images
  }

  private static func locate(
    _ reference: String, file: String, folder: String
  ) throws(ConfigurationError) -> URL {
    func isFolder(_ path: String) -> Bool {
      var isDirectory: ObjCBool = false
      return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
    }
    func fail(_ problem: String) -> ConfigurationError {
      ConfigurationError(file: file, path: "dataset", problem: problem)
    }
    if reference == "default" {
      // CIFAR-10 is what the paper trains on; Fashion-MNIST is what can be installed without a download.
      for name in ["cifar10", "fashion-mnist"] where isFolder("\(folder)/\(name)") {
        return URL(fileURLWithPath: "\(folder)/\(name)")
      }
      throw fail(
        "\"default\" needs \(folder)/cifar10 or \(folder)/fashion-mnist, and neither is there; run 'spqat dataset import "
          + "fashion-mnist', or set dataset to \"sample\"")
    }
    let path = reference.contains("/") ? reference : "\(folder)/\(reference)"
    if isFolder(path) { return URL(fileURLWithPath: path) }
    guard !reference.contains("/") else { throw fail("no folder \(path); give a tree {train,test}/CLASS/*.png") }
    let known = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
      .filter { isFolder("\(folder)/\($0)") }.sorted()
    let hint = nearestName(to: reference, among: known).map { " did you mean \"\($0)\"?" } ?? ""
    throw fail(
      "no data set \(JSONValue.quoted(reference)) in \(folder);\(hint) there are: \(quotedList(known)); import one with "
        + "'spqat dataset import', or give a path with a slash")
  }
}
