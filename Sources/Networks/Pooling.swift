public import Kernels
public import Tensor

/// A layer without parameters from one float activation to another: pooling, or the parameter-free shortcut.
public final class Pooling: Layer {
  /// As plans have it.
  public typealias Kind = Plan.Pooling.Kind

  /// The graph node's, for example "avgpool".
  public let name: String
  /// Which kernels the passes call.
  public let kind: Kind
  /// The window as a convolution's.
  public let shape: ConvolutionShape
  /// Read as floats.
  public let input: Activation
  /// Holds floats always, and levels for convolutions that quantize it.
  public let output: Activation
  /// Of max pooling: which position of its window each output element came from.
  private let winners: Buffer<UInt8>
  private let gradients: ValueGradients

  package init(
    name: String, kind: Kind, shape: ConvolutionShape, input: Activation, output: Activation, gradients: ValueGradients,
    backend: any Backend
  ) {
    self.name = name
    self.kind = kind
    self.shape = shape
    self.input = input
    self.output = output
    self.gradients = gradients
    winners = backend.allocate(UInt8.self, count: kind == .maximum ? shape.outputCount : 0)
  }

  /// None.
  public var parameters: [Parameter] { [] }

  /// Overwrites the output and, for maxima, which positions they came from.
  public func forward(_ pass: ForwardPass) {
    let backend = pass.backend
    backend.measure(.normalizationAndQuantization) {
      let result = output.floats
      switch kind {
      case .average: backend.averagePool(shape, input: input.floats, output: result, images: pass.images)
      case .maximum:
        backend.maxPool(shape, input: input.floats, output: result, winners: winners, images: pass.images)
      case .padShortcut: backend.padShortcut(shape, input: input.floats, output: result, images: pass.images)
      }
      output.emit(input: .floats(result), scale: nil, shift: nil, residual: nil, rectifier: nil, pass: pass)
    }
  }

  /// Overwrites the input's gradient and sets those of the quantizers that read the output. Maxima need the winners of
  /// the last forward.
  public func backward(_ pass: BackwardPass) {
    let backend = pass.backend
    backend.measure(.normalizationAndQuantization) {
      if gradients.sumsOutput { output.sumGradients(into: gradients.output, pass: pass) }
      switch kind {
      case .average:
        backend.averagePoolBackward(
          shape, outputGradient: gradients.output, inputGradient: gradients.input, images: pass.images)
      case .maximum:
        backend.maxPoolBackward(
          shape, outputGradient: gradients.output, winners: winners, inputGradient: gradients.input,
          images: pass.images)
      case .padShortcut:
        backend.padShortcutBackward(
          shape, outputGradient: gradients.output, inputGradient: gradients.input, images: pass.images)
      }
    }
  }
}

/// The gradients of a layer that gives floats as they are.
package struct ValueGradients {
  var output: Buffer<Float>
  /// Whether the gradients that arrive are added up in `output` first; else the one that arrives lies there.
  var sumsOutput: Bool
  var input: Buffer<Float>

  package init(output: Buffer<Float>, sumsOutput: Bool, input: Buffer<Float>) {
    self.output = output
    self.sumsOutput = sumsOutput
    self.input = input
  }
}
