import Kernels
import Networks
import Quantization
import Tensor
import TestSupport

/// One layer between an input and the loss Σ g·y, g random: runs it forward and backward.
struct LayerRun {
  let backend: CPUBackend
  let images: Int
  let layer: any Layer
  let output: Activation
  /// ∂loss/∂y
  let outputGradient: [Float]

  init(layer: any Layer, output: Activation, images: Int, backend: CPUBackend = CPUBackend(threads: 2)) {
    self.backend = backend
    self.images = images
    self.layer = layer
    self.output = output
    outputGradient = normals(output.count, seed: 99)
  }

  /// `input`: comes ahead of the layer in the forward pass and behind it in the backward pass.
  func run(input: ImageInput? = nil) {
    let forward = ForwardPass(backend: backend, images: images, purpose: .training)
    input?.forward(forward)
    layer.prepare(forward)
    layer.forward(forward)
    for (use, buffer) in output.gradients.enumerated() { fill(buffer, part: use, of: output.gradients.count) }
    for (index, copy) in output.copies.enumerated() {
      copy.gradient!.copy(from: Buffer(copyGradient(index)))
    }
    let backward = BackwardPass(backend: backend, images: images)
    layer.backward(backward)
    layer.finish(backward)
    input?.backward(backward)
  }

  /// The gradient that the output's quantized copy `index` sends.
  func copyGradient(_ index: Int) -> [Float] { normals(output.count, seed: 200 + UInt64(index)) }

  private func fill(_ buffer: Buffer<Float>, part: Int, of parts: Int) {
    // The parts differ and add up to the whole: 3/4 and 1/4, for instance.
    let share: Float = parts == 1 ? 1 : part == 0 ? 0.75 : 0.25 / Float(parts - 1)
    for index in 0..<output.count { buffer[index] = share * outputGradient[index] }
  }
}

extension Activation {
  /// Room for floats, for their gradients from so many readers, and for copies with theirs.
  convenience init(
    images: Int, height: Int, width: Int, channels: Int, uses: Int = 1, quantizers: [any ActivationQuantizer] = []
  ) {
    let count = images * height * width * channels
    self.init(
      shape: Graph.Shape(height: height, width: width, channels: channels), batch: images, values: Buffer(count: count),
      copies: quantizers.map {
        QuantizedCopy(quantizer: $0, levels: Buffer(count: count), gradient: Buffer(count: count))
      },
      gradients: (0..<uses).map { _ in Buffer(count: count) })
  }

  /// An input with these values.
  static func holding(
    _ values: [Float], images: Int, height: Int, width: Int, channels: Int, uses: Int = 1,
    quantizers: [any ActivationQuantizer] = []
  ) -> Activation {
    let activation = Activation(
      images: images, height: height, width: width, channels: channels, uses: uses, quantizers: quantizers)
    activation.values!.copy(from: Buffer(values))
    return activation
  }

  /// The input of a convolution.
  static func holding(_ values: [Float], for shape: ConvolutionShape, quantizers: [any ActivationQuantizer] = [])
    -> Activation
  {
    holding(
      values, images: shape.batch, height: shape.inputHeight, width: shape.inputWidth, channels: shape.inputChannels,
      uses: quantizers.isEmpty ? 1 : 0, quantizers: quantizers)
  }

  /// The output of a convolution or a pooling.
  convenience init(of shape: ConvolutionShape, uses: Int = 1) {
    self.init(
      images: shape.batch, height: shape.outputHeight, width: shape.outputWidth, channels: shape.outputChannels,
      uses: uses)
  }
}

extension Convolution {
  /// A layer of its own: it reads the input's first quantized copy, or else the floats.
  convenience init(
    _ name: String, shape: ConvolutionShape, input: Activation, hasBias: Bool = false,
    quantizers: LayerQuantizers = LayerQuantizers(weight: nil, activation: nil, freezes: false), backend: CPUBackend
  ) {
    let output = Activation(of: shape)
    let copy = input.copies.first
    self.init(
      name: name, shape: shape, input: input, output: output, hasBias: hasBias, isFirst: false,
      arithmetic: .init(
        .init(shape, quantizers, backend), shape: shape, quantizers: quantizers, copy: copy, backend: backend),
      gradients: .init(
        output: .buffer(output.gradients[0]), input: copy.map { $0.gradient! } ?? input.gradients[0], firstPassOf: nil),
      sums: nil, backend: backend)
  }
}

extension BatchNormalization {
  /// A layer of its own, which runs both of its backward passes.
  convenience init(
    _ name: String, input: Activation, residual: Activation?, rectifier: Rectifier?, output: Activation,
    backend: CPUBackend
  ) {
    let channels = input.channels
    self.init(
      name: name, input: input, residual: residual, rectifier: rectifier, output: output, sums: nil,
      backwardPasses: .init(
        runsFirst: true,
        second: AffineGradient(
          x: residual?.gradients[0] ?? Buffer(count: input.count), y: .floats(input.values!),
          a: Buffer(count: channels),
          b: Buffer(count: channels), d: Buffer(count: channels)), inputGradient: input.gradients[0]),
      backend: backend)
  }
}

/// Σ g·y
func weightedSum(_ output: ReferenceTensor, _ gradient: [Float]) -> Double {
  zip(output.values, gradient).reduce(0) { $0 + $1.0 * Double($1.1) }
}
