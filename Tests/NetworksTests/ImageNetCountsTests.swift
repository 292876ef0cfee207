import Networks
import Quantization
import Recipes
import Testing

/// The networks for ImageNet at 224×224 with 1000 classes. The numbers are those of torchvision's and pytorchcv's state
/// dictionaries, and their multiply-adds.
struct ImageNetCountsTests {
  struct Counts: Sendable, CustomTestStringConvertible {
    var network: Architecture
    var parameters: Int
    /// Of convolutions and linear layers.
    var weights: Int
    /// The same without the first and the last layer.
    var inside: Int
    /// γ and β.
    var batchNorm: Int
    var macs: Int
    var first: (weights: Int, macs: Int)
    var depthwise: (layers: Int, weights: Int, macs: Int)
    /// Convolution and linear.
    var layers: Int
    /// Of the state dictionary, without the counters of batch norms.
    var tensors: Int
    /// That the extra batch norm of `spqat` is over.
    var features: Int

    var testDescription: String { network.name }
  }

  private static let table = [
    Counts(
      network: .resnet18, parameters: 11_689_512, weights: 11_678_912, inside: 11_157_504, batchNorm: 9_600,
      macs: 1_814_073_344, first: (9_408, 118_013_952), depthwise: (0, 0, 0), layers: 21, tensors: 102, features: 512),
    Counts(
      network: .resnet50, parameters: 25_557_032, weights: 25_502_912, inside: 23_445_504, batchNorm: 53_120,
      macs: 4_089_184_256, first: (9_408, 118_013_952), depthwise: (0, 0, 0), layers: 54, tensors: 267, features: 2048),
    Counts(
      network: .mobilenetv1, parameters: 4_231_976, weights: 4_209_088, inside: 3_184_224, batchNorm: 21_888,
      macs: 568_740_352, first: (864, 10_838_016), depthwise: (13, 44_640, 17_385_984), layers: 28, tensors: 137,
      features: 1024),
    Counts(
      network: .mobilenetv2, parameters: 3_504_872, weights: 3_469_760, inside: 2_188_896, batchNorm: 34_112,
      macs: 300_774_272, first: (864, 10_838_016), depthwise: (17, 64_224, 20_716_416), layers: 53, tensors: 262,
      features: 1280),
  ]

  private static func summary(_ recipe: Recipe, _ network: Architecture) throws -> ModelSummary {
    ModelSummary(
      try recipe.model(network, classes: 1000, height: 224, width: 224).graph(),
      quantization: recipe.quantization(weightBits: 4, activationBits: 4))
  }

  @Test("counts of `lts`, whose networks are torchvision's and pytorchcv's", arguments: table)
  func lts(counts: Counts) throws {
    let summary = try Self.summary(.lts, counts.network)
    let products = summary.layers.filter { $0.macs > 0 }
    let norms = summary.layers.filter { $0.kind == "batch norm" }
    #expect(summary.parameters == counts.parameters)
    #expect(summary.freezableWeights == counts.weights)
    #expect(products.dropFirst().dropLast().reduce(0) { $0 + $1.parameters } == counts.inside)
    #expect(norms.reduce(0) { $0 + $1.parameters } == counts.batchNorm)
    #expect(summary.macs == counts.macs)
    #expect(products[0].parameters == counts.first.weights && products[0].macs == counts.first.macs)
    let depthwise = products.filter { $0.kind == "depthwise convolution" }
    #expect(depthwise.count == counts.depthwise.layers)
    #expect(depthwise.reduce(0) { $0 + $1.parameters } == counts.depthwise.weights)
    #expect(depthwise.reduce(0) { $0 + $1.macs } == counts.depthwise.macs)
    #expect(products.count == counts.layers)
    // A weight each and the last bias; batch norms have two parameters and two statistics.
    #expect(products.count + 1 + 4 * norms.count == counts.tensors)
    #expect(products.allSatisfy { $0.weightBits == 4 && $0.activationBits == 4 })
    #expect(products.last!.output == "1x1x1000")
  }

  @Test("`spqat` has one batch norm more and leaves both ends in full precision", arguments: table)
  func spqat(counts: Counts) throws {
    let summary = try Self.summary(.spqat, counts.network)
    let products = summary.layers.filter { $0.macs > 0 }
    #expect(summary.parameters == counts.parameters + 2 * counts.features)
    #expect(summary.freezableWeights == counts.inside)
    #expect(summary.macs == counts.macs)
    let extra = try #require(summary.layers.last { $0.kind == "batch norm" })
    #expect(extra.name == "bn2" && extra.parameters == 2 * counts.features)
    #expect(extra.output == (counts.network == .mobilenetv2 ? "7x7x1280" : "1x1x\(counts.features)"))
    #expect(products.map(\.weightBits) == [nil] + [Int?](repeating: 4, count: counts.layers - 2) + [nil])
    #expect(products.map(\.activationBits) == products.map(\.weightBits))
    #expect(summary.layers.contains { $0.kind == "dropout" } == (counts.network == .mobilenetv2))
  }

  @Test(
    "layers have the names of the state dictionaries",
    arguments: [
      (
        Architecture.resnet18,
        [
          "conv1", "bn1", "layer1.0.conv1", "layer1.0.bn1", "layer1.1.conv2", "layer2.0.downsample.0",
          "layer2.0.downsample.1", "layer4.1.bn2", "fc",
        ], ["layer1.0.downsample.0", "layer1.0.conv3", "layer2.1.downsample.0"]
      ),
      (
        .resnet50,
        ["layer1.0.downsample.0", "layer1.2.conv3", "layer2.3.bn3", "layer3.5.conv2", "layer4.2.bn3", "fc"],
        ["layer1.3.conv1", "layer4.1.downsample.0"]
      ),
      (
        .mobilenetv1,
        [
          "features.init_block.conv", "features.init_block.bn", "features.stage1.unit1.dw_conv.conv",
          "features.stage4.unit6.pw_conv.bn", "features.stage5.unit2.pw_conv.conv", "output",
        ], ["features.stage1.unit2.dw_conv.conv"]
      ),
      (
        .mobilenetv2,
        [
          "features.0.0", "features.0.1", "features.1.conv.0.0", "features.1.conv.0.1", "features.1.conv.1",
          "features.1.conv.2", "features.2.conv.0.0", "features.2.conv.1.0", "features.2.conv.1.1", "features.2.conv.2",
          "features.17.conv.3", "features.18.0", "features.18.1", "classifier.1",
        ], ["features.1.conv.3", "features.19.0"]
      ),
    ])
  func names(network: Architecture, present: [String], absent: [String]) throws {
    let summary = try Self.summary(.lts, network)
    let names = Set(summary.layers.map(\.name))
    #expect(names.isSuperset(of: present) && names.isDisjoint(with: absent))
  }

  @Test("strides lie where the published networks have them")
  func strides() throws {
    func sides(_ network: Architecture) throws -> [String] {
      try Self.summary(.lts, network).layers.filter { $0.macs > 0 && $0.kind != "linear" }.map {
        String($0.output.prefix { $0 != "x" })
      }
    }
    let resnet50 = try sides(.resnet50)
    // Stage 2 begins with 1×1 at 56 and has its stride on the 3×3 behind.
    #expect(Array(resnet50[10..<15]) == ["56", "56", "28", "28", "28"])
    #expect(try sides(.mobilenetv1).filter { $0 == "112" }.count == 3)
    #expect(try sides(.mobilenetv2).suffix(4) == ["7", "7", "7", "7"])
  }
}
