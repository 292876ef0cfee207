/// What runs are planned by: everything about a data set but its pixels.
public struct DatasetSummary: Equatable, Sendable {
  /// The folder's name, or that of the importer.
  public let name: String
  /// In label order, sorted.
  public let classes: [String]
  /// Training images of all classes.
  public let trainCount: Int
  /// Test images of all classes.
  public let testCount: Int
  /// Of the pixels where images are of one size, else of the files (`DatasetIndex.contentHash`).
  public let contentHash: String
  /// Of a data set whose images are of one size; nil where pictures may differ.
  public let manifest: DatasetManifest?

  /// Of images of one size.
  public init(_ manifest: DatasetManifest) {
    name = manifest.name
    classes = manifest.classes
    trainCount = manifest.trainCounts.reduce(0, +)
    testCount = manifest.testCounts.reduce(0, +)
    contentHash = manifest.contentHash
    self.manifest = manifest
  }

  /// Of pictures of any size.
  public init(_ index: DatasetIndex, name: String) {
    self.name = name
    classes = index.classes
    trainCount = index.trainCount
    testCount = index.testCount
    contentHash = index.contentHash
    manifest = nil
  }
}
