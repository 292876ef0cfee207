import Kernels
import Networks
import Quantization
import Tensor
import Testing

struct LayerStateTests {
  private func convolution(rules: Rules?, freezes: Bool, hasBias: Bool) -> Convolution {
    let shape = ConvolutionShape(
      batch: 1, inputHeight: 4, inputWidth: 4, inputChannels: 2, outputChannels: 3, kernel: hasBias ? 1 : 3,
      padding: hasBias ? 0 : 1)
    let activation = rules?.activations(bits: 2)
    let input = Activation(
      images: 1, height: 4, width: 4, channels: 2, quantizers: [activation].compactMap { $0 })
    return Convolution(
      "layer", shape: shape, input: input, hasBias: hasBias,
      quantizers: .init(
        weight: rules?.weights(bits: 2, rangeGradient: .unfrozen), activation: activation, freezes: freezes),
      backend: CPUBackend(threads: 1))
  }

  @Test("names, roles and shapes are those of PyTorch's state, with the method's beside them")
  func names() {
    let quantized = convolution(rules: .range, freezes: true, hasBias: false).state
    #expect(
      quantized.map(\.fullName) == [
        "layer.weight", "layer.uW", "layer.lW", "layer.uA", "layer.lA", "layer.level", "layer.frozen",
        "layer.distance", "layer.previous_index", "layer.level_moves",
      ])
    #expect(
      quantized.map(\.role) == [
        .parameter, .quantizer, .quantizer, .quantizer, .quantizer, .level, .mask, .freezing, .freezing, .freezing,
      ])
    #expect(quantized[0].shape == [3, 2, 3, 3] && quantized[6].shape == [3, 2, 3, 3] && quantized[1].shape == [])
    let linear = convolution(rules: nil, freezes: false, hasBias: true)
    #expect(linear.kind == .linear)
    #expect(linear.state.map(\.fullName) == ["layer.weight", "layer.bias"])
    #expect(linear.state.map(\.shape) == [[3, 2], [3]])
    let norm = BatchNormalization(
      "bn", input: Activation(images: 1, height: 1, width: 1, channels: 2), residual: nil, rectifier: nil,
      output: Activation(images: 1, height: 1, width: 1, channels: 2), backend: CPUBackend(threads: 1))
    #expect(norm.state.map(\.fullName) == ["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"])
    #expect(norm.state.map(\.role) == [.parameter, .parameter, .statistic, .statistic])
  }

  @Test("what is restored in PyTorch's layout is exported again, and counts follow the masks")
  func restore() {
    let layer = convolution(rules: .range, freezes: true, hasBias: false)
    let values = (0..<54).map(Float.init)
    for part in layer.state {
      switch (part.role, part.values) {
      case (.parameter, .floats(let buffer)):
        part.restore(values, into: buffer)
        #expect(part.export(buffer) == values)
        // Output channel 0, input channel 1, kernel row 0, column 0.
        #expect(layer.weight.value[1] == 9)
      case (.mask, .bytes(let buffer)): part.restore((0..<54).map { $0 < 5 ? 1 : 0 }, into: buffer)
      case (.freezing, .counter(let get, let set)):
        set(4)
        #expect(get() == 4)
      default: break
      }
    }
    layer.freezing!.frozen[53] = 1
    layer.didRestoreState()
    #expect(layer.freezing!.frozenCount == 6 && layer.freezing!.levelMoves == 4)
  }
}
