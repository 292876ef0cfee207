public import Configuration
public import Datasets
public import Foundation
import TestSupport

/// The repository's root, found from this file.
public let repositoryRoot = URL(fileURLWithPath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// Decodes `text` as an experiment file.
public func experiment(_ text: String, profile: String? = nil, set: [String] = []) throws -> Experiment {
  let folder = try TemporaryFolder()
  return try Experiment.load(
    file: folder.write(text, to: "experiment.json"), profile: profile,
    overrides: set.map { try Experiment.Override(argument: $0) })
}

/// An experiment of five runs, and the description of a data set for it.
public enum TinyExperiment {
  public static let manifest = try! JSONDecoder().decode(
    DatasetManifest.self,
    from: Data(
      """
      {"name": "tiny", "source": {"origin": "test"}, "classes": ["a", "b"], "height": 8, "width": 8,
       "trainCounts": [50, 50], "testCounts": [10, 10], "contentHash": "c0ffee", "mean": [0.25, 0.5, 0.75],
       "standardDeviation": [0.25, 0.25, 0.25]}
      """.utf8))
  public static let data = DatasetSummary(manifest)

  public static let text = """
    {"name": "x", "bits": {"weights": 2, "activations": 2}, "duration": "10ep", "batchSize": 10,
     "pretraining": {"duration": "5ep", "batchSize": 10}, "freezing": {"threshold": "linear"},
     "axes": [{"method": ["freeze", "fullQAT"]}], "seeds": [1, 2]}
    """
}
