import Quantization

/// ResNets for small images (He et al. 2016, section 4.2): ResNet-(6n + 2) has n basic blocks in each of three stages.
extension Architecture {
  /// n = 1; smaller than those of the paper.
  public static let resnet8 = smallImageResNet(depth: 8)
  /// n = 3; 0.27 million parameters at a width of 16 (He et al., table 6).
  public static let resnet20 = smallImageResNet(depth: 20)
  /// n = 5; 0.46 million parameters at a width of 16 (He et al., table 6).
  public static let resnet32 = smallImageResNet(depth: 32)
  /// n = 7; 0.66 million parameters at a width of 16 (He et al., table 6).
  public static let resnet44 = smallImageResNet(depth: 44)
  /// n = 9; 0.85 million parameters at a width of 16 (He et al., table 6).
  public static let resnet56 = smallImageResNet(depth: 56)

  private static func smallImageResNet(depth: Int) -> Architecture {
    Architecture("resnet\(depth)") { graph, images, spec in
      smallImageResNet(&graph, images, spec, blocksPerStage: (depth - 2) / 6)
    }
  }

  /// A 3×3 convolution, three stages of basic blocks with w, 2w and 4w channels, average pooling, a linear layer. The two
  /// recipes differ in the shortcuts and in the batch norm before the linear layer.
  private static func smallImageResNet(
    _ graph: inout Graph, _ images: Graph.Value, _ spec: ModelSpec, blocksPerStage: Int
  ) -> Graph.Value {
    var x = graph.convolution("conv1", images, channels: spec.width, kernel: 3, place: .first)
    x = graph.relu(graph.batchNorm("bn1", x))
    for stage in 0..<3 {
      for block in 0..<blocksPerStage {
        x = basicBlock(
          &graph, "layer\(stage + 1).\(block)", x, channels: spec.width << stage,
          stride: stage > 0 && block == 0 ? 2 : 1, shortcut: spec.shortcut)
      }
    }
    x = graph.globalAveragePool("avgpool", x)
    if spec.batchNormBeforeLinear { x = graph.batchNorm("bn2", x) }
    // The authors' two generations name this layer differently.
    return graph.linear(spec.shortcut == .pad ? "linear" : "fc", x, outputs: spec.classes)
  }

  /// relu(bn(conv(relu(bn(conv(x))))) + shortcut(x))
  private static func basicBlock(
    _ graph: inout Graph, _ name: String, _ input: Graph.Value, channels: Int, stride: Int,
    shortcut kind: ModelSpec.Shortcut
  ) -> Graph.Value {
    var x = graph.convolution("\(name).conv1", input, channels: channels, kernel: 3, stride: stride)
    x = graph.relu(graph.batchNorm("\(name).bn1", x))
    x = graph.convolution("\(name).conv2", x, channels: channels, kernel: 3)
    let added = shortcut(&graph, "\(name).shortcut", input, channels: channels, stride: stride, kind: kind)
    return graph.relu(graph.add(graph.batchNorm("\(name).bn2", x), added))
  }

  private static func shortcut(
    _ graph: inout Graph, _ name: String, _ input: Graph.Value, channels: Int, stride: Int, kind: ModelSpec.Shortcut
  ) -> Graph.Value {
    if stride == 1 && graph.shape(of: input).channels == channels { return input }
    switch kind {
    case .pad: return graph.padShortcut(name, input, channels: channels, stride: stride)
    case .convolution:
      return graph.batchNorm(
        "\(name).1", graph.convolution("\(name).0", input, channels: channels, kernel: 1, stride: stride))
    }
  }
}
