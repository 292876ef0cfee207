package import Diagnostics
package import Foundation

/// The four IDX files of Fashion-MNIST, plain or gzipped (github.com/zalandoresearch/fashion-mnist).
package struct FashionMNISTFiles: Sendable {
  /// Where Debian's package `dataset-fashion-mnist` installs them.
  package static let systemFolder = URL(fileURLWithPath: "/usr/share/datasets/fashion-mnist")

  /// In the order of the publisher's labels. "T-shirt/top" is written so that it can name a folder.
  static let classes = [
    "T-shirt-top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle-boot",
  ]

  package var side = 28
  package var trainCount = 60_000
  package var testCount = 10_000

  package init() {}

  package func read(_ folder: URL) throws(Diagnostic) -> ImportedImages {
    guard isFolder(folder) else {
      throw Diagnostic(
        folder.path, "no such folder",
        remedy: "pass the folder of the four IDX files, or install the Debian package dataset-fashion-mnist")
    }
    var checksums: [String: String] = [:]
    let train = try split("train", count: trainCount, folder: folder, checksums: &checksums)
    let test = try split("t10k", count: testCount, folder: folder, checksums: &checksums)
    return ImportedImages(
      train: train, test: test, classes: Self.classes,
      source: DatasetManifest.Source(
        origin: "Fashion-MNIST IDX files", md5: checksums))
  }

  private func split(
    _ name: String, count: Int, folder: URL, checksums: inout [String: String]
  ) throws(Diagnostic) -> RawImages {
    let (pixels, _) = try idx("\(name)-images-idx3-ubyte", [count, side, side], folder: folder, checksums: &checksums)
    let (labels, path) = try idx("\(name)-labels-idx1-ubyte", [count], folder: folder, checksums: &checksums)
    if let wrong = labels.firstIndex(where: { $0 >= Self.classes.count }) {
      throw Diagnostic(
        path,
        "label \(wrong + 1) is \(labels[wrong]), allowed are 0 to \(Self.classes.count - 1)",
        remedy: "download the file again")
    }
    return RawImages(size: PixelSize(width: side, height: side), channels: 1, pixels: pixels, labels: labels)
  }

  /// The values of one IDX file of unsigned bytes with exactly these dimensions, and its path.
  private func idx(
    _ name: String, _ dimensions: [Int], folder: URL, checksums: inout [String: String]
  ) throws(Diagnostic) -> ([UInt8], String) {
    let zipped = folder.appendingPathComponent(name + ".gz")
    let isZipped = FileManager.default.fileExists(atPath: zipped.path)
    let file = isZipped ? zipped : folder.appendingPathComponent(name)
    let header = [UInt8]([0, 0, 8, UInt8(dimensions.count)]) + dimensions.flatMap(Self.bigEndian)
    let expected = header.count + dimensions.reduce(1, *)
    var data = try readFile(file, limit: expected + 1 << 16)
    checksums[file.lastPathComponent] = Datasets.md5(data)
    if isZipped { data = try gunzip(data, path: file.path, limit: expected + 1 << 16) }
    guard data.starts(with: header) else {
      throw Diagnostic(
        file.path, "not an IDX file of \(dimensions.map(String.init).joined(separator: " x ")) bytes",
        remedy: "download the file again")
    }
    guard data.count == expected else {
      throw Diagnostic(
        file.path, "\(data.count) bytes instead of \(expected)", remedy: "download the file again")
    }
    return ([UInt8](data.dropFirst(header.count)), file.path)
  }

  private static func bigEndian(_ value: Int) -> [UInt8] {
    stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) }
  }
}
