import Kernels
import Quantization

/// MobileNetV1 (Howard et al. 2017, table 1): thirteen depthwise convolutions, each with a pointwise one behind it. Names as in
/// pytorchcv.
extension Architecture {
  /// 4.2 million parameters at a width of 32.
  public static let mobilenetv1 = Architecture("mobilenetv1", family: .mobileNetV1) { graph, images, spec in
    var x = graph.convolution(
      "features.init_block.conv", images, channels: spec.width, kernel: 3, stride: 2, place: .imageNetFirst)
    x = graph.rectify(graph.batchNorm("features.init_block.bn", x))
    // Channels of each unit, in units of the width.
    let stages = [[2], [4, 4], [8, 8], [16, 16, 16, 16, 16, 16], [32, 32]]
    for (stage, units) in stages.enumerated() {
      for (unit, factor) in units.enumerated() {
        let name = "features.stage\(stage + 1).unit\(unit + 1)"
        let channels = graph.shape(of: x).channels
        x = graph.convolution(
          "\(name).dw_conv.conv", x, channels: channels, kernel: 3, stride: stage > 0 && unit == 0 ? 2 : 1,
          groups: channels)
        x = graph.rectify(graph.batchNorm("\(name).dw_conv.bn", x))
        x = graph.convolution("\(name).pw_conv.conv", x, channels: factor * spec.width, kernel: 1)
        x = graph.rectify(graph.batchNorm("\(name).pw_conv.bn", x))
      }
    }
    x = graph.globalAveragePool("features.final_pool", x)
    if spec.batchNormBeforeLinear { x = graph.batchNorm("bn2", x) }
    return graph.linear("output", x, outputs: spec.classes, place: .imageNetLast)
  }
}

/// MobileNetV2 (Sandler et al. 2018, table 2): inverted residuals with linear bottlenecks. Names as in torchvision.
extension Architecture {
  /// 3.5 million parameters at a width of 32.
  public static let mobilenetv2 = mobileNetV2(
    "mobilenetv2", imageSide: 224, classes: 1000, stemStride: 2,
    rows: [
      .init(1, channels: 16, 1, stride: 1), .init(6, channels: 24, 2, stride: 2), .init(6, channels: 32, 3, stride: 2),
      .init(6, channels: 64, 4, stride: 2), .init(6, channels: 96, 3, stride: 1), .init(6, channels: 160, 3, stride: 2),
      .init(6, channels: 320, 1, stride: 1),
    ], features: 1280)
  /// The first rows of MobileNetV2 on small images, smaller than anything in the paper: for traces and short runs.
  public static let mobilenetv2s = mobileNetV2(
    "mobilenetv2s", imageSide: 32, classes: 10, stemStride: 1,
    rows: [
      .init(1, channels: 16, 1, stride: 1), .init(6, channels: 24, 2, stride: 2), .init(6, channels: 32, 2, stride: 2),
    ], features: 128)

  /// Blocks that have their shape in common; a row of the paper's table.
  private struct Row {
    /// Channels inside a block over those that it reads.
    let expansion: Int
    /// Of the outputs, at a width of 32.
    let channels: Int
    let blocks: Int
    /// Of the first block.
    let stride: Int

    init(_ expansion: Int, channels: Int, _ blocks: Int, stride: Int) {
      self.expansion = expansion
      self.channels = channels
      self.blocks = blocks
      self.stride = stride
    }
  }

  /// Channels are those of the paper times width / 32, rounded down.
  private static func mobileNetV2(
    _ name: String, imageSide: Int, classes: Int, stemStride: Int, rows: [Row], features: Int
  ) -> Architecture {
    Architecture(name, family: .mobileNetV2, imageSide: imageSide, classes: classes) { graph, images, spec in
      func scaled(_ channels: Int) -> Int { max(1, channels * spec.width / 32) }
      var x = graph.convolution(
        "features.0.0", images, channels: spec.width, kernel: 3, stride: stemStride, place: .imageNetFirst)
      x = graph.rectify(graph.batchNorm("features.0.1", x), by: spec.rectifier)
      var index = 1
      for row in rows {
        for block in 0..<row.blocks {
          x = invertedResidual(
            &graph, "features.\(index).conv", x, expansion: row.expansion, channels: scaled(row.channels),
            stride: block == 0 ? row.stride : 1, rectifier: spec.rectifier)
          index += 1
        }
      }
      x = graph.convolution("features.\(index).0", x, channels: scaled(features), kernel: 1)
      x = graph.rectify(graph.batchNorm("features.\(index).1", x), by: spec.rectifier)
      if spec.batchNormBeforeLinear { x = graph.batchNorm("bn2", x) }
      x = graph.globalAveragePool("avgpool", x)
      if spec.dropout > 0 { x = graph.dropout("classifier.0", x, rate: spec.dropout) }
      return graph.linear("classifier.1", x, outputs: spec.classes, place: .imageNetLast)
    }
  }

  /// x + bn(project(depthwise(expand(x)))) where the shapes allow the sum, each convolution but the last with batch norm and
  /// rectifier behind it.
  private static func invertedResidual(
    _ graph: inout Graph, _ name: String, _ input: Graph.Value, expansion: Int, channels: Int, stride: Int,
    rectifier: Rectifier
  ) -> Graph.Value {
    let inputs = graph.shape(of: input).channels
    let inside = expansion * inputs
    var x = input
    var index = 0
    if expansion > 1 {
      x = graph.convolution("\(name).\(index).0", x, channels: inside, kernel: 1)
      x = graph.rectify(graph.batchNorm("\(name).\(index).1", x), by: rectifier)
      index += 1
    }
    x = graph.convolution("\(name).\(index).0", x, channels: inside, kernel: 3, stride: stride, groups: inside)
    x = graph.rectify(graph.batchNorm("\(name).\(index).1", x), by: rectifier)
    x = graph.convolution("\(name).\(index + 1)", x, channels: channels, kernel: 1)
    x = graph.batchNorm("\(name).\(index + 2)", x)
    return stride == 1 && inputs == channels ? graph.add(x, input) : x
  }
}
