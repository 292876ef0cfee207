import Kernels
public import Tensor

/// The images at the network's start; quantized there where the first layer asks for it.
public final class ImageInput: Layer {
  /// No module of PyTorch's: the graph's first node.
  public let name = "images"
  /// Its floats are written from outside, before a pass.
  public let output: Activation
  /// nil where no quantizer learns from the images' gradient.
  package let gradient: Buffer<Float>?

  package init(output: Activation, gradient: Buffer<Float>?) {
    self.output = output
    self.gradient = gradient
  }

  /// None.
  public var parameters: [Parameter] { [] }

  /// Leaves the floats as they are and quantizes them where the first layer reads levels.
  public func forward(_ pass: ForwardPass) {
    pass.backend.measure(.normalizationAndQuantization) {
      output.emit(input: .floats(output.floats), scale: nil, shift: nil, residual: nil, rectifier: nil, pass: pass)
    }
  }

  /// Does something only where a quantizer of the images learns: sets its gradients.
  public func backward(_ pass: BackwardPass) {
    guard let gradient else { return }
    pass.backend.measure(.normalizationAndQuantization) { output.sumGradients(into: gradient, pass: pass) }
  }
}
