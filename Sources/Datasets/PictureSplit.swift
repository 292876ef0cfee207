public import Diagnostics
public import Foundation
import Tensor

/// Pictures of any size as files, with their labels: one split of an indexed tree.
public struct PictureSplit: Sendable {
  /// A picture's file.
  public struct Picture: Sendable {
    /// Of the file.
    public var path: String
    /// Of the picture, by the index.
    public var size: PixelSize
    /// Its class.
    public var label: Int32
  }

  /// In the order of classes and names.
  public let pictures: [Picture]
  /// Their pixels, where they are kept in memory.
  let store: DecodedPictures?

  /// Number of pictures.
  public var count: Int { pictures.count }
  /// Bytes of all pictures once decoded.
  public var decodedBytes: Int { pictures.reduce(0) { $0 + $1.size.rgbBytes } }

  init(pictures: [Picture], store: DecodedPictures? = nil) {
    self.pictures = pictures
    self.store = store
  }

  /// The same pictures, decoded once and for all; one that cannot be is found out where its image is asked for.
  public func decoded(threads: Int, progress: ProgressHandler? = nil) -> PictureSplit {
    PictureSplit(pictures: pictures, store: DecodedPictures(pictures, threads: threads, progress: progress))
  }

  /// As many of every class as of the others, like `ImageSplit.subset`.
  public func subset(count: Int, seed: UInt64) -> PictureSplit {
    PictureSplit(
      pictures: balancedSubset(of: pictures.map(\.label), count: count, seed: seed).map { pictures[$0] })
  }
}

/// An indexed data set: what is read from, picture by picture.
public struct PictureDataset: Sendable {
  /// What is trained on.
  public let train: PictureSplit
  /// Evaluated only.
  public let test: PictureSplit
  /// In label order.
  public let classes: [String]
  /// Of the index: the data's identity.
  public let contentHash: String

  /// The pictures of the tree at `root`.
  public init(_ index: DatasetIndex, root: URL) {
    func split(_ range: Range<Int>) -> PictureSplit {
      PictureSplit(
        pictures: range.map { position in
          let entry = index.entries[position]
          return .init(path: "\(root.path)/\(entry.path)", size: entry.size, label: index.labels[position])
        })
    }
    train = split(0..<index.trainCount)
    test = split(index.trainCount..<index.entries.count)
    classes = index.classes
    contentHash = index.contentHash
  }

  /// Bytes of all pictures once decoded.
  public var decodedBytes: Int { train.decodedBytes + test.decodedBytes }

  /// A class-balanced part of the training pictures, and all of the test pictures.
  public func subset(train count: Int, seed: UInt64) -> PictureDataset {
    PictureDataset(
      train: train.subset(count: count, seed: seed), test: test, classes: classes, contentHash: contentHash)
  }

  /// Both splits decoded, as `PictureSplit.decoded`.
  public func decoded(threads: Int, progress: ProgressHandler? = nil) -> PictureDataset {
    let total = train.count + test.count
    let first = train.count
    return PictureDataset(
      train: train.decoded(threads: threads) { done, _ in progress?(done, total) },
      test: test.decoded(threads: threads) { done, _ in progress?(first + done, total) }, classes: classes,
      contentHash: contentHash)
  }

  /// The same pictures, for a network whose outputs have these names; see `ImageDataset.labelled`.
  public func labelled(by names: [String], path: String) throws(Diagnostic) -> PictureDataset {
    if classes == names { return self }
    let labels = try Datasets.labels(of: classes, among: names, path: path)
    func relabelled(_ split: PictureSplit) -> PictureSplit {
      PictureSplit(
        pictures: split.pictures.map { .init(path: $0.path, size: $0.size, label: labels[Int($0.label)]) })
    }
    return PictureDataset(
      train: relabelled(train), test: relabelled(test), classes: names, contentHash: contentHash)
  }

  private init(train: PictureSplit, test: PictureSplit, classes: [String], contentHash: String) {
    self.train = train
    self.test = test
    self.classes = classes
    self.contentHash = contentHash
  }
}

/// `count` positions of `labels` with every class equally often (but for one where `count` is no multiple), chosen by `seed`
/// alone, in order. Classes too small for their share leave it to the others.
func balancedSubset(of labels: [Int32], count: Int, seed: UInt64) -> [Int] {
  precondition(count >= 0 && count <= labels.count, "a subset is no larger than the whole")
  var random = CounterRandom(seed: seed, stream: 0, purpose: .subset)
  var classes: [Int32: [Int]] = [:]
  for index in random.permutation(labels.count) { classes[labels[index], default: []].append(index) }
  let queues = classes.sorted { $0.key < $1.key }.map(\.value)

  // One of each class in turn.
  var chosen: [Int] = []
  chosen.reserveCapacity(count)
  var round = 0
  while chosen.count < count {
    for queue in queues where round < queue.count && chosen.count < count { chosen.append(queue[round]) }
    round += 1
  }
  return chosen.sorted()
}

/// The place of each of `classes` among `names`; they agree where they are equal as text, however Unicode spells them.
func labels(of classes: [String], among names: [String], path: String) throws(Diagnostic) -> [Int32] {
  var labels: [Int32] = []
  for name in classes {
    guard let label = names.firstIndex(of: name) else {
      let some = names.prefix(10).joined(separator: ", ") + (names.count > 10 ? ", …" : "")
      throw Diagnostic(
        path, "the class \(name) is not among the \(names.count) of the network (\(some))",
        remedy: "rename its folders, or leave them out")
    }
    labels.append(Int32(label))
  }
  return labels
}
