import Crypto
import Foundation
import Networks
import Quantization
public import Training

/// The canonical form of everything that changes a run's outcome, and the id derived from it.
///
/// Threads, paths, labels and profile names are not part of it. Fields that exist since the first version are always
/// written; a field added later is written with `add(_:_:unless:)`, so that its default leaves old ids as they are.
public struct RunIdentity: Hashable, Sendable {
  /// Raised when training changes so that old results would come out differently; runs of another version are stale.
  public static let algorithmVersion = 3

  /// A JSON object without nesting, a key a line, sorted.
  public let canonicalForm: String
  /// The first 12 hexadecimal digits of the canonical form's SHA-256.
  public let id: String

  /// - Parameters:
  ///   - dataHash: SHA-256 of the whole data set's pixels and labels.
  ///   - mean: of the normalisation, a value a channel.
  ///   - standardDeviation: of the normalisation, a value a channel.
  ///   - subset: images of the fixed training subset, nil for all.
  ///   - parent: id of the full-precision run that the weights come from, nil for random ones.
  public init(
    spec: TrainingSpec, dataHash: String, mean: [Double], standardDeviation: [Double], subset: Int?, parent: String?,
    algorithmVersion: Int = RunIdentity.algorithmVersion
  ) {
    var form = CanonicalForm()
    form.add("algorithm", algorithmVersion)
    form.add("data", dataHash)
    form.add("data.mean", mean)
    form.add("data.standardDeviation", standardDeviation)
    form.add("data.subset", subset, unless: nil)
    form.add("parent", parent, unless: nil)
    form.add(spec)
    canonicalForm = form.text
    id = SHA256.hash(data: Data(form.text.utf8)).prefix(6).map { byte in
      let digits = String(byte, radix: 16)
      return byte < 16 ? "0" + digits : digits
    }.joined()
  }

  /// A stored canonical form without what follows from the algorithm version: equal for a run and its stale
  /// predecessors.
  package static func settings(of canonicalForm: String) -> String {
    canonicalForm.split(separator: "\n").filter { line in
      !line.hasPrefix("  \"algorithm\":") && !line.hasPrefix("  \"parent\":")
    }.joined(separator: "\n")
  }
}

/// A value that has one spelling in the canonical form.
private protocol CanonicalValue: Equatable {
  var canonicalText: String { get }
}
extension Int: CanonicalValue { fileprivate var canonicalText: String { description } }
extension UInt64: CanonicalValue { fileprivate var canonicalText: String { description } }
extension Bool: CanonicalValue { fileprivate var canonicalText: String { description } }
// The shortest decimal that reads back as the same number: Swift documents it, and it depends on no locale.
extension Double: CanonicalValue { fileprivate var canonicalText: String { description } }
extension String: CanonicalValue { fileprivate var canonicalText: String { JSONValue.quoted(self) } }
extension Array: CanonicalValue where Element: CanonicalValue {
  fileprivate var canonicalText: String { "[" + map(\.canonicalText).joined(separator: ", ") + "]" }
}
extension Optional: CanonicalValue where Wrapped: CanonicalValue {
  fileprivate var canonicalText: String { self?.canonicalText ?? "null" }
}

private struct CanonicalForm {
  private var lines: [String: String] = [:]

  var text: String {
    "{\n"
      + lines.sorted { $0.key < $1.key }.map { "  \(JSONValue.quoted($0.key)): \($0.value)" }.joined(separator: ",\n")
      + "\n}\n"
  }

  mutating func add(_ key: String, _ value: some CanonicalValue) {
    precondition(lines.updateValue(value.canonicalText, forKey: key) == nil, "a key is written once")
  }

  mutating func add<Value: CanonicalValue>(_ key: String, _ value: Value, unless defaultValue: Value) {
    if value != defaultValue { add(key, value) }
  }

  mutating func add(_ spec: TrainingSpec) {
    add("model.architecture", spec.model.architecture.rawValue)
    add("model.shortcut", spec.model.shortcut.rawValue)
    add("model.batchNormBeforeLinear", spec.model.batchNormBeforeLinear)
    add("model.initialization", spec.model.initialization.rawValue)
    add("model.classes", spec.model.classes)
    add("model.inputHeight", spec.model.inputHeight)
    add("model.inputWidth", spec.model.inputWidth)
    if let quantization = spec.quantization {
      add("quantization.recipe", quantization.recipe.rawValue)
      add("quantization.weightBits", quantization.weightBits)
      add("quantization.activationBits", quantization.activationBits)
      add("quantization.rangeGradient", quantization.rangeGradient.rawValue)
      // Full precision has no quantizers, so their rule changes nothing there.
      add("optimizer.quantizers", spec.quantizers)
    }
    if let freezing = spec.freezing {
      switch freezing.schedule {
      case .fixed(let threshold): add("freezing.threshold", threshold)
      case .linear: add("freezing.threshold", "linear")
      case .sine: add("freezing.threshold", "sine")
      }
      add("freezing.startStep", freezing.startStep)
      add("freezing.totalSteps", freezing.totalSteps)
      add("freezing.distanceEMA", freezing.distanceEMA)
    }
    add("optimizer.weights", spec.weights)
    add("optimizer.batchNorm", spec.batchNorm)
    switch spec.learningRateSchedule {
    case .constant: add("learningRate.schedule", "constant")
    case .step(let milestones, let factor):
      add("learningRate.schedule", "step")
      add("learningRate.milestones", milestones)
      add("learningRate.factor", factor)
    case .cosine(let totalSteps):
      add("learningRate.schedule", "cosine")
      add("learningRate.totalSteps", totalSteps)
    }
    add("batchSize", spec.batchSize)
    add("dropLastPartialBatch", spec.dropLastPartialBatch)
    add("totalSteps", spec.totalSteps)
    add("augment", spec.augment, unless: true)
    add("seed", spec.seed)
  }

  private mutating func add(_ key: String, _ group: ParameterGroupSpec) {
    add("\(key).learningRate", group.learningRate)
    switch group.optimizer {
    case .sgd(let momentum, let weightDecay):
      add("\(key).rule", "sgd")
      add("\(key).momentum", momentum)
      add("\(key).weightDecay", weightDecay)
    case .adam(let beta1, let beta2, let epsilon):
      add("\(key).rule", "adam")
      add("\(key).beta1", beta1)
      add("\(key).beta2", beta2)
      add("\(key).epsilon", epsilon)
    }
  }
}
