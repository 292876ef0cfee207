import Diagnostics
import Foundation
import Interchange
import Records
import TestSupport
import Testing

@Suite("Export of a run")
struct ExportTests {
  static let tensors = [
    NamedTensor(name: "conv1.level", shape: [2, 1, 1, 2], elements: .int8([-2, -1, 0, 1])),
    NamedTensor(name: "conv1.frozen", shape: [2, 1, 1, 2], elements: .uint8([0, 1, 1, 0])),
    NamedTensor(name: "conv1.weight", shape: [2, 1, 1, 2], elements: .float([-1.5, 0.25, 1e-30, 3])),
    NamedTensor(name: "conv1.sW", shape: [], elements: .float([0.125])),
    NamedTensor(name: "fc.weight", shape: [3], elements: .float([1, 2, 3])),
  ]

  /// Three layers in four epochs.
  private var run: RunRecord {
    var run = RunRecord(
      id: "abc", kind: .freeze, recipe: RecipeName(rawValue: "spqat"), bits: BitWidths(weights: 2, activations: 2),
      label: "W2A2 freeze",
      axes: [],
      configuration: "{}", provenance: Provenance())
    run.outcome.status = .finished
    run.layers = ["conv1", "layer1.0.conv1", "fc"].map { name in
      LayerDescription(
        name: name, kind: .convolution, weights: 4, freezableWeights: 4, weightBits: 2, activationBits: 2,
        forwardMACs: 4,
        inputGradientMACs: 4, weightGradientMACs: 4, sparseThreshold: 0.5)
    }
    run.epochs = (1...4).map { EpochRecord(epoch: $0, step: $0) }
    run.layerEpochs = run.epochs.flatMap { epoch in
      run.layers.map { LayerEpochRecord(epoch: epoch.epoch, layer: $0.name) }
    }
    run.tensors = Self.tensors
    return run
  }

  @Test("safetensors: header and bytes as the format says")
  func layout() throws {
    let file = try Safetensors.file(Self.tensors, metadata: ["label": "é \"x\""])
    let length = file.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
    #expect(length % 8 == 0)
    let object = try JSONSerialization.jsonObject(with: file.dropFirst(8).prefix(length))
    let header = try #require(object as? [String: [String: Any]])
    #expect(header["__metadata__"]?["label"] as? String == "é \"x\"")
    let weight = try #require(header["conv1.weight"])
    #expect(weight["dtype"] as? String == "F32")
    #expect(weight["shape"] as? [Int] == [2, 1, 1, 2])
    #expect(weight["data_offsets"] as? [Int] == [8, 24])
    #expect(header["conv1.sW"]?["shape"] as? [Int] == [])
    let data = Array(file.dropFirst(8 + length))
    #expect(data.count == 8 + 16 + 4 + 12)
    // -2, -1, 0, 1; the mask; -1.5 = 0xBFC00000.
    #expect(Array(data[0..<8]) == [254, 255, 0, 1, 0, 1, 1, 0])
    #expect(Array(data[8..<12]) == [0x00, 0x00, 0xC0, 0xBF])
  }

  @Test(
    "Python's safetensors opens what is written",
    .enabled(
      if: PythonInterpreter.has("safetensors.numpy"),
      "no Python with safetensors: `make test` makes one, or set SPQAT_TEST_PYTHON to an interpreter"))
  func python() throws {
    let folder = try TemporaryFolder()
    let paths = try RunExport.safetensors.write(run, to: folder.file("run.safetensors"))
    #expect(paths == [folder.file("run.safetensors")])
    let script = """
      import sys, numpy as np
      from safetensors import safe_open
      from safetensors.numpy import load_file
      tensors = load_file(sys.argv[1])
      assert sorted(tensors) == ["conv1.frozen", "conv1.level", "conv1.sW", "conv1.weight", "fc.weight"], sorted(tensors)
      assert tensors["conv1.level"].dtype == np.int8 and tensors["conv1.level"].tolist() == [[[[-2, -1]]], [[[0, 1]]]]
      assert tensors["conv1.frozen"].dtype == np.uint8 and tensors["conv1.frozen"].ravel().tolist() == [0, 1, 1, 0]
      assert (tensors["conv1.weight"].ravel() == np.array([-1.5, 0.25, 1e-30, 3], np.float32)).all()
      assert tensors["conv1.sW"].shape == () and tensors["conv1.sW"] == 0.125
      with safe_open(sys.argv[1], "np") as file:
          assert file.metadata()["recipe"] == "spqat" and file.metadata()["id"]
      print("ok")
      """
    let (status, output) = try PythonInterpreter.run(["-W", "error", "-c", script, paths[0]])
    #expect(status == 0 && output == "ok\n", "\(output)")
  }

  @Test("CSV has the series in three files, JSON the record in one")
  func text() throws {
    let folder = try TemporaryFolder()
    #expect(try RunExport.csv.write(run, to: folder.file("a.csv")).count == 3)
    #expect(try RunExport.json.write(run, to: folder.file("a")) == [folder.file("a.json")])
    #expect(try folder.contents == ["a-epochs.csv", "a-layer-epochs.csv", "a-layers.csv", "a.json"])
    let lines = try String(contentsOfFile: folder.file("a-layer-epochs.csv"), encoding: .utf8).split(
      whereSeparator: \.isNewline)
    #expect(lines.count == 1 + 4 * 3)
    let json = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: folder.file("a.json"))))
    #expect(((json as? [String: Any])?["epochs"] as? [Any])?.count == 4)
  }

  @Test("a run without final weights is refused in one line")
  func withoutTensors() throws {
    let folder = try TemporaryFolder()
    var diverged = run
    diverged.outcome.status = .diverged
    diverged.tensors = []
    #expect(throws: Diagnostic("run \(diverged.id)", "has no final weights, since it diverged")) {
      try RunExport.safetensors.write(diverged, to: folder.file("x"))
    }
  }
}
