import Crypto
public import Diagnostics
import Foundation

/// Images of one size in memory, as bytes, with their labels.
public struct ImageSplit: Sendable {
  /// Number of images.
  public var count: Int { labels.count }
  /// Of every image.
  public let size: PixelSize
  /// RGB bytes, `[count][height][width][3]`.
  public let pixels: [UInt8]
  /// Class of each image.
  public let labels: [Int32]

  /// A split of images laid out as `pixels` is.
  /// - Precondition: `pixels` are as many bytes as `labels` has images of `size`.
  public init(size: PixelSize, pixels: [UInt8], labels: [Int32]) {
    precondition(pixels.count == labels.count * size.rgbBytes, "every image has its label and all its pixels")
    self.size = size
    self.pixels = pixels
    self.labels = labels
  }

  /// `count` images with every class equally often (but for one image where `count` is no multiple), chosen by `seed`
  /// alone and kept in order. Classes too small for their share leave it to the others.
  public func subset(count: Int, seed: UInt64) -> ImageSplit {
    let chosen = balancedSubset(of: labels, count: count, seed: seed)
    var pixels: [UInt8] = []
    pixels.reserveCapacity(count * size.rgbBytes)
    for index in chosen { pixels += self.pixels[index * size.rgbBytes..<(index + 1) * size.rgbBytes] }
    return ImageSplit(size: size, pixels: pixels, labels: chosen.map { labels[$0] })
  }
}

/// A labelled data set in memory: a training and a test split of images of one size.
public struct ImageDataset: Sendable {
  /// What is trained on, and what the manifest's mean and standard deviation are of.
  public let train: ImageSplit
  /// Evaluated only; of the same image size.
  public let test: ImageSplit
  /// Counts, class names, source, content hash and pixel statistics of exactly these images.
  public let manifest: DatasetManifest

  /// In label order.
  public var classNames: [String] { manifest.classes }
  /// Image height in pixels.
  public var height: Int { train.size.height }
  /// Image width in pixels.
  public var width: Int { train.size.width }
  /// See `DatasetManifest.contentHash`.
  public var contentHash: String { manifest.contentHash }

  /// A data set of `train` and `test`, whose manifest is computed from them.
  public init(
    train: ImageSplit, test: ImageSplit, classes: [String], name: String, source: DatasetManifest.Source
  ) {
    precondition(train.size == test.size, "training and test images are of one size")
    self.train = train
    self.test = test
    let statistics = Self.statistics(of: train.pixels)
    manifest = DatasetManifest(
      name: name, source: source, classes: classes, height: train.size.height, width: train.size.width,
      trainCounts: Self.counts(train.labels, classes: classes.count),
      testCounts: Self.counts(test.labels, classes: classes.count), contentHash: Self.contentHash(train, test),
      mean: statistics.mean, standardDeviation: statistics.deviation)
  }

  /// Class-balanced subsets of both splits; nil keeps a split whole. The manifest describes the subset.
  public func subset(train trainCount: Int?, test testCount: Int?, seed: UInt64) -> ImageDataset {
    ImageDataset(
      train: trainCount.map { train.subset(count: $0, seed: seed) } ?? train,
      test: testCount.map { test.subset(count: $0, seed: seed) } ?? test, classes: classNames, name: manifest.name,
      source: manifest.source)
  }

  /// The same images with the labels of `names`, for a network whose outputs have these names. Names agree where they are
  /// equal as text, however Unicode spells them.
  ///
  /// - Throws: where a class of this data set, read from `path`, is not among them.
  public func labelled(by names: [String], path: String) throws(Diagnostic) -> ImageDataset {
    if classNames == names { return self }
    let labels = try Datasets.labels(of: classNames, among: names, path: path)
    func relabelled(_ split: ImageSplit) -> ImageSplit {
      ImageSplit(size: split.size, pixels: split.pixels, labels: split.labels.map { labels[Int($0)] })
    }
    return ImageDataset(
      train: relabelled(train), test: relabelled(test), classes: names, name: manifest.name, source: manifest.source)
  }

  private static func counts(_ labels: [Int32], classes: Int) -> [Int] {
    labels.reduce(into: [Int](repeating: 0, count: classes)) { $0[Int($1)] += 1 }
  }

  private static func contentHash(_ splits: ImageSplit...) -> String {
    var hash = SHA256()
    for split in splits {
      split.pixels.withUnsafeBytes { hash.update(bufferPointer: $0) }
      split.labels.map(\.littleEndian).withUnsafeBytes { hash.update(bufferPointer: $0) }
    }
    return hash.finalize().hexadecimal
  }

  /// Mean and standard deviation of each channel of RGB bytes, in [0, 1]; exact sums, from a histogram.
  private static func statistics(of pixels: [UInt8]) -> (mean: [Double], deviation: [Double]) {
    var histogram = [Int](repeating: 0, count: 3 * 256)
    pixels.withUnsafeBufferPointer { bytes in
      histogram.withUnsafeMutableBufferPointer { histogram in
        var index = 0
        while index + 2 < bytes.count {
          histogram[Int(bytes[index])] += 1
          histogram[256 + Int(bytes[index + 1])] += 1
          histogram[512 + Int(bytes[index + 2])] += 1
          index += 3
        }
      }
    }
    let count = Double(max(1, pixels.count / 3))
    var mean: [Double] = []
    var deviation: [Double] = []
    for channel in 0..<3 {
      let bins = histogram[channel * 256..<(channel + 1) * 256]
      let sum = zip(0..., bins).reduce(0) { $0 + $1.0 * $1.1 }
      let average = Double(sum) / count / 255
      var squares = 0.0
      for (byte, hits) in zip(0..., bins) {
        let distance = Double(byte) / 255 - average
        squares += distance * distance * Double(hits)
      }
      mean.append(average)
      deviation.append((squares / count).squareRoot())
    }
    return (mean, deviation)
  }
}

extension Sequence<UInt8> {
  /// Two lower-case digits a byte.
  var hexadecimal: String {
    let digits = Array("0123456789abcdef")
    return String(flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }
}
