public import Diagnostics
public import Foundation

/// What a data set holds: written by the importers as `manifest.json` in the tree, computed for any other tree.
public struct DatasetManifest: Codable, Equatable, Sendable {
  /// The manifest's name in a tree.
  public static let fileName = "manifest.json"

  /// Where the pixels came from.
  public struct Source: Codable, Equatable, Sendable {
    /// Human-readable origin: an archive's name, or "image folder".
    public var origin: String
    /// MD5 of each file read, by name, where files were read whole.
    public var md5: [String: String]?
    /// Whether those are the publisher's checksums; false for an archive let through by `--accept-other-checksum`.
    public var official: Bool?

    /// An origin with, where files were read whole, their checksums and whether those are the publisher's.
    public init(origin: String, md5: [String: String]? = nil, official: Bool? = nil) {
      self.origin = origin
      self.md5 = md5
      self.official = official
    }

    /// Of a tree that no importer wrote.
    public static let imageFolder = Source(origin: "image folder")
  }

  /// The data set's name, such as "cifar10"; the folder's name where no importer wrote the tree, which says nothing of
  /// what is in it.
  public var name: String
  /// `Source.imageFolder` where no importer wrote the tree.
  public var source: Source
  /// Class names in label order, sorted.
  public var classes: [String]
  /// Image height in pixels.
  public var height: Int
  /// Image width in pixels.
  public var width: Int
  /// Training images of each class, in label order.
  public var trainCounts: [Int]
  /// Test images of each class, in label order.
  public var testCounts: [Int]
  /// SHA-256, in hexadecimal, over the training pixels (RGB bytes in image order), the training labels (32-bit
  /// little-endian), the test pixels and the test labels.
  public var contentHash: String
  /// Mean of the training pixels of each channel, in [0, 1].
  public var mean: [Double]
  /// Standard deviation of the training pixels of each channel (n in the denominator), in [0, 1].
  public var standardDeviation: [Double]

  /// Whether an importer wrote the tree, so that its name says what is in it.
  public var isImported: Bool { source != .imageFolder }

  /// Reads the manifest of the tree at `root`; nil when there is none.
  ///
  /// - Throws: where the file is no manifest, or has values that no tree has: everything that is derived from a manifest
  ///   before the images are decoded may rely on it.
  public static func read(root: URL) throws(Diagnostic) -> DatasetManifest? {
    let file = root.appendingPathComponent(fileName)
    guard FileManager.default.fileExists(atPath: file.path) else { return nil }
    func fail(_ reason: String) -> Diagnostic {
      Diagnostic(file.path, reason, remedy: "import the data set again or remove the file")
    }
    let manifest: DatasetManifest
    do {
      manifest = try JSONDecoder().decode(DatasetManifest.self, from: Data(contentsOf: file))
    } catch {
      throw fail("not a readable manifest")
    }
    if let mistake = manifest.mistake { throw fail(mistake) }
    return manifest
  }

  /// The first value that no tree has, with what is allowed; nil where there is none.
  private var mistake: String? {
    let limits = ImageLimits()
    func found(_ key: String, _ value: Any, _ allowed: String) -> String {
      "\(key): found \(value), allowed: \(allowed)"
    }
    if name.isEmpty || name.contains("\0") { return found("name", "\"\(name)\"", "a text without NUL") }
    if classes.isEmpty { return found("classes", "none", "one or more") }
    if let name = classes.first(where: { $0.isEmpty || $0.hasPrefix(".") || $0.contains("/") || $0.contains("\0") }) {
      return found("classes", "\"\(name)\"", "names of folders that are not hidden")
    }
    if !zip(classes, classes.dropFirst()).allSatisfy({ $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
      return found("classes", "another order", "sorted by their UTF-8 bytes, each once")
    }
    for (key, side) in [("height", height), ("width", width)] where !(1...limits.side).contains(side) {
      return found(key, side, "1 to \(limits.side)")
    }
    let most = limits.datasetBytes / 3
    for (key, counts) in [("trainCounts", trainCounts), ("testCounts", testCounts)] {
      if counts.count != classes.count { return found(key, "\(counts.count) counts", "\(classes.count), one a class") }
      if let count = counts.first(where: { !(1...most).contains($0) }) { return found(key, count, "1 to \(most)") }
    }
    // No sum of fewer than 2^20 classes of at most `most` images overflows.
    if classes.count >= 1 << 20 { return found("classes", "\(classes.count) of them", "fewer than \(1 << 20)") }
    if contentHash.utf8.count != 64 || !contentHash.utf8.allSatisfy({ "0123456789abcdef".utf8.contains($0) }) {
      return found("contentHash", "\"\(contentHash)\"", "64 digits of a SHA-256")
    }
    for (key, values) in [("mean", mean), ("standardDeviation", standardDeviation)] {
      if values.count != 3 { return found(key, "\(values.count) numbers", "3, for red, green and blue") }
      if let value = values.first(where: { !(0...1).contains($0) }) { return found(key, value, "0 to 1") }
    }
    return nil
  }

  /// Writes the manifest into the tree at `root`, as JSON with sorted keys.
  public func write(root: URL) throws(Diagnostic) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    guard let json = try? encoder.encode(self) else { preconditionFailure("a manifest is plain JSON") }
    try writeFile(json + Data("\n".utf8), to: root.appendingPathComponent(Self.fileName))
  }
}
