public import Datasets
public import Diagnostics
import Networks
public import Training

/// What a stored run was trained with, read back from its canonical form.
public struct StoredSpecification: Sendable {
  /// Its model makes a graph. Full precision, which stores no rule for quantizers, has the weights' there.
  public var spec: TrainingSpec
  /// Of red, green and blue, in units of byte / 255; standard deviations are above 0.
  public var normalization: Normalization
  /// Images of the fixed training subset; nil: all.
  public var subset: Int?

  /// - Parameter file: where the canonical form comes from, for messages.
  public init(canonicalForm: String, file: String) throws(Diagnostic) {
    func unusable(_ key: String) -> Diagnostic {
      Diagnostic(
        file, "its configuration has no usable \"\(key)\"; it was written by another version")
    }
    guard let form = try? JSONParser.parse(Array(canonicalForm.utf8)), case .object(let members) = form else {
      throw Diagnostic(
        file, "its configuration is not readable; it was written by another program")
    }
    var inputs = RunInputs.blank
    for setting in RunInputs.settings {
      do {
        try setting.read(&inputs, form[setting.key])
      } catch {
        throw unusable(setting.key)
      }
    }
    // What is there has to be known, and what a specification needs has to be there.
    let known = Set(RunInputs.settings.map(\.key)).union(["algorithm"])
    let found = Set(members.map(\.key))
    let needed = RunInputs.settings.filter { $0.write(inputs) != nil }.map(\.key)
    if let odd = found.subtracting(known).union(Set(needed).subtracting(found)).min() { throw unusable(odd) }
    guard inputs.mean.count == 3, inputs.standardDeviation.count == 3, inputs.standardDeviation.allSatisfy({ $0 > 0 })
    else { throw unusable("data.mean") }
    spec = inputs.spec
    // Without levels nothing comes near one.
    guard spec.freezing == nil || spec.quantization != nil else { throw unusable("quantization.recipe") }
    guard (try? spec.model.graph()) != nil else { throw unusable("model.inputHeight") }
    // Full precision stores none, having none to train.
    if spec.quantization == nil { spec.quantizers = spec.weights }
    normalization = Normalization(mean: inputs.mean, standardDeviation: inputs.standardDeviation)
    subset = inputs.subset
  }
}
