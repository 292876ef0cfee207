import Experiments
import Foundation

/// A folder for one test, removed with the value.
final class TemporaryFolder {
  let url: URL
  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("spqat-tests-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(at: url) }

  func write(_ text: String, to name: String = "experiment.json") throws -> String {
    let file = url.appendingPathComponent(name)
    try Data(text.utf8).write(to: file)
    return file.path
  }
}

/// The repository's root, found from this file.
let repositoryRoot = URL(fileURLWithPath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// Decodes `text` as an experiment file.
func experiment(_ text: String, profile: String? = nil, set: [String] = []) throws -> Experiment {
  let folder = try TemporaryFolder()
  return try Experiment.load(
    file: folder.write(text), profile: profile, overrides: set.map { try Experiment.Override(argument: $0) })
}

/// What loading `text` complains of, without the file's folder; nil when it loads.
func complaint(_ text: String, profile: String? = nil, set: [String] = []) throws -> String? {
  do {
    _ = try experiment(text, profile: profile, set: set)
    return nil
  } catch let error as ConfigurationError {
    var error = error
    error.file = error.file.split(separator: "/").last.map(String.init) ?? error.file
    return error.description
  }
}
