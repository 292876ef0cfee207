import Networks
import Quantization
import Recipes
import Testing

/// The counts follow from the published architecture by hand: a 3×3 convolution from i to o channels has 9·i·o weights, each
/// multiplied once for every output pixel; batch norm has two numbers a channel; the linear layer 64·10 weights and 10 biases.
struct ModelSummaryTests {
  private static func text(_ recipe: Recipe, bits: Int?) throws -> String {
    let summary = ModelSummary(
      try ModelSpec.resNet(recipe, .resnet20).graph(),
      quantization: bits.map {
        recipe.quantization(weightBits: $0, activationBits: $0)
      })
    let lines = summary.layers.map {
      "\($0.name), \($0.kind), \($0.output), \($0.parameters), \($0.freezableWeights), \($0.macs)"
    }
    let total = "total, \(summary.parameters), \(summary.freezableWeights), \(summary.macs)"
    return (lines + [total]).joined(separator: "\n")
  }

  @Test("ResNet-20 of recipe `spqat`, layer by layer")
  func spqat() throws {
    #expect(try Self.text(.spqat, bits: 2) == Self.spqatLayers)
  }

  @Test("ResNet-20 of recipe `lts`, layer by layer")
  func lts() throws {
    #expect(try Self.text(.lts, bits: 2) == Self.ltsLayers)
  }

  @Test("in full precision nothing freezes")
  func fullPrecision() throws {
    let summary = ModelSummary(try ModelSpec.resNet(.spqat, .resnet20).graph(), quantization: nil)
    #expect(summary.freezableWeights == 0 && summary.parameters == 269_850)
    #expect(summary.layers.allSatisfy { $0.weightBits == nil && $0.activationBits == nil })
  }

  @Test("bits by place")
  func bits() throws {
    let summary = ModelSummary(
      try ModelSpec.resNet(.spqat, .resnet8).graph(),
      quantization: Recipe.spqat.quantization(weightBits: 2, activationBits: 3))
    let convolutions = summary.layers.filter { $0.macs > 0 }
    #expect(convolutions.map(\.weightBits) == [8, 2, 2, 2, 2, 2, 2, 8])
    #expect(convolutions.map(\.activationBits) == [nil, 3, 3, 3, 3, 3, 3, 8])
  }

  @Test("a depthwise convolution has the weights of one input channel for each output")
  func depthwise() throws {
    let graph = try Graph(images: .init(height: 6, width: 4, channels: 8)) { graph, images in
      let x = graph.convolution("dw", images, channels: 8, kernel: 3, stride: 2, groups: 8)
      let y = graph.convolution("grouped", x, channels: 4, kernel: 1, groups: 2)
      return graph.linear("fc", graph.globalAveragePool("pool", y), outputs: 3)
    }
    let layers = ModelSummary(graph, quantization: nil).layers
    #expect(layers.map(\.kind) == ["depthwise convolution", "grouped convolution", "average pool", "linear"])
    #expect(layers.map(\.parameters) == [72, 16, 0, 15])
    // Over 3×2 output pixels.
    #expect(layers.map(\.macs) == [432, 96, 0, 12])
  }

  private static let spqatLayers = """
    conv1, convolution, 32x32x16, 432, 432, 442368
    bn1, batch norm, 32x32x16, 32, 0, 0
    layer1.0.conv1, convolution, 32x32x16, 2304, 2304, 2359296
    layer1.0.bn1, batch norm, 32x32x16, 32, 0, 0
    layer1.0.conv2, convolution, 32x32x16, 2304, 2304, 2359296
    layer1.0.bn2, batch norm, 32x32x16, 32, 0, 0
    layer1.1.conv1, convolution, 32x32x16, 2304, 2304, 2359296
    layer1.1.bn1, batch norm, 32x32x16, 32, 0, 0
    layer1.1.conv2, convolution, 32x32x16, 2304, 2304, 2359296
    layer1.1.bn2, batch norm, 32x32x16, 32, 0, 0
    layer1.2.conv1, convolution, 32x32x16, 2304, 2304, 2359296
    layer1.2.bn1, batch norm, 32x32x16, 32, 0, 0
    layer1.2.conv2, convolution, 32x32x16, 2304, 2304, 2359296
    layer1.2.bn2, batch norm, 32x32x16, 32, 0, 0
    layer2.0.conv1, convolution, 16x16x32, 4608, 4608, 1179648
    layer2.0.bn1, batch norm, 16x16x32, 64, 0, 0
    layer2.0.conv2, convolution, 16x16x32, 9216, 9216, 2359296
    layer2.0.shortcut, pad shortcut, 16x16x32, 0, 0, 0
    layer2.0.bn2, batch norm, 16x16x32, 64, 0, 0
    layer2.1.conv1, convolution, 16x16x32, 9216, 9216, 2359296
    layer2.1.bn1, batch norm, 16x16x32, 64, 0, 0
    layer2.1.conv2, convolution, 16x16x32, 9216, 9216, 2359296
    layer2.1.bn2, batch norm, 16x16x32, 64, 0, 0
    layer2.2.conv1, convolution, 16x16x32, 9216, 9216, 2359296
    layer2.2.bn1, batch norm, 16x16x32, 64, 0, 0
    layer2.2.conv2, convolution, 16x16x32, 9216, 9216, 2359296
    layer2.2.bn2, batch norm, 16x16x32, 64, 0, 0
    layer3.0.conv1, convolution, 8x8x64, 18432, 18432, 1179648
    layer3.0.bn1, batch norm, 8x8x64, 128, 0, 0
    layer3.0.conv2, convolution, 8x8x64, 36864, 36864, 2359296
    layer3.0.shortcut, pad shortcut, 8x8x64, 0, 0, 0
    layer3.0.bn2, batch norm, 8x8x64, 128, 0, 0
    layer3.1.conv1, convolution, 8x8x64, 36864, 36864, 2359296
    layer3.1.bn1, batch norm, 8x8x64, 128, 0, 0
    layer3.1.conv2, convolution, 8x8x64, 36864, 36864, 2359296
    layer3.1.bn2, batch norm, 8x8x64, 128, 0, 0
    layer3.2.conv1, convolution, 8x8x64, 36864, 36864, 2359296
    layer3.2.bn1, batch norm, 8x8x64, 128, 0, 0
    layer3.2.conv2, convolution, 8x8x64, 36864, 36864, 2359296
    layer3.2.bn2, batch norm, 8x8x64, 128, 0, 0
    avgpool, average pool, 1x1x64, 0, 0, 0
    bn2, batch norm, 1x1x64, 128, 0, 0
    linear, linear, 1x1x10, 650, 0, 640
    total, 269850, 267696, 40551040
    """

  private static let ltsLayers = """
    conv1, convolution, 32x32x16, 432, 432, 442368
    bn1, batch norm, 32x32x16, 32, 0, 0
    layer1.0.conv1, convolution, 32x32x16, 2304, 2304, 2359296
    layer1.0.bn1, batch norm, 32x32x16, 32, 0, 0
    layer1.0.conv2, convolution, 32x32x16, 2304, 2304, 2359296
    layer1.0.bn2, batch norm, 32x32x16, 32, 0, 0
    layer1.1.conv1, convolution, 32x32x16, 2304, 2304, 2359296
    layer1.1.bn1, batch norm, 32x32x16, 32, 0, 0
    layer1.1.conv2, convolution, 32x32x16, 2304, 2304, 2359296
    layer1.1.bn2, batch norm, 32x32x16, 32, 0, 0
    layer1.2.conv1, convolution, 32x32x16, 2304, 2304, 2359296
    layer1.2.bn1, batch norm, 32x32x16, 32, 0, 0
    layer1.2.conv2, convolution, 32x32x16, 2304, 2304, 2359296
    layer1.2.bn2, batch norm, 32x32x16, 32, 0, 0
    layer2.0.conv1, convolution, 16x16x32, 4608, 4608, 1179648
    layer2.0.bn1, batch norm, 16x16x32, 64, 0, 0
    layer2.0.conv2, convolution, 16x16x32, 9216, 9216, 2359296
    layer2.0.shortcut.0, convolution, 16x16x32, 512, 512, 131072
    layer2.0.shortcut.1, batch norm, 16x16x32, 64, 0, 0
    layer2.0.bn2, batch norm, 16x16x32, 64, 0, 0
    layer2.1.conv1, convolution, 16x16x32, 9216, 9216, 2359296
    layer2.1.bn1, batch norm, 16x16x32, 64, 0, 0
    layer2.1.conv2, convolution, 16x16x32, 9216, 9216, 2359296
    layer2.1.bn2, batch norm, 16x16x32, 64, 0, 0
    layer2.2.conv1, convolution, 16x16x32, 9216, 9216, 2359296
    layer2.2.bn1, batch norm, 16x16x32, 64, 0, 0
    layer2.2.conv2, convolution, 16x16x32, 9216, 9216, 2359296
    layer2.2.bn2, batch norm, 16x16x32, 64, 0, 0
    layer3.0.conv1, convolution, 8x8x64, 18432, 18432, 1179648
    layer3.0.bn1, batch norm, 8x8x64, 128, 0, 0
    layer3.0.conv2, convolution, 8x8x64, 36864, 36864, 2359296
    layer3.0.shortcut.0, convolution, 8x8x64, 2048, 2048, 131072
    layer3.0.shortcut.1, batch norm, 8x8x64, 128, 0, 0
    layer3.0.bn2, batch norm, 8x8x64, 128, 0, 0
    layer3.1.conv1, convolution, 8x8x64, 36864, 36864, 2359296
    layer3.1.bn1, batch norm, 8x8x64, 128, 0, 0
    layer3.1.conv2, convolution, 8x8x64, 36864, 36864, 2359296
    layer3.1.bn2, batch norm, 8x8x64, 128, 0, 0
    layer3.2.conv1, convolution, 8x8x64, 36864, 36864, 2359296
    layer3.2.bn1, batch norm, 8x8x64, 128, 0, 0
    layer3.2.conv2, convolution, 8x8x64, 36864, 36864, 2359296
    layer3.2.bn2, batch norm, 8x8x64, 128, 0, 0
    avgpool, average pool, 1x1x64, 0, 0, 0
    fc, linear, 1x1x10, 650, 640, 640
    total, 272474, 270896, 40813184
    """
}
