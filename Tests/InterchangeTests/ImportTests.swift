import Diagnostics
import Foundation
import Interchange
import Networks
import Recipes
import Records
import TestSupport
import Testing

@Suite("Import of weights")
final class ImportTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Tensors that a network needs, every element of the n-th being n.
  static func tensors(of model: ModelSpec) throws -> [NamedTensor] {
    try model.graph().expectedTensors.enumerated().map { index, tensor in
      NamedTensor(
        name: tensor.name, shape: tensor.shape,
        elements: .float([Float](repeating: Float(index), count: tensor.shape.reduce(1, *))))
    }
  }

  private static func model(_ recipe: Recipe) -> ModelSpec {
    recipe.model(.resnet8, classes: 10, height: 32, width: 32)
  }

  private func file(_ tensors: [NamedTensor], metadata: [String: String] = [:]) throws -> SafetensorsFile {
    let path = folder.file("w.safetensors")
    try Safetensors.file(tensors, metadata: metadata).write(to: URL(fileURLWithPath: path))
    return try SafetensorsFile(path)
  }

  private func message(_ tensors: [NamedTensor], recipe: Recipe = .lts) throws -> String {
    let file = try file(tensors)
    let error = #expect(throws: Diagnostic.self) { try ImportedWeights(file, for: Self.model(recipe)) }
    return (error?.description ?? "").replacingOccurrences(of: file.path, with: "FILE")
  }

  @Test("every tensor is taken by its name, whatever the order", arguments: Recipe.all)
  func whole(recipe: Recipe) throws {
    let tensors = try Self.tensors(of: Self.model(recipe))
    let counters = NamedTensor(name: "bn1.num_batches_tracked", shape: [], elements: .uint8([7]))
    let weights = try ImportedWeights(file(tensors.reversed() + [counters]), for: Self.model(recipe))
    #expect(weights.tensors == tensors)
    #expect(weights.ignored == ["bn1.num_batches_tracked"])
    #expect(weights.absent.isEmpty)
    #expect(weights.published == nil)
  }

  @Test("the batch norm that recipe spqat adds may be absent, and begins untrained")
  func extraBatchNorm() throws {
    let tensors = try Self.tensors(of: Self.model(.spqat))
    let weights = try ImportedWeights(file(tensors.filter { !$0.name.hasPrefix("bn2.") }), for: Self.model(.spqat))
    #expect(weights.absent == ["bn2.weight", "bn2.bias", "bn2.running_mean", "bn2.running_var"])
    #expect(weights.tensors.map(\.name) == tensors.map(\.name))
    let added = weights.tensors.filter { $0.name.hasPrefix("bn2.") }.map(\.elements)
    #expect(added == [1, 0, 0, 1].map { .float([Float](repeating: $0, count: 64)) })
  }

  @Test("missing, extra and misshapen tensors are named in one line")
  func misfits() throws {
    var tensors = try Self.tensors(of: Self.model(.lts))
    tensors.removeAll { $0.name == "bn1.bias" || $0.name.hasPrefix("layer2.0.bn1.") }
    tensors[0] = NamedTensor(name: "conv1.weight", shape: [1], elements: .float([1]))
    tensors.append(NamedTensor(name: "conv1.bias", shape: [1], elements: .float([1])))
    #expect(
      try message(tensors)
        == "FILE: does not fit resnet8: 5 missing (bn1.bias, layer2.0.bn1.weight, layer2.0.bn1.bias, "
        + "layer2.0.bn1.running_mean, layer2.0.bn1.running_var); 1 the network does not have (conv1.bias); "
        + "1 misshapen (conv1.weight is [1], expected [16, 3, 3, 3])")
  }

  @Test("numbers that are not finite and negative variances are refused")
  func numbers() throws {
    let tensors = try Self.tensors(of: Self.model(.lts))
    func changing(_ name: String, to value: Float) -> [NamedTensor] {
      tensors.map { tensor in
        guard tensor.name == name, case .float(var values) = tensor.elements else { return tensor }
        values[values.count - 1] = value
        return NamedTensor(name: name, shape: tensor.shape, elements: .float(values))
      }
    }
    #expect(
      try message(changing("fc.bias", to: .nan)) == "FILE: fc.bias: holds a number that is not finite as float32")
    #expect(
      try message(changing("bn1.running_var", to: -1e-9))
        == "FILE: bn1.running_var: holds a negative variance, or a number that is not finite as float32")
  }

  @Test("timm's MobileNets are refused with the reason")
  func timm() throws {
    let names = ["conv_stem.weight", "bn1.weight", "blocks.0.0.conv_dw.weight", "classifier.weight"]
    let text = try message(names.map { NamedTensor(name: $0, shape: [1], elements: .float([1])) })
    #expect(text.hasPrefix("FILE: has the tensor names of timm's MobileNets: its MobileNetV1 has ReLU6"))
    #expect(text.hasSuffix("take pytorchcv's mobilenet_w1, or torchvision's mobilenet_v2"))
  }

  @Test("an imported network is written with what it is, and read back to the same tensors")
  func written() throws {
    let tensors = try Self.tensors(of: Self.model(.spqat)).filter { !$0.name.hasPrefix("bn2.") }
    let source = try file(tensors, metadata: ["source": "a.pth", "source_sha256": "f37072fd00"])
    let network = try ImportedNetwork(source, model: .resnet8, recipe: .spqat)
    #expect(network.model.classes == 10)
    #expect(network.account.contains("\(tensors.count) tensors"))
    #expect(network.account.contains("begin untrained: bn2.weight, bn2.bias, bn2.running_mean, bn2.running_var"))
    try network.write(to: folder.file("n.safetensors"))
    let written = try SafetensorsFile(folder.file("n.safetensors"))
    #expect(written.header.metadata["source_sha256"] == "f37072fd00")
    #expect(written.header.metadata["imported_sha256"] == source.sha256)
    let again = try ImportedNetwork(written, model: nil, recipe: nil)
    #expect(again.model == network.model)
    #expect(again.recipe == .spqat)
    #expect(again.weights.tensors == network.weights.tensors)
    #expect(again.weights.absent.isEmpty)
  }

  @Test("a file that does not say its network needs it said")
  func unnamed() throws {
    let source = try file(try Self.tensors(of: Self.model(.lts)))
    #expect(
      throws: Diagnostic(source.path, "does not say which network it holds", remedy: "give it with --model")
    ) { try ImportedNetwork(source, model: nil, recipe: nil) }
  }
}
