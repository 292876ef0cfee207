import Configuration
import ConfigurationSupport
import Datasets
import Diagnostics
import Foundation
import Networks
import Quantization
import Records
import Runs
import Testing
import Training

@Suite("Run ids")
struct IdentityTests {
  func plan(_ text: String = TinyExperiment.text, set: [String] = []) throws -> RunPlan {
    try RunPlan(experiment(text, set: set), data: TinyExperiment.data)
  }

  @Test("the canonical form and the ids of an algorithm version stay as they are")
  func pinned() throws {
    let runs = try plan().runs
    #expect(runs.map(\.id) == ["d73397b29fe3", "67aa5f3fc360", "08d6e308f1c4", "b57fd0b60eea", "d2dc1e1c48dd"])
    let freezing = try #require(runs.first { $0.kind == .freeze })
    #expect(
      freezing.identity.canonicalForm == """
        {
          "algorithm": 4,
          "batchSize": 10,
          "data": "c0ffee",
          "data.mean": [0.25, 0.5, 0.75],
          "data.standardDeviation": [0.25, 0.25, 0.25],
          "dropLastPartialBatch": true,
          "freezing.distanceEMA": 0.0,
          "freezing.startStep": 20,
          "freezing.threshold": "linear",
          "freezing.totalSteps": 100,
          "learningRate.factor": 0.1,
          "learningRate.milestones": [25, 50, 75],
          "learningRate.schedule": "step",
          "model.architecture": "resnet20",
          "model.batchNormBeforeLinear": true,
          "model.classes": 2,
          "model.initialization": "kaimingFanIn",
          "model.inputHeight": 8,
          "model.inputWidth": 8,
          "model.shortcut": "pad",
          "optimizer.batchNorm.learningRate": 0.1,
          "optimizer.batchNorm.momentum": 0.0,
          "optimizer.batchNorm.rule": "sgd",
          "optimizer.batchNorm.weightDecay": 0.0,
          "optimizer.quantizers.learningRate": 0.01,
          "optimizer.quantizers.momentum": 0.0,
          "optimizer.quantizers.rule": "sgd",
          "optimizer.quantizers.weightDecay": 0.0,
          "optimizer.weights.learningRate": 0.1,
          "optimizer.weights.momentum": 0.9,
          "optimizer.weights.rule": "sgd",
          "optimizer.weights.weightDecay": 0.0001,
          "parent": "d73397b29fe3",
          "quantization.activationBits": 2,
          "quantization.rangeGradient": "unfrozen",
          "quantization.recipe": "spqat",
          "quantization.weightBits": 2,
          "seed": 1,
          "totalSteps": 100
        }

        """)
  }

  @Test("full precision comes first, then baselines, then the rest, seed by seed")
  func order() throws {
    #expect(
      try plan().runs.map(\.label) == [
        "fullPrecision spqat seed=1", "W2A2 fullQAT seed=1", "W2A2 fullQAT seed=2",
        "W2A2 freeze threshold=linear seed=1",
        "W2A2 freeze threshold=linear seed=2",
      ])
  }

  @Test(
    "everything that changes the outcome changes the id",
    arguments: [
      "subset=40", "recipe=\"lts\"", "bits.activations=3", "freezing.threshold=0.1", "freezing.start=\"30%\"",
      "freezing.distanceEMA=0.5", "duration=\"9ep\"", "batchSize=20", "dropLastPartialBatch=false", "augment=false",
      "optimizer={\"weights\": {\"learningRate\": 0.2}}", "optimizer={\"batchNorm\": {\"momentum\": 0.5}}",
      "optimizer={\"quantizers\": {\"rule\": \"adam\", \"learningRate\": 0.1}}",
      "learningRate={\"schedule\": \"cosine\"}", "pretraining.seed=2", "pretraining.duration=\"6ep\"",
      "pretraining.optimizer={\"weights\": {\"weightDecay\": 0}}",
    ])
  func sensitive(_ change: String) throws {
    let before = try #require(try plan().runs.first { $0.kind == .freeze })
    let after = try #require(try plan(set: [change]).runs.first { $0.kind == .freeze })
    #expect(before.id != after.id)
  }

  @Test(
    "names, titles, profiles and defaults written out leave the id alone",
    arguments: [
      "title=\"other\"", "name=\"other\"", "augment=true", "recipe=\"spqat\"", "freezing.start=\"20%\"", "subset=100",
      "freezing.start=\"20it\"", "duration=\"100it\"", "optimizer={\"weights\": {\"momentum\": 0.9}}",
    ])
  func insensitive(_ change: String) throws {
    #expect(try plan().runs.map(\.id) == plan(set: [change]).runs.map(\.id))
  }

  @Test("all seeds and bit widths start from one full-precision network")
  func sharedParent() throws {
    let runs = try plan().runs
    #expect(runs[0].parent == nil)
    #expect(Set(runs.dropFirst().map(\.parent)) == [runs[0].id])
    let withMore = try plan(set: ["axes=[{\"bits.weights\": [2, 3]}, {\"method\": [\"freeze\", \"fullQAT\"]}]"]).runs
    // A longer axis adds runs to those that were there.
    #expect(Set(runs.map(\.id)).isSubset(of: withMore.map(\.id)))
    #expect(withMore.count == 1 + 2 * 2 * 2)
  }

  @Test("another algorithm version is another id for the same settings")
  func algorithmVersion() throws {
    let run = try plan().runs[1]
    let older = RunIdentity(
      spec: run.spec, dataHash: TinyExperiment.manifest.contentHash, mean: run.normalization.mean,
      standardDeviation: run.normalization.standardDeviation, subset: run.subset, parent: run.parent,
      algorithmVersion: 0)
    #expect(older.id != run.id)
  }

  @Test("schedules resolve to steps of this data set")
  func resolution() throws {
    let run = try #require(try plan().runs.first { $0.kind == .freeze })
    #expect(run.spec.totalSteps == 100)
    #expect(
      run.spec.freezing
        == FreezingSpec(schedule: .linear, startStep: 20, totalSteps: 100, distanceEMA: 0))
    #expect(run.spec.learningRateSchedule == .step(milestones: [25, 50, 75], factor: 0.1))
    #expect(run.spec.model.classes == 2)
  }

  @Test(
    "what only the data can show is refused with its path",
    arguments: [
      ("subset=101", "subset: found 101, but the data set tiny has 100 training images"),
      (
        "batchSize=101",
        "batchSize: 101 is more than the 100 training images and partial batches are dropped, so an epoch has no step; "
          + "use a smaller batch, or set dropLastPartialBatch to false"
      ),
      (
        "freezing.start=\"100it\"",
        "freezing.start: 100it is step 100, not before the run's end at step 100: nothing would ever freeze"
      ),
      ("duration=\"0.01ep\"", "duration: 0.01ep is less than a step"),
      (
        "learningRate={\"schedule\": \"step\", \"milestones\": [\"50%\", \"1ep\"], \"factor\": 0.1}",
        "learningRate: milestones are not in order: step 10 after step 50"
      ),
    ])
  func dataDependent(change: String, message: String) throws {
    let error = #expect(throws: Diagnostic.self) { _ = try plan(set: [change]) }
    #expect(error?.description.hasSuffix("experiment.json: \(message)") == true, "\(error?.description ?? "nothing")")
  }

  @Test("seeds are dealt out to several networks in turn, alike in every setting, and no id changes by it")
  func severalParents() throws {
    let several = try plan(set: ["seeds=[1, 2, 3, 4]", "pretraining.seeds=[7, 9]"]).runs
    #expect(several.count == 2 + 2 * 4)
    let parents = several.filter { $0.kind == .fullPrecision }
    #expect(parents.map(\.spec.seed) == [7, 9])
    for kind in [RunKind.fullQAT, .freeze] {
      let runs = several.filter { $0.kind == kind }
      #expect(runs.map(\.spec.seed) == [1, 2, 3, 4])
      #expect(runs.map(\.parent) == [parents[0].id, parents[1].id, parents[0].id, parents[1].id])
    }
    // The same runs as those of two experiments with one network each.
    let one = try plan(set: ["seeds=[1, 3]", "pretraining.seed=7"]).runs
    let other = try plan(set: ["seeds=[2, 4]", "pretraining.seed=9"]).runs
    #expect(Set(several.map(\.id)) == Set((one + other).map(\.id)))
    #expect(try plan(set: ["pretraining.seeds=[1]"]).runs.map(\.id) == plan().runs.map(\.id))
  }

  @Test(
    "--only takes parts of labels, globs and ids, and keeps the parents",
    arguments: [
      ("fullQAT", 3), ("W2A2 * seed=1", 3), ("*seed=1", 3), ("*seed=?", 5), ("seed=2", 3), ("nothing", 0),
      ("fullPrecision", 1),
    ])
  func selection(pattern: String, count: Int) throws {
    #expect(try plan().selecting([pattern]).runs.count == count)
    let id = try plan().runs[2].id
    #expect(try plan().selecting([id]).runs.map(\.id).contains(id))
    #expect(try plan().selecting([String(id.prefix(4))]).runs.map(\.id).contains(id))
    #expect(try plan().selecting([String(id.prefix(3))]).runs.isEmpty)
  }

  @Test(
    "--only takes numbers whole",
    arguments: [
      ("seed=1", [1]), ("seed=10", [10]), ("seed=", [1, 2, 10, 21]), ("seed=2", [2]), ("eed=1", [1]), ("0", []),
      ("1", [1]),
      ("seed=1*", []), ("*seed=1*", [1, 10]),
    ] as [(String, Set<UInt64>)])
  func wholeNumbers(pattern: String, seeds: Set<UInt64>) throws {
    let chosen = try plan(set: ["seeds=[1, 2, 10, 21]", "pretraining.seed=7"]).selecting([pattern]).runs
    #expect(Set(chosen.map(\.spec.seed)).subtracting([7]) == seeds)
  }
}
