import Diagnostics
import Foundation
import Interchange
import Networks
import Recipes
import Records
import TestSupport
import Testing

@Suite("Export to ONNX")
struct ONNXTests {
  /// What run_onnx.py prints.
  private struct Agreement: Decodable {
    var images: Int
    var close: Int
    var worstOfClose: Double
    var worst: Double
    var sameTopOne: Int
    var operators: [String]
    var operatorSet: Int
    var initializers: [String]
    var classes: [String]
  }

  private static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("run_onnx.py").path

  private func agreement(_ run: TrainedRun, _ batchNorm: ONNXBatchNorm) throws -> Agreement {
    let folder = try TemporaryFolder()
    let paths = try RunExport.onnx.write(run.record, to: folder.file("run"), batchNorm: batchNorm)
    #expect(paths == [folder.file("run.onnx")])
    try run.writeLogits(to: folder.file("logits"))
    let (status, output) = try PythonInterpreter.run([
      Self.script, paths[0], TrainedRun.testImages, folder.file("logits"),
    ])
    try #require(status == 0, "\(output)")
    return try JSONDecoder().decode(Agreement.self, from: Data(output.utf8))
  }

  private static let missing: Comment = "no Python with onnx and onnxruntime: `make test` makes one"
  static let hasRuntime = PythonInterpreter.has("onnx, onnxruntime, PIL")

  @Test(
    "onnxruntime gives the logits and classes of full-precision networks", .enabled(if: hasRuntime, missing),
    arguments: Recipe.all, ONNXBatchNorm.allCases)
  func fullPrecision(recipe: Recipe, batchNorm: ONNXBatchNorm) throws {
    let run = try TrainedRun(recipe, bits: nil)
    let agreement = try agreement(run, batchNorm)
    #expect(agreement.images == 100 && agreement.close == 100 && agreement.sameTopOne == 100, "\(agreement)")
    #expect(agreement.operators.contains("BatchNormalization") == (batchNorm == .kept))
    #expect(agreement.operatorSet == 13)
    #expect(agreement.classes == run.record.classNames)
  }

  // In the first layer an activation that lies on the boundary of two levels may fall on the other side in another program's float
  // arithmetic, which moves the logits by more than rounding; that must stay rare, and change no class. Eight bits of a learned
  // range do not fit a byte: there products are sums of floats in both programs, in another order, in every layer.
  @Test(
    "onnxruntime gives the logits and classes of quantized networks", .enabled(if: hasRuntime, missing),
    arguments: [2, 4, 8], Recipe.all)
  func quantized(bits: Int, recipe: Recipe) throws {
    let run = try TrainedRun(recipe, bits: bits)
    for batchNorm in ONNXBatchNorm.allCases {
      let agreement = try agreement(run, batchNorm)
      #expect(agreement.sameTopOne == 100, "\(batchNorm): \(agreement)")
      #expect(
        agreement.close >= (bits < 8 ? 98 : recipe == .lts ? 60 : 95) && agreement.worst < 0.1,
        "\(batchNorm): \(agreement)")
      #expect(["QuantizeLinear", "DequantizeLinear"].allSatisfy(agreement.operators.contains))
      #expect(agreement.operators.contains("Clip") == (bits < 8))
      let types = bits == 8 && recipe == .lts ? ["UINT8"] : ["INT8", "UINT8"]
      #expect(agreement.initializers.filter { $0.hasSuffix("INT8") } == types)
    }
  }

  // Hardly trained, their classes lie close together, so one activation on another level may change which is best.
  @Test(
    "onnxruntime gives the logits of every kind of network", .enabled(if: hasRuntime, missing),
    arguments: [Architecture.resnet18, .resnet50, .mobilenetv1, .mobilenetv2], Recipe.all)
  func everyNetwork(architecture: Architecture, recipe: Recipe) throws {
    let exact = try agreement(try TrainedRun(recipe, bits: nil, architecture: architecture, steps: 2), .kept)
    #expect(exact.close == 100, "\(exact)")
    let quantized = try agreement(try TrainedRun(recipe, bits: 4, architecture: architecture, steps: 2), .folded)
    #expect(quantized.close >= 98 && quantized.sameTopOne >= 98, "\(quantized)")
  }

  @Test("a tensor that is missing is named")
  func missingTensor() throws {
    var record = try TrainedRun(.lts, bits: 2, steps: 1).record
    record.tensors.removeAll { $0.name == "layer1.0.conv1.uA" }
    let folder = try TemporaryFolder()
    #expect(
      throws: Diagnostic(
        "run \(record.id)", at: "layer1.0.conv1.uA",
        "is missing among the final tensors; the file was written by another version")
    ) { try RunExport.onnx.write(record, to: folder.file("run")) }
  }
}
