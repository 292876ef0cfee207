public import Configuration
public import Datasets
import Diagnostics
public import Foundation
import Kernels
import Quantization
import Records
import Training

/// The data set of an experiment: found by name, described by its manifest or index, decoded when the first run trains.
public final class ExperimentData {
  /// Absolute or relative to the working directory.
  public let root: URL
  /// As the experiment gives it, where it gives a path.
  public let path: String?
  /// Of the whole data set.
  public let summary: DatasetSummary
  private let threads: Int
  private let progress: ProgressHandler?
  private var whole: ImageDataset?
  private var subsets: [Int: ImageDataset] = [:]
  private let pictures: (settings: PictureSettings, all: PictureDataset)?
  /// Of each subset (nil: all), and decoded where they are to be kept in memory.
  private var pictureSubsets: [Int?: PictureDataset] = [:]
  /// The subset is the same for every run of every experiment, whatever the run's seed.
  private static let subsetSeed: UInt64 = 0

  /// - Parameters:
  ///   - reference: "default", the name of a folder in `folder`, or a path with a slash.
  ///   - pictures: how pictures of any size are read; nil: all images are of one size.
  ///   - folder: where imported data sets are, `datasets` by default.
  public init(
    _ reference: String, pictures settings: PictureSettings? = nil, file: String, folder: String, threads: Int,
    progress: ProgressHandler? = nil
  ) throws {
    root = try Self.locate(reference, file: file, folder: folder)
    path = reference.contains("/") ? reference : nil
    self.threads = threads
    self.progress = progress
    if let settings {
      let file = settings.index.map { URL(fileURLWithPath: $0) } ?? DatasetIndex.file(of: root)
      let index = try DatasetIndex.load(file, root: root, threads: threads)
      pictures = (settings, PictureDataset(index, root: root))
      summary = DatasetSummary(index, name: root.standardizedFileURL.lastPathComponent)
      return
    }
    pictures = nil
    if let stored = try DatasetManifest.read(root: root) {
      summary = DatasetSummary(stored)
    } else {
      let dataset = try ImageDataset.load(root: root, threads: threads, progress: progress)
      whole = dataset
      summary = DatasetSummary(dataset.manifest)
    }
  }

  /// A run's session before its first step, on the images that it sees.
  /// - Parameters:
  ///   - initial: the parent's tensors; nil: random weights.
  ///   - pair: what the paired run froze; nil where there is none.
  ///   - note: told of what is worth knowing, in a line each.
  func session(
    for run: PlannedRun, threads: Int, initial: [NamedTensor]?, pair: PairedFreezing?,
    processes: any Communicator = NoMPI(), note: @escaping (String) -> Void
  ) throws -> TrainingSession {
    guard let pictures else {
      return try TrainingSession(
        spec: run.spec, data: try images(subset: run.subset), normalization: run.normalization, threads: threads,
        initial: initial, pair: pair, processes: processes)
    }
    return try TrainingSession(
      spec: run.spec, pictures: chosen(from: pictures.all, subset: run.subset, pictures.settings),
      normalization: run.normalization, corrupt: pictures.settings.corrupt, threads: threads, initial: initial,
      pair: pair, processes: processes, note: note)
  }

  /// Decodes on first use what is to be kept in memory.
  private func chosen(
    from all: PictureDataset, subset: Int?, _ settings: PictureSettings
  ) -> PictureDataset {
    if let known = pictureSubsets[subset] { return known }
    var chosen = subset.map { all.subset(train: $0, seed: Self.subsetSeed) } ?? all
    let isSmall = chosen.decodedBytes <= PictureDecoding.memoryLimit
    if settings.decode ?? (isSmall ? .memory : .stream) == .memory {
      chosen = chosen.decoded(threads: threads, progress: progress)
    }
    pictureSubsets[subset] = chosen
    return chosen
  }

  /// The images that a run with this training subset sees, all of one size. Decodes on first use, and checks against the
  /// manifest.
  public func images(subset: Int?) throws -> ImageDataset {
    if whole == nil { whole = try ImageDataset.load(root: root, threads: threads, progress: progress) }
    guard let whole else { preconditionFailure("just loaded") }
    // The run's id was derived from the manifest, so training on anything else would file it under a wrong id.
    guard whole.contentHash == summary.contentHash else {
      throw Diagnostic(root.path, "the images changed since the program started; run it again")
    }
    guard let subset else { return whole }
    if let known = subsets[subset] { return known }
    let images = whole.subset(train: subset, test: nil, seed: Self.subsetSeed)
    subsets[subset] = images
    return images
  }

  private static func locate(
    _ reference: String, file: String, folder: String
  ) throws(Diagnostic) -> URL {
    func isFolder(_ path: String) -> Bool {
      var isDirectory: ObjCBool = false
      return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
    }
    func fail(_ problem: String) -> Diagnostic {
      Diagnostic(file, at: "dataset", problem)
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
