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
    Architecture("resnet\(depth)", family: .smallImageResNet, imageSide: 32, classes: 10) { graph, images, spec in
      smallImageResNet(&graph, images, spec, blocksPerStage: (depth - 2) / 6)
    }
  }

  /// A 3×3 convolution, three stages of basic blocks with w, 2w and 4w channels, average pooling, a linear layer. The two
  /// recipes differ in the shortcuts and in the batch norm before the linear layer.
  private static func smallImageResNet(
    _ graph: inout Graph, _ images: Graph.Value, _ spec: ModelSpec, blocksPerStage: Int
  ) -> Graph.Value {
    var x = graph.convolution("conv1", images, channels: spec.width, kernel: 3, place: .first)
    x = graph.rectify(graph.batchNorm("bn1", x))
    for stage in 0..<3 {
      for block in 0..<blocksPerStage {
        let name = "layer\(stage + 1).\(block)"
        let input = x
        let channels = spec.width << stage
        let stride = stage > 0 && block == 0 ? 2 : 1
        x = basicBlock(&graph, name, input, channels: channels, stride: stride) { graph in
          smallImageShortcut(
            &graph, "\(name).shortcut", input, channels: channels, stride: stride, kind: spec.shortcut)
        }
      }
    }
    x = graph.globalAveragePool("avgpool", x)
    if spec.batchNormBeforeLinear { x = graph.batchNorm("bn2", x) }
    // The authors' two generations name this layer differently.
    return graph.linear(spec.shortcut == .pad ? "linear" : "fc", x, outputs: spec.classes)
  }

  private static func smallImageShortcut(
    _ graph: inout Graph, _ name: String, _ input: Graph.Value, channels: Int, stride: Int, kind: ModelSpec.Shortcut
  ) -> Graph.Value {
    if kind == .pad, stride != 1 || graph.shape(of: input).channels != channels {
      return graph.padShortcut(name, input, channels: channels, stride: stride)
    }
    return projection(&graph, name, input, channels: channels, stride: stride)
  }
}

/// ResNets for ImageNet (He et al. 2016, table 1), with the stride of a bottleneck on its 3×3 convolution and names as in
/// torchvision.
extension Architecture {
  /// Two basic blocks in each of four stages.
  public static let resnet18 = resNet("resnet18", blocks: [2, 2, 2, 2], bottleneckFactor: nil)
  /// 3, 4, 6 and 3 bottlenecks, whose outputs have four times as many channels as their insides.
  public static let resnet50 = resNet("resnet50", blocks: [3, 4, 6, 3], bottleneckFactor: 4)

  private static func resNet(_ name: String, blocks: [Int], bottleneckFactor: Int?) -> Architecture {
    Architecture(name, family: .resNet) { graph, images, spec in
      var x = graph.convolution(
        "conv1", images, channels: spec.width, kernel: 7, stride: 2, place: .imageNetFirst)
      x = graph.maxPool("maxpool", graph.rectify(graph.batchNorm("bn1", x)), kernel: 3, stride: 2)
      for (stage, count) in blocks.enumerated() {
        for block in 0..<count {
          let name = "layer\(stage + 1).\(block)"
          let input = x
          let channels = spec.width << stage
          let stride = stage > 0 && block == 0 ? 2 : 1
          func shortcut(_ graph: inout Graph) -> Graph.Value {
            projection(
              &graph, "\(name).downsample", input, channels: channels * (bottleneckFactor ?? 1), stride: stride)
          }
          if let bottleneckFactor {
            x = bottleneck(
              &graph, name, input, channels: channels, factor: bottleneckFactor, stride: stride, shortcut: shortcut)
          } else {
            x = basicBlock(&graph, name, input, channels: channels, stride: stride, shortcut: shortcut)
          }
        }
      }
      x = graph.globalAveragePool("avgpool", x)
      if spec.batchNormBeforeLinear { x = graph.batchNorm("bn2", x) }
      return graph.linear("fc", x, outputs: spec.classes, place: .imageNetLast)
    }
  }

  /// relu(bn(conv1×1(relu(bn(conv3×3(relu(bn(conv1×1(x)))))))) + shortcut(x))
  private static func bottleneck(
    _ graph: inout Graph, _ name: String, _ input: Graph.Value, channels: Int, factor: Int, stride: Int,
    shortcut: (inout Graph) -> Graph.Value
  ) -> Graph.Value {
    var x = graph.convolution("\(name).conv1", input, channels: channels, kernel: 1)
    x = graph.rectify(graph.batchNorm("\(name).bn1", x))
    x = graph.convolution("\(name).conv2", x, channels: channels, kernel: 3, stride: stride)
    x = graph.rectify(graph.batchNorm("\(name).bn2", x))
    x = graph.convolution("\(name).conv3", x, channels: factor * channels, kernel: 1)
    let added = shortcut(&graph)
    return graph.rectify(graph.add(graph.batchNorm("\(name).bn3", x), added))
  }
}

/// What ResNets for images of all sizes consist of.
extension Architecture {
  /// relu(bn(conv(relu(bn(conv(x))))) + shortcut(x))
  private static func basicBlock(
    _ graph: inout Graph, _ name: String, _ input: Graph.Value, channels: Int, stride: Int,
    shortcut: (inout Graph) -> Graph.Value
  ) -> Graph.Value {
    var x = graph.convolution("\(name).conv1", input, channels: channels, kernel: 3, stride: stride)
    x = graph.rectify(graph.batchNorm("\(name).bn1", x))
    x = graph.convolution("\(name).conv2", x, channels: channels, kernel: 3)
    let added = shortcut(&graph)
    return graph.rectify(graph.add(graph.batchNorm("\(name).bn2", x), added))
  }

  /// The input where its shape fits, else a 1×1 convolution and batch norm.
  private static func projection(
    _ graph: inout Graph, _ name: String, _ input: Graph.Value, channels: Int, stride: Int
  ) -> Graph.Value {
    if stride == 1 && graph.shape(of: input).channels == channels { return input }
    return graph.batchNorm(
      "\(name).1", graph.convolution("\(name).0", input, channels: channels, kernel: 1, stride: stride))
  }
}
