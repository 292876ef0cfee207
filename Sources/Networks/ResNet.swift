extension NetworkBuilder {
  /// A ResNet for small images (He et al. 2016, section 4.2): a 3×3 convolution, three stages of basic blocks with w, 2w
  /// and 4w channels, average pooling, a linear layer. The two recipes differ in the shortcuts and in the batch norm
  /// before the linear layer.
  mutating func resNet(blocksPerStage: Int) -> Activation {
    var x = convolution("conv1", images, channels: spec.width, kernel: 3, place: .first)
    x = batchNorm("bn1", x, relu: true)
    for stage in 0..<3 {
      let channels = spec.width << stage
      for block in 0..<blocksPerStage {
        x = basicBlock("layer\(stage + 1).\(block)", x, channels: channels, stride: stage > 0 && block == 0 ? 2 : 1)
      }
    }
    x = globalAveragePool("avgpool", x)
    if spec.batchNormBeforeLinear { x = batchNorm("bn2", x, relu: false) }
    // The authors' two generations name this layer differently.
    return linear(spec.shortcut == .pad ? "linear" : "fc", x, outputs: spec.classes)
  }

  /// relu(bn(conv(relu(bn(conv(x))))) + shortcut(x))
  private mutating func basicBlock(_ name: String, _ input: Activation, channels: Int, stride: Int) -> Activation {
    var x = convolution("\(name).conv1", input, channels: channels, kernel: 3, stride: stride)
    x = batchNorm("\(name).bn1", x, relu: true)
    x = convolution("\(name).conv2", x, channels: channels, kernel: 3)
    return batchNorm("\(name).bn2", x, adding: shortcut(name, input, channels, stride), relu: true)
  }

  private mutating func shortcut(_ name: String, _ input: Activation, _ channels: Int, _ stride: Int) -> Activation {
    if stride == 1 && input.channels == channels { return input }
    switch spec.shortcut {
    case .pad:
      return padShortcut("\(name).shortcut", input, channels: channels, stride: stride)
    case .convolution:
      let x = convolution("\(name).shortcut.0", input, channels: channels, kernel: 1, stride: stride)
      return batchNorm("\(name).shortcut.1", x, relu: false)
    }
  }
}
