package import Kernels
public import Tensor

/// Sets numbers to 0 at random in training and scales the others by 1 / (1 − rate); evaluation changes nothing.
public final class Dropout: Layer {
  /// The graph node's, for example "classifier.0".
  public let name: String
  /// Probability of 0.
  public let rate: Double
  /// Tells one from another: its random numbers are its own.
  public let number: Int
  /// Read as floats.
  public let input: Activation
  /// Holds floats always, and levels for convolutions that quantize it.
  public let output: Activation
  /// Of the last training forward: 0 or 1 / (1 − rate).
  private let factors: Buffer<Float>
  private let gradients: ValueGradients

  package init(
    name: String, rate: Double, number: Int, input: Activation, output: Activation, gradients: ValueGradients,
    backend: any Backend
  ) {
    self.name = name
    self.rate = rate
    self.number = number
    self.input = input
    self.output = output
    self.gradients = gradients
    factors = backend.allocate(Float.self, count: input.count)
  }

  /// None.
  public var parameters: [Parameter] { [] }

  /// Overwrites the output. What is dropped depends on the pass's draw, on the image's place in it and on the layer alone.
  public func forward(_ pass: ForwardPass) {
    pass.backend.measure(.normalizationAndQuantization) {
      guard pass.isTraining else {
        output.emit(input: .floats(input.floats), scale: nil, shift: nil, residual: nil, rectifier: nil, pass: pass)
        return
      }
      for image in pass.backend.share(of: pass.images) { draw(image, pass.draw) }
      pass.backend.multiply(
        input.floats, by: factors, output: output.floats, images: pass.images, elementsPerImage: input.elementsPerImage)
      output.emit(input: .floats(output.floats), scale: nil, shift: nil, residual: nil, rectifier: nil, pass: pass)
    }
  }

  private func draw(_ image: Int, _ draw: ForwardPass.Draw) {
    var random = CounterRandom(
      seed: draw.seed,
      stream: UInt64(draw.step) << 32 | UInt64(number) << 20 | UInt64(draw.firstImage + image), purpose: .dropout)
    let kept = Float(1 / (1 - rate))
    for index in image * input.elementsPerImage..<(image + 1) * input.elementsPerImage {
      factors[index] = Double(random.uniform()) < rate ? 0 : kept
    }
  }

  /// Overwrites the input's gradient and sets those of the quantizers that read the output.
  public func backward(_ pass: BackwardPass) {
    pass.backend.measure(.normalizationAndQuantization) {
      if gradients.sumsOutput { output.sumGradients(into: gradients.output, pass: pass) }
      pass.backend.multiply(
        gradients.output, by: factors, output: gradients.input, images: pass.images,
        elementsPerImage: input.elementsPerImage)
    }
  }
}
