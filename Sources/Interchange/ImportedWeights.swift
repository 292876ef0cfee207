import Diagnostics
public import Networks
public import Records

/// The weights of a full-precision network from a safetensors file, with every tensor of the file accounted for.
public struct ImportedWeights: Sendable {
  /// Of the whole file, 64 hexadecimal digits.
  public let sha256: String
  /// All that the network needs, in its order.
  public let tensors: [NamedTensor]
  /// Tensors of the file that were left out: batch norms' counters.
  public let ignored: [String]
  /// Tensors that the file lacks and that begin untrained: those of a batch norm that the recipe adds.
  public let absent: [String]
  /// Which published weights these are; nil where nothing in the file says so.
  public let published: PublishedWeights?

  /// - Parameter model: the network that takes the weights, by its own layer names.
  /// - Throws: one line that names what is missing, extra, misshapen, not a number.
  public init(_ file: SafetensorsFile, for model: ModelSpec) throws {
    let account = try WeightsAccount(file, for: model)
    try account.check()
    tensors = try account.pairs.map { expected, entry in
      let values =
        try entry.map(file.floats) ?? [Float](repeating: expected.start, count: expected.shape.reduce(1, *))
      guard values.allSatisfy({ $0.isFinite && !(expected.isVariance && $0 < 0) }) else {
        throw Diagnostic(
          file.path, at: expected.name,
          "holds \(expected.isVariance ? "a negative variance, or " : "")a number that is not finite as float32")
      }
      return NamedTensor(name: expected.name, shape: expected.shape, elements: .float(values))
    }
    ignored = account.ignored
    absent = account.pairs.filter { $0.entry == nil }.map(\.expected.name)
    published = .recognized(file, model.architecture)
    sha256 = file.sha256
  }
}
