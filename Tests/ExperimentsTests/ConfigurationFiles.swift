import Experiments
import Foundation
import TestSupport

/// The repository's root, found from this file.
let repositoryRoot = URL(fileURLWithPath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// Decodes `text` as an experiment file.
func experiment(_ text: String, profile: String? = nil, set: [String] = []) throws -> Experiment {
  let folder = try TemporaryFolder()
  return try Experiment.load(
    file: folder.write(text, to: "experiment.json"), profile: profile,
    overrides: set.map { try Experiment.Override(argument: $0) })
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
