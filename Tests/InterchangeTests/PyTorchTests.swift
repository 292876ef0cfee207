import Foundation
import Interchange
import Kernels
import Networks
import Recipes
import Records
import Tensor
import TestSupport
import Testing

@Suite("Beside PyTorch")
struct PyTorchTests {
  private static let missing: Comment = "no Python with PyTorch and torchvision: `make test` makes one where it can"
  static let hasTorch = PythonInterpreter.has(
    "torch, safetensors, PIL, importlib.util; assert importlib.util.find_spec('torchvision')")

  private func floats(_ path: String) throws -> [Float] {
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    return data.withUnsafeBytes { bytes in
      (0..<data.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
  }

  /// For each image the largest difference over the largest magnitude.
  private func differences(_ logits: [Float], _ expected: [Float], classes: Int) -> [Float] {
    stride(from: 0, to: expected.count, by: classes).map { start in
      let range = start..<start + classes
      return range.map { abs(logits[$0] - expected[$0]) }.max()! / range.map { abs(expected[$0]) }.max()!
    }
  }

  @Test(
    "networks with torchvision's random weights give its logits", .enabled(if: hasTorch, missing), arguments: Recipe.all
  )
  func torchvision(recipe: Recipe) throws {
    let architectures = [Architecture.resnet18, .resnet50, .mobilenetv1, .mobilenetv2]
    let folder = try TemporaryFolder()
    let script = TrainedRun.repository.appendingPathComponent("Tests/InterchangeTests/make_torchvision.py").path
    let (status, output) = try PythonInterpreter.run(
      [script, folder.path, recipe == .lts ? "relu" : "relu6"] + architectures.map(\.name))
    try #require(status == 0, "\(output)")
    for architecture in architectures {
      let name = architecture.name
      let source = try SafetensorsFile(folder.file("\(name).safetensors"))
      let imported = try ImportedNetwork(source, model: architecture, recipe: recipe)
      #expect(imported.weights.absent.isEmpty == (recipe == .lts), "\(name)")
      #expect(!imported.weights.ignored.isEmpty, "\(name)")
      var model = imported.model
      #expect(model.classes == 1000)
      (model.inputHeight, model.inputWidth) = (64, 64)
      // The batch norm that recipe spqat adds would normalise by the batch in training.
      for purpose in recipe == .lts ? ["evaluation", "training"] : ["evaluation"] {
        let network = try Network(spec: model, quantization: nil, batch: 4, backend: CPUBackend(threads: 2))
        network.load(imported.weights.tensors)
        let images = try floats(folder.file("\(name).images"))
        network.withInput { memory in for (index, value) in images.enumerated() { memory.images[index] = value } }
        network.forward(images: 4, purpose: purpose == "training" ? .training : .evaluation)
        let differences = differences(
          network.convolutions.last!.output.values!.array, try floats(folder.file("\(name).\(purpose)")), classes: 1000)
        #expect(differences.allSatisfy { $0 <= 1e-4 }, "\(name) \(purpose): \(differences)")
      }
    }
  }

  @Test(
    "docs/pytorch_network.py reproduces a run's logits", .enabled(if: hasTorch, missing), arguments: Recipe.all,
    [nil, 2, 4])
  func documented(recipe: Recipe, bits: Int?) throws {
    let run = try TrainedRun(recipe, bits: bits, architecture: .resnet20)
    let folder = try TemporaryFolder()
    let paths = try RunExport.safetensors.write(run.record, to: folder.file("run"))
    let script = TrainedRun.repository.appendingPathComponent("docs/pytorch_network.py").path
    let (status, output) = try PythonInterpreter.run([
      script, paths[0], TrainedRun.testImages, folder.file("logits.npy"),
    ])
    try #require(status == 0, "\(output)")
    let topOne = try #require(run.record.outcome.finalTopOne)
    #expect(output == "top-1 \(String(format: "%.2f", 100 * topOne))% of 100 images\n")
    // The array's elements end the file.
    let logits = try Data(contentsOf: URL(fileURLWithPath: folder.file("logits.npy"))).suffix(4 * run.logits.count)
    let values = Array(logits).withUnsafeBytes { bytes in
      run.logits.indices.map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
    let differences = differences(values, run.logits, classes: run.record.classNames.count)
    let close = differences.count { $0 <= 1e-4 }
    #expect(close >= (bits == nil ? 100 : 90), "\(close) of 100 within 1e-4, worst \(differences.max()!)")
  }
}

extension Network {
  /// Takes over tensors that all are there.
  fileprivate func load(_ tensors: [NamedTensor]) {
    let byName = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0) })
    for part in state {
      guard case .floats(let buffer) = part.values, case .float(let values)? = byName[part.fullName]?.elements else {
        continue
      }
      part.restore(values, into: buffer)
    }
    didRestoreState()
  }
}
