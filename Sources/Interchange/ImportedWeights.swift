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
    let graph = try model.graph()
    var plain = model
    plain.batchNormBeforeLinear = false
    let published = Set(try plain.graph().expectedTensors.map(\.name))
    var found = Dictionary(uniqueKeysWithValues: file.header.entries.map { ($0.name, $0) })
    try Self.refuseOtherNetworks(file)

    var tensors: [NamedTensor] = []
    var (missing, misshapen, absent): ([String], [String], [String]) = ([], [], [])
    for expected in graph.expectedTensors {
      if let entry = found.removeValue(forKey: expected.name) {
        guard entry.shape == expected.shape else {
          misshapen.append("\(expected.name) is \(entry.shape), expected \(expected.shape)")
          continue
        }
        let values = try file.floats(entry)
        guard values.allSatisfy({ $0.isFinite && !(expected.isVariance && $0 < 0) }) else {
          throw Diagnostic(
            file.path, at: expected.name,
            "holds \(expected.isVariance ? "a negative variance, or " : "")a number that is not finite as float32")
        }
        tensors.append(NamedTensor(name: expected.name, shape: expected.shape, elements: .float(values)))
      } else if published.contains(expected.name) {
        missing.append(expected.name)
      } else {
        absent.append(expected.name)
        let start = [Float](repeating: expected.start, count: expected.shape.reduce(1, *))
        tensors.append(NamedTensor(name: expected.name, shape: expected.shape, elements: .float(start)))
      }
    }
    ignored = found.keys.filter { $0.hasSuffix(".num_batches_tracked") }.sorted()
    let extra = Set(found.keys).subtracting(ignored).sorted()
    let problems = [
      Self.list(missing, "missing"), Self.list(extra, "the network does not have"), Self.list(misshapen, "misshapen"),
    ].compactMap(\.self)
    guard problems.isEmpty else {
      throw Diagnostic(file.path, "does not fit \(model.architecture): \(problems.joined(separator: "; "))")
    }
    self.tensors = tensors
    self.absent = absent
    self.published = .recognized(file, model.architecture)
    sha256 = file.sha256
  }

  /// "2 missing (a, b)": the first few by name.
  private static func list(_ names: [String], _ what: String) -> String? {
    guard !names.isEmpty else { return nil }
    let shown = names.prefix(5).joined(separator: ", ") + (names.count > 5 ? ", …" : "")
    return "\(names.count) \(what) (\(shown))"
  }

  /// timm's MobileNetV1 has the same shapes, and computes something else.
  private static func refuseOtherNetworks(_ file: SafetensorsFile) throws(Diagnostic) {
    let names = file.header.entries.map(\.name)
    guard names.contains("conv_stem.weight"), names.contains(where: { $0.hasPrefix("blocks.") }) else { return }
    throw Diagnostic(
      file.path,
      "has the tensor names of timm's MobileNets: its MobileNetV1 has ReLU6 and pixels of mean and deviation 0.5, where "
        + "mobilenetv1 here has ReLU and ImageNet's own mean and deviation",
      remedy: "take pytorchcv's mobilenet_w1, or torchvision's mobilenet_v2")
  }
}
