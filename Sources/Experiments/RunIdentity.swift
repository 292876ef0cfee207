import Crypto
import Foundation
import Models
import Quantization
public import Training

/// The canonical form of everything that changes a run's outcome, and the id derived from it.
///
/// Threads, paths, labels and profile names are not part of it. Fields that exist since the first version are always
/// written; a field added later is written with `add(_:_:unless:)`, so that its default leaves old ids as they are.
public struct RunIdentity: Hashable, Sendable {
  /// Raised when training changes so that old results would come out differently; runs of another version are stale.
  public static let algorithmVersion = 1

  /// "key=value" lines, sorted by key.
  public let canonicalForm: String
  /// The first 12 hexadecimal digits of the canonical form's SHA-256.
  public let id: String
  /// The same digest without the algorithm version: equal for a run and its stale predecessors.
  public let settingsDigest: String

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
    form.add("data", dataHash)
    form.add("data.mean", mean)
    form.add("data.standardDeviation", standardDeviation)
    form.add("data.subset", subset.map(String.init) ?? "all", unless: "all")
    form.add("parent", parent ?? "none", unless: "none")
    form.add(spec)
    settingsDigest = form.digest
    form.add("algorithm", String(algorithmVersion))
    canonicalForm = form.text
    id = form.digest
  }
}

private struct CanonicalForm {
  private var lines: [String: String] = [:]

  var text: String { lines.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)\n" }.joined() }

  var digest: String {
    SHA256.hash(data: Data(text.utf8)).prefix(6).map { byte in
      let digits = String(byte, radix: 16)
      return byte < 16 ? "0" + digits : digits
    }.joined()
  }

  mutating func add(_ key: String, _ value: String) {
    precondition(lines.updateValue(value, forKey: key) == nil, "a key is written once")
  }

  mutating func add(_ key: String, _ value: String, unless defaultValue: String) {
    if value != defaultValue { add(key, value) }
  }

  mutating func add(_ key: String, _ values: [Double]) {
    add(key, values.map(\.description).joined(separator: ","))
  }

  mutating func add(_ spec: TrainingSpec) {
    add("model.architecture", spec.model.architecture.rawValue)
    add("model.shortcut", spec.model.shortcut.rawValue)
    add("model.batchNormBeforeLinear", String(spec.model.batchNormBeforeLinear))
    add("model.initialization", spec.model.initialization.rawValue)
    add("model.classes", String(spec.model.classes))
    add("model.inputHeight", String(spec.model.inputHeight))
    add("model.inputWidth", String(spec.model.inputWidth))
    if let quantization = spec.quantization {
      add("quantization.recipe", quantization.recipe.rawValue)
      add("quantization.weightBits", String(quantization.weightBits))
      add("quantization.activationBits", String(quantization.activationBits))
      add("quantization.rangeGradient", quantization.rangeGradient.rawValue)
      // Full precision has no quantizers, so their rule changes nothing there.
      add("optimizer.quantizers", spec.quantizers)
    }
    if let freezing = spec.freezing {
      let schedule =
        switch freezing.schedule {
        case .fixed(let threshold): "fixed(\(threshold))"
        case .linear: "linear"
        case .sine: "sine"
        }
      add("freezing.schedule", schedule)
      add("freezing.startStep", String(freezing.startStep))
      add("freezing.totalSteps", String(freezing.totalSteps))
      add("freezing.distanceEMA", freezing.distanceEMA.description)
    }
    add("optimizer.weights", spec.weights)
    add("optimizer.batchNorm", spec.batchNorm)
    let schedule =
      switch spec.learningRateSchedule {
      case .constant: "constant"
      case .step(let milestones, let factor):
        "step(\(milestones.map(String.init).joined(separator: ",")) factor \(factor))"
      case .cosine(let totalSteps): "cosine(\(totalSteps))"
      }
    add("learningRateSchedule", schedule)
    add("batchSize", String(spec.batchSize))
    add("dropLastPartialBatch", String(spec.dropLastPartialBatch))
    add("totalSteps", String(spec.totalSteps))
    add("augment", String(spec.augment), unless: "true")
    add("seed", String(spec.seed))
  }

  private mutating func add(_ key: String, _ group: ParameterGroupSpec) {
    let rule =
      switch group.optimizer {
      case .sgd(let momentum, let weightDecay): "sgd(momentum \(momentum), weight decay \(weightDecay))"
      case .adam(let beta1, let beta2, let epsilon): "adam(\(beta1), \(beta2), \(epsilon))"
      }
    add(key, "\(rule) rate \(group.learningRate)")
  }
}
