import Crypto
import Foundation
public import Training

/// The canonical form of everything that changes a run's outcome, and the id derived from it.
///
/// Threads, paths, labels and profile names are not part of it.
public struct RunIdentity: Hashable, Sendable {
  /// Raised when training changes so that old results would come out differently; runs of another version are stale.
  public static let algorithmVersion = 4

  /// A JSON object without nesting, a key a line, sorted.
  public let canonicalForm: String
  /// The first 12 hexadecimal digits of the canonical form's SHA-256.
  public let id: String

  /// - Parameters:
  ///   - dataHash: SHA-256 of the whole data set's pixels and labels.
  ///   - mean: of the normalisation, a value a channel.
  ///   - standardDeviation: of the normalisation, a value a channel.
  ///   - subset: images of the fixed training subset, nil for all.
  ///   - parent: id of the full-precision run that the weights come from, nil for others.
  ///   - weights: SHA-256 of the file that the weights come from, nil for others.
  public init(
    spec: TrainingSpec, dataHash: String, mean: [Double], standardDeviation: [Double], subset: Int?, parent: String?,
    weights: String? = nil, algorithmVersion: Int = RunIdentity.algorithmVersion
  ) {
    let inputs = RunInputs(
      spec: spec, dataHash: dataHash, mean: mean, standardDeviation: standardDeviation, subset: subset, parent: parent,
      weights: weights)
    var values = ["algorithm": JSONValue.integer(algorithmVersion)]
    for setting in RunInputs.settings {
      guard let value = setting.write(inputs) else { continue }
      precondition(values.updateValue(value, forKey: setting.key) == nil, "a key is written once")
    }
    let lines = values.sorted { $0.key < $1.key }.map { "  \(JSONValue.quoted($0.key)): \($0.value.canonicalText)" }
    canonicalForm = "{\n" + lines.joined(separator: ",\n") + "\n}\n"
    id = SHA256.hash(data: Data(canonicalForm.utf8)).prefix(6).map { byte in
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

/// What a run's outcome depends on beside the algorithm.
struct RunInputs: Sendable {
  var spec: TrainingSpec
  var dataHash: String
  var mean: [Double]
  var standardDeviation: [Double]
  var subset: Int?
  var parent: String?
  var weights: String?

  static let settings: [Setting<RunInputs>] = {
    let numbers = SettingCodec<[Double]>.list(of: .any, "a list of numbers")
    var settings: [Setting<RunInputs>] = [
      Setting("data", \.dataHash, .string),
      Setting("data.mean", \.mean, numbers),
      Setting("data.standardDeviation", \.standardDeviation, numbers),
      Setting("data.subset", \.subset, SettingCodec<Int>.integer(in: 1...Int.max).optional, unless: .some(nil)),
      Setting("parent", \.parent, SettingCodec<String>.string.optional, unless: .some(nil)),
      Setting("pretraining.weights", \.weights, SettingCodec<String>.string.optional, unless: .some(nil)),
    ]
    settings += TrainingSpec.settings.map { $0.within("", \.spec) }
    return settings
  }()

  /// To be filled in.
  static let blank = RunInputs(spec: .blank, dataHash: "", mean: [], standardDeviation: [])
}

extension JSONValue {
  /// The one spelling in the canonical form. Floating-point numbers are the shortest decimal that reads back as the same
  /// number, with ".0" where they are whole: Swift documents it, and it depends on no locale.
  fileprivate var canonicalText: String {
    switch self {
    case .number(let number): number.description
    case .array(let elements): "[" + elements.map(\.canonicalText).joined(separator: ", ") + "]"
    default: text
    }
  }
}
