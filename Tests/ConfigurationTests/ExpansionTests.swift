import Configuration
import ConfigurationSupport
import Foundation
import Quantization
import Testing
import Training

@Suite("Expansion of experiments into runs")
struct ExpansionTests {
  static let base = #""name": "x", "bits": {"weights": 4, "activations": 4}"#

  @Test("objects of axes multiply, lists in one object vary together")
  func gridsAndZips() throws {
    let points = try experiment(
      """
      {\(Self.base), "axes": [
        {"bits.weights": [4, 2], "bits.activations": [4, 3]},
        {"method": ["fullQAT"]}, {"batchSize": [64, 128]}], "seeds": [5, 6]}
      """
    ).points
    #expect(
      points.map { [$0.settings.weightBits, $0.settings.activationBits, $0.settings.training.batchSize] } == [
        [4, 4, 64], [4, 4, 64], [4, 4, 128], [4, 4, 128], [2, 3, 64], [2, 3, 64], [2, 3, 128], [2, 3, 128],
      ])
    #expect(points.map(\.settings.seed) == [5, 6, 5, 6, 5, 6, 5, 6])
  }

  @Test("a grid over method and freezing keeps one baseline")
  func oneBaseline() throws {
    let points = try experiment(
      """
      {\(Self.base), "axes": [{"method": ["fullQAT", "freeze"]}, {"freezing.threshold": [0.1, "linear", "sine"]}]}
      """
    ).points
    #expect(points.map(\.settings.method.name) == [.fullQAT, .freeze, .freeze, .freeze])
    #expect(!points[0].axisValues.contains { $0.path.description == "freezing.threshold" })
  }

  @Test("profiles merge over the file, overrides over both, null removes")
  func overrides() throws {
    let text = """
      {\(Self.base), "method": "fullQAT", "batchSize": 32, "subset": 100,
       "profiles": {"quick": {"batchSize": 64, "subset": null}, "other": {"duration": "2ep"}}}
      """
    let quick = try experiment(text)
    #expect(quick.profile == "quick")
    #expect(quick.points[0].settings.training.batchSize == 64)
    #expect(quick.points[0].settings.subset == nil)
    let other = try experiment(text, profile: "other", set: ["batchSize=16", "pretraining.seed=9"])
    #expect(other.points[0].settings.training.batchSize == 16)
    #expect(other.points[0].settings.training.duration == .epochs(2))
    #expect(other.points[0].settings.pretraining.seed == 9)
    #expect(other.points[0].settings.subset == 100)
  }

  @Test("recipes fill in what the file leaves out")
  func recipeDefaults() throws {
    let first = try experiment("{\(Self.base), \"method\": \"fullQAT\"}").points[0].settings
    #expect(first.training.batchSize == 256)
    #expect(first.training.dropLastPartialBatch)
    #expect(first.training.weights.optimizer == .sgd(momentum: 0.9, weightDecay: 1e-4))
    #expect(first.training.batchNorm.optimizer == .sgd(momentum: 0, weightDecay: 0))
    #expect(first.training.quantizers.learningRate == 0.01)
    #expect(
      first.pretraining.training.learningRate
        == .step(milestones: [.percent(25), .percent(50), .percent(75)], factor: 0.2))
    #expect(first.pretraining.training.batchNorm.optimizer == .sgd(momentum: 0.9, weightDecay: 1e-4))
    let second = try experiment(
      "{\(Self.base), \"recipe\": \"lts\", \"method\": \"freeze\", \"freezing\": {\"threshold\": \"sine\"}}"
    ).points[0].settings
    #expect(second.training.batchSize == 128)
    #expect(!second.training.dropLastPartialBatch)
    #expect(second.training.quantizers.optimizer == .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8))
    #expect(second.training.quantizers.learningRate == 1e-4)
    #expect(second.rangeGradient == .dense)
    guard case .freeze(let freezing) = second.method else { return #expect(Bool(false), "expected freezing") }
    #expect(freezing.schedule == .sine)
    #expect(freezing.start == .percent(20))
    #expect(freezing.distanceEMA == 0.99)
  }

  @Test("durations resolve to whole steps")
  func durations() {
    #expect(TrainingDuration.epochs(80).steps(stepsPerEpoch: 195, of: 0) == 15600)
    #expect(TrainingDuration.epochs(0.5).steps(stepsPerEpoch: 195, of: 0) == 98)
    #expect(TrainingDuration.percent(20).steps(stepsPerEpoch: 195, of: 78000) == 15600)
    #expect(TrainingDuration.percent(20).steps(stepsPerEpoch: 7, of: 13) == 3)
    #expect(TrainingDuration.steps(500).steps(stepsPerEpoch: 195, of: 78000) == 500)
    #expect(TrainingDuration.percent(12.5).description == "12.5%")
    #expect(TrainingDuration.epochs(400).description == "400ep")
  }

  @Test(
    "every committed experiment decodes in every profile",
    arguments: [
      "table2", "ablation-bits", "ablation-threshold", "ablation-freeze-start",
    ])
  func committedExperiments(_ name: String) throws {
    let file = repositoryRoot.appendingPathComponent("configs/\(name).json").path
    for profile in ["smoke", "quick", "standard", "paper"] {
      let experiment = try Experiment.load(file: file, profile: profile)
      #expect(experiment.name == name)
      let seeds = Set(experiment.points.map(\.settings.seed)).count
      #expect(profile == "smoke" || profile == "quick" || seeds >= 3)
      #expect((profile == "smoke") == (experiment.dataset == "sample"))
      let settings = try #require(experiment.points.first).settings
      #expect((profile == "paper") == (settings.training.duration == .epochs(400)))
    }
  }

  @Test("the committed grids are the published ones")
  func committedGrids() throws {
    func labels(_ name: String) throws -> [[String]] {
      try Experiment.load(
        file: repositoryRoot.appendingPathComponent("configs/\(name).json").path, profile: "quick"
      ).points.map { $0.axisValues.map { "\($0.path)=\($0.value.text)" } }
    }
    #expect(
      try labels("table2") == [
        ["bits.weights=4", "bits.activations=4", "method=\"fullQAT\""],
        ["bits.weights=4", "bits.activations=4", "method=\"freeze\""],
        ["bits.weights=3", "bits.activations=3", "method=\"fullQAT\""],
        ["bits.weights=3", "bits.activations=3", "method=\"freeze\""],
        ["bits.weights=2", "bits.activations=2", "method=\"fullQAT\""],
        ["bits.weights=2", "bits.activations=2", "method=\"freeze\""],
      ])
    #expect(try labels("ablation-threshold").count == 1 + 9)
    #expect(try labels("ablation-freeze-start").count == 1 + 3 * 7)
  }
}
