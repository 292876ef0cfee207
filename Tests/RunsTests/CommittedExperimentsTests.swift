import Configuration
import ConfigurationSupport
import Foundation
import Runs
import Testing

@Suite("Committed experiments")
struct CommittedExperimentsTests {
  @Test(
    "every committed smoke profile resolves on the committed images",
    arguments: ["table2", "ablation-bits", "ablation-threshold", "ablation-freeze-start"])
  func smokeProfiles(_ name: String) throws {
    let file = repositoryRoot.appendingPathComponent("configs/\(name).json").path
    let experiment = try Experiment.load(file: file, profile: "smoke")
    let data = try ExperimentData(
      experiment.dataset, file: file, folder: repositoryRoot.appendingPathComponent("datasets").path, threads: 2)
    #expect(try RunPlan(experiment, data: data.summary).runs.count == experiment.points.count + 1)
  }
}
