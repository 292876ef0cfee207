public import Foundation

/// A new folder that goes away with its owner.
public struct TemporaryFolder: ~Copyable {
  public let url: URL
  public var path: String { url.path }

  public init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("spqat-tests-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  /// The path of `name` in this folder.
  public func file(_ name: String) -> String { "\(path)/\(name)" }

  /// The names of what is in it, sorted.
  public var contents: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }

  /// Writes a file of UTF-8 text and gives its path.
  public func write(_ text: String, to name: String) throws -> String {
    try Data(text.utf8).write(to: url.appendingPathComponent(name))
    return file(name)
  }

  deinit { try? FileManager.default.removeItem(at: url) }
}
