import Configuration
import Datasets
import Foundation
import Training

/// The images that a network is evaluated on: all of one size, or cut out of pictures as its run's were.
enum EvaluationData {
  case images(ImageDataset)
  case pictures(PictureDataset, name: String)

  /// - Parameter index: where the index of the pictures is; nil: in the tree.
  init(root: String, index: String?, of stored: StoredSpecification, threads: Int) throws {
    let folder = URL(fileURLWithPath: root)
    guard stored.spec.images != nil else {
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

  /// A session that can evaluate a run's final tensors; nothing can be trained in it.
  /// - Parameter classes: of the network's outputs; empty: the data's own.
  func session(_ stored: StoredSpecification, classes: [String], path: String, threads: Int) throws -> TrainingSession {
    var spec = stored.spec
    // Nothing is trained here, so training images need not fill a batch, and nothing decides over freezing.
    spec.dropLastPartialBatch = false
    spec.freezing = nil
    switch self {
    case .images(let images):
      let labelled = classes.isEmpty ? images : try images.labelled(by: classes, path: path)
      return try TrainingSession(spec: spec, data: labelled, normalization: stored.normalization, threads: threads)
    case .pictures(let pictures, _):
      let labelled = classes.isEmpty ? pictures : try pictures.labelled(by: classes, path: path)
      return try TrainingSession(
        spec: spec, pictures: labelled, normalization: stored.normalization, threads: threads)
    }
  }
}
