import Diagnostics
public import Networks

/// What a safetensors file and a network have in common, by names and shapes alone.
public struct WeightsAccount {
  /// What the network needs, with the file's tensor; nil: absent, as it may be.
  let pairs: [(expected: ExpectedTensor, entry: SafetensorsHeader.Entry?)]
  /// Counters of batch norms, which nothing needs.
  let ignored: [String]
  private let path: String
  private let model: ModelSpec
  private let missing: [String]
  private let extra: [String]
  private let misshapen: [String]

  /// - Throws: for networks of other programs that are known not to fit, and where there is no such network.
  public init(_ file: SafetensorsFile, for model: ModelSpec) throws {
    path = file.path
    self.model = model
    try Self.refuseOtherNetworks(file)
    // The batch norm that a recipe adds before the classifier is in no published file.
    var plain = model
    plain.batchNormBeforeLinear = false
    let published = Set(try plain.graph().expectedTensors.map(\.name))
    var found = Dictionary(uniqueKeysWithValues: file.header.entries.map { ($0.name, $0) })
    var pairs: [(ExpectedTensor, SafetensorsHeader.Entry?)] = []
    var (missing, misshapen): ([String], [String]) = ([], [])
    for expected in try model.graph().expectedTensors {
      let entry = found.removeValue(forKey: expected.name)
      if let entry, entry.shape != expected.shape {
        misshapen.append("\(expected.name) is \(entry.shape), expected \(expected.shape)")
      } else if entry == nil, published.contains(expected.name) {
        missing.append(expected.name)
      }
      pairs.append((expected, entry))
    }
    self.pairs = pairs
    ignored = found.keys.filter { $0.hasSuffix(".num_batches_tracked") }.sorted()
    extra = Set(found.keys).subtracting(ignored).sorted()
    (self.missing, self.misshapen) = (missing, misshapen)
  }

  /// - Throws: one line that names what is missing, extra or misshapen.
  public func check() throws {
    let problems = [
      Self.list(missing, "missing"), Self.list(extra, "the network does not have"), Self.list(misshapen, "misshapen"),
    ].compactMap(\.self)
    guard problems.isEmpty else {
      throw Diagnostic(path, "does not fit \(model.architecture): \(problems.joined(separator: "; "))")
    }
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
