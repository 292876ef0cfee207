import Configuration
import ConfigurationSupport
import Datasets
import Foundation
import Runs
import TestSupport
import Testing
import Training

@Suite("Committed experiments")
struct CommittedExperimentsTests {
  @Test(
    "every committed smoke profile resolves on the committed images",
    arguments: ["table2", "ablation-bits", "ablation-threshold", "ablation-freeze-start", "observation", "controls"])
  func smokeProfiles(_ name: String) throws {
    let file = repositoryRoot.appendingPathComponent("configs/\(name).json").path
    let experiment = try Experiment.load(file: file, profile: "smoke")
    let data = try ExperimentData(
      experiment.dataset, file: file, folder: repositoryRoot.appendingPathComponent("datasets").path, threads: 2)
    #expect(try RunPlan(experiment, data: data.summary).runs.count == experiment.points.count + 1)
  }

  @Test(
    "every ImageNet experiment resolves, its smoke profile on generated pictures, its paper profile as published",
    arguments: ["resnet18", "resnet50", "mobilenetv1", "mobilenetv2"])
  func imageNet(_ model: String) throws {
    let folder = try TemporaryFolder()
    let index = try ShapePictures(trainCount: 2, testCount: 1, sides: 16...24).write(
      to: URL(fileURLWithPath: folder.file("shapes")), threads: 2)
    let file = repositoryRoot.appendingPathComponent("configs/imagenet-\(model).json").path
    let smoke = try Experiment.load(file: file, profile: "smoke")
    let data = try ExperimentData(
      smoke.dataset, pictures: smoke.pictures, file: file, folder: folder.path,
      threads: 2)
    #expect(data.summary.contentHash == index.contentHash)
    // A full-precision network for each recipe, full QAT and freezing.
    let plan = try RunPlan(smoke, data: data.summary)
    #expect(plan.runs.count == 6)
    #expect(plan.runs.allSatisfy { $0.normalization == .imageNet && $0.spec.images?.side == 64 })
    let paper = try Experiment.load(file: file, profile: "paper").points.map(\.settings.training)
    #expect(paper.allSatisfy { $0.duration == .epochs(100) && $0.images?.size == PixelSize(width: 224, height: 224) })
    #expect(paper.map(\.spec.batchSize) == [1024, 1024, 256, 256])
  }
}
