import Kernels
public import Tensor

/// The images at the network's start; quantized there where the first layer asks for it.
public final class ImageInput: Layer {
  public let name = "images"
  public let output: Activation
  /// nil where no quantizer learns from the images' gradient.
  package let gradient: Buffer<Float>?

  package init(output: Activation, gradient: Buffer<Float>?) {
    self.output = output
    self.gradient = gradient
  }

  public var parameters: [Parameter] { [] }

  public func forward(_ pass: ForwardPass) {
    pass.backend.measure(.normalizationAndQuantization) {
      output.emit(input: output.floats, scale: nil, shift: nil, residual: nil, relu: false, pass: pass)
    }
  }

  public func backward(_ pass: BackwardPass) {
    guard let gradient else { return }
    pass.backend.measure(.normalizationAndQuantization) { output.sumGradients(into: gradient, pass: pass) }
  }
}
