import Configuration
import ConfigurationSupport
import Diagnostics
import Networks
import Quantization
import Recipes
import Testing
import Training

/// Every field of a training specification is described, and what describes it makes another run of another value.
@Suite("Described settings of a training specification")
struct TrainingSpecSettingsTests {
  /// Specifications that have every part between them.
  static let specs: [TrainingSpec] = {
    let sgd = ParameterGroupSpec(optimizer: .sgd(momentum: 0.25, weightDecay: 0.5), learningRate: 0.125)
    let adam = ParameterGroupSpec(
      optimizer: .adam(beta1: 0.25, beta2: 0.5, epsilon: 0.0625), learningRate: 0.375)
    func spec(
      _ recipe: Recipe, _ group: ParameterGroupSpec, _ schedule: LearningRateSchedule, freezing: FreezingSpec?
    ) -> TrainingSpec {
      TrainingSpec(
        model: recipe.model(.resnet8, classes: 10, height: 32, width: 32),
        quantization: recipe.quantization(weightBits: 3, activationBits: 5), freezing: freezing, weights: group,
        batchNorm: group, quantizers: group, learningRateSchedule: schedule, batchSize: 64, dropLastPartialBatch: true,
        totalSteps: 900, augment: false, seed: 7)
    }
    let linear = FreezingSpec(schedule: .linear, startStep: 11, totalSteps: 900, distanceEMA: 0.75)
    return [
      spec(.spqat, sgd, .step(milestones: [10, 20], factor: 0.5), freezing: linear),
      spec(.lts, adam, .cosine(totalSteps: 800), freezing: linear),
      spec(.lts, sgd, .constant, freezing: nil),
      spec(
        .spqat, sgd, .constant,
        freezing: FreezingSpec(
          criterion: .clock, schedule: .fixed(0), startStep: 0, totalSteps: 900, distanceEMA: 0.75, stopStep: 44)),
      spec(
        .lts, sgd, .constant,
        freezing: FreezingSpec(
          criterion: .levelChange, schedule: .fixed(0), startStep: 7, totalSteps: 900, distanceEMA: 0.75,
          unchangedSteps: 44)),
      spec(
        .lts, sgd, .constant,
        freezing: FreezingSpec(
          criterion: .random, schedule: .sine, startStep: 7, totalSteps: 900, distanceEMA: 0.75, pair: "c0ffee")),
    ]
  }()

  private func identity(_ spec: TrainingSpec) -> RunIdentity {
    RunIdentity(
      spec: spec, dataHash: "c0ffee", mean: [0.25, 0.5, 0.75], standardDeviation: [0.25, 0.25, 0.25], subset: nil,
      parent: nil)
  }

  /// The innermost values under their paths. What is printed as a name (a schedule, a scheme) is one value.
  private func leaves(_ value: Any, _ path: String = "") -> [String: String] {
    let mirror = Mirror(reflecting: value)
    if mirror.displayStyle == .optional {
      return mirror.children.first.map { leaves($0.value, path) } ?? [path: "nil"]
    }
    let isWhole = value is any CustomStringConvertible || mirror.children.isEmpty
    if isWhole || mirror.displayStyle == .collection { return [path: "\(value)"] }
    var result: [String: String] = mirror.displayStyle == .enum ? [path: mirror.children.first?.label ?? ""] : [:]
    for child in mirror.children {
      result.merge(leaves(child.value, path + "/" + (child.label ?? ""))) { first, _ in first }
    }
    return result
  }

  /// Values of the kind, of which some are allowed.
  private func candidates(_ schema: SettingSchema) -> [JSONValue] {
    (schema.choices + ["0123456789ab"]).map(JSONValue.string)
      + [true, false].map(JSONValue.bool)
      + [0, 1, 2, 3, 4, 6, 12, 30, 100].map { JSONValue.integer($0) }
      + [0.03125, 0.9].map { JSONValue.number($0) }
      + [.array([.integer(5), .integer(30)])]
  }

  @Test("cover every leaf, change the id, and are read back")
  func everyLeaf() throws {
    var undescribed = Set(Self.specs.flatMap { leaves($0).keys })
    #expect(undescribed.count > 30)
    for spec in Self.specs {
      let before = identity(spec)
      for setting in TrainingSpec.settings {
        for candidate in candidates(setting.schema) {
          var changed = spec
          guard (try? setting.read(&changed, candidate)) != nil, changed != spec else { continue }
          let after = identity(changed)
          #expect(after.id != before.id, "\(setting.key) = \(candidate.text)")
          let (old, new) = (leaves(spec), leaves(changed))
          undescribed.subtract(Set(old.keys).union(new.keys).filter { old[$0] != new[$0] })
          // Not every size of images makes a network.
          guard (try? changed.model.graph()) != nil else { continue }
          let stored = try StoredSpecification(canonicalForm: after.canonicalForm, file: "run.h5")
          #expect(stored.spec == changed, "\(setting.key) = \(candidate.text)")
          #expect(identity(stored.spec) == after)
        }
      }
    }
    #expect(undescribed.isEmpty, "\(undescribed.sorted())")
  }

  @Test("a width that is the published one is not written, another one is")
  func width() {
    var spec = Self.specs[0]
    #expect(!identity(spec).canonicalForm.contains("model.width"))
    spec.model.width = 32
    #expect(identity(spec).canonicalForm.contains("\n  \"model.width\": 32,\n"))
  }

  @Test(
    "stored forms with keys that are unknown, missing or out of range are refused with the key",
    arguments: [
      ("\"batchSize\": 64", "\"batchSize\": 0", "batchSize"), ("\"seed\": 7", "\"sead\": 7", "seed"),
      ("\"seed\": 7", "\"other\": 1, \"seed\": 7", "other"),
      ("\"quantization.recipe\": \"spqat\",", "", "quantization.recipe"),
      ("\"model.shortcut\": \"pad\"", "\"model.shortcut\": \"pat\"", "model.shortcut"),
      ("\"optimizer.weights.momentum\": 0.25", "\"optimizer.weights.beta1\": 0.25", "optimizer.weights.momentum"),
    ])
  func refused(find: String, replace: String, key: String) {
    let form = identity(Self.specs[0]).canonicalForm
    #expect(form.contains(find))
    let error = #expect(throws: Diagnostic.self) {
      _ = try StoredSpecification(canonicalForm: form.replacing(find, with: replace), file: "run.h5")
    }
    #expect(
      error?.description
        == "run.h5: its configuration has no usable \"\(key)\"; it was written by another version")
  }
}
