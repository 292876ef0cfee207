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

    public init(origin: String, md5: [String: String]? = nil, official: Bool? = nil) {
      self.origin = origin
      self.md5 = md5
      self.official = official
    }
  }

  /// The data set's name, such as "cifar10"; the folder's name where no importer wrote the tree.
  public var name: String
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

  /// Reads the manifest of the tree at `root`; nil when there is none.
  static func read(root: URL) throws(DatasetError) -> DatasetManifest? {
    let file = root.appendingPathComponent(fileName)
    guard FileManager.default.fileExists(atPath: file.path) else { return nil }
    do {
      return try JSONDecoder().decode(DatasetManifest.self, from: Data(contentsOf: file))
    } catch {
      throw DatasetError(
        path: file.path, reason: "not a readable manifest", remedy: "import the data set again or remove the file")
    }
  }

  /// Writes the manifest into the tree at `root`, as JSON with sorted keys.
  public func write(root: URL) throws(DatasetError) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    guard let json = try? encoder.encode(self) else { preconditionFailure("a manifest is plain JSON") }
    try writeFile(json + Data("\n".utf8), to: root.appendingPathComponent(Self.fileName))
  }
}
