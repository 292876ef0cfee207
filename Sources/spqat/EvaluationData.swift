import Datasets
import Foundation
import Records
import Training

/// The images that a network is evaluated on: all of one size, or cut out of pictures as its run's were.
enum EvaluationData {
  case images(ImageDataset)
  case pictures(PictureDataset, name: String)

  /// - Parameters:
  ///   - index: where the index of the pictures is; nil: in the tree.
  ///   - areCut: whether images are cut out of pictures of any size.
  init(root: String, index: String?, areCut: Bool, threads: Int) throws {
    let folder = URL(fileURLWithPath: root)
    guard areCut else {
      let progress = ProgressLine()
      defer { progress.finish() }
      self = .images(
        try ImageDataset.load(root: folder, threads: threads) {
          progress.update("decoding images", done: $0, total: $1)
        })
      return
    }
    let file = index.map { URL(fileURLWithPath: $0) } ?? DatasetIndex.file(of: folder)
    self = .pictures(
      PictureDataset(try DatasetIndex.load(file, root: folder, threads: threads), root: folder),
      name: folder.lastPathComponent)
  }

  var name: String {
    switch self {
    case .images(let images): images.manifest.name
    case .pictures(_, let name): name
    }
  }

  var contentHash: String {
    switch self {
    case .images(let images): images.contentHash
    case .pictures(let pictures, _): pictures.contentHash
    }
  }

  var classes: [String] {
    switch self {
    case .images(let images): images.classNames
    case .pictures(let pictures, _): pictures.classes
    }
  }

  /// A session that can evaluate tensors; nothing can be trained in it.
  /// - Parameters:
  ///   - classes: of the network's outputs; empty: the data's own.
  ///   - initial: of a full-precision network; nil: the final tensors of a run are loaded later.
  func session(
    _ spec: TrainingSpec, normalization: Normalization, classes: [String], path: String, threads: Int,
    initial: [NamedTensor]? = nil
  ) throws -> TrainingSession {
    var spec = spec
    // Nothing is trained here, so training images need not fill a batch, and nothing decides over freezing.
    spec.dropLastPartialBatch = false
    spec.freezing = nil
    switch self {
    case .images(let images):
      let labelled = classes.isEmpty ? images : try images.labelled(by: classes, path: path)
      return try TrainingSession(
        spec: spec, data: labelled, normalization: normalization, threads: threads, initial: initial)
    case .pictures(let pictures, _):
      let labelled = classes.isEmpty ? pictures : try pictures.labelled(by: classes, path: path)
      return try TrainingSession(
        spec: spec, pictures: labelled, normalization: normalization, threads: threads, initial: initial)
    }
  }
}
