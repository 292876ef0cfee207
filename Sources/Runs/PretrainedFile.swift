import Diagnostics
import Interchange
public import Networks
public import Records

/// A file of weights that runs start from: which file it was when they were planned, and that it fits their network.
public struct PretrainedFile: Hashable, Sendable {
  /// As the experiment gives it: absolute or relative to the working directory.
  public let path: String
  /// Of the whole file, 64 hexadecimal digits; part of the runs' ids.
  public let sha256: String

  /// Checks the names and shapes of all tensors, and reads none.
  /// - Throws: where there is no such file, or it does not fit the network.
  public init(_ path: String, for model: ModelSpec) throws {
    let file = try SafetensorsFile(path)
    try WeightsAccount(file, for: model).check()
    self.path = path
    sha256 = file.sha256
  }

  /// The weights of the network.
  /// - Throws: where the file is not the one it was, or holds numbers that no network can start from.
  public func tensors(for model: ModelSpec) throws -> [NamedTensor] {
    let file = try SafetensorsFile(path)
    guard file.sha256 == sha256 else {
      throw Diagnostic(path, "changed since the program started", remedy: "run it again")
    }
    return try ImportedWeights(file, for: model).tensors
  }
}
