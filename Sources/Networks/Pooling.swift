public import Kernels
public import Tensor

/// A layer without parameters from one float activation to another: pooling, or the parameter-free shortcut.
public final class Pooling: Layer {
  public enum Kind: Sendable {
    case average
    case maximum
    /// Every stride-th pixel, zero channels in equal numbers on both sides.
    case padShortcut
  }

  public let name: String
  public let kind: Kind
  public let shape: ConvolutionShape
  public let input: Activation
  public let output: Activation
  private let winners: Buffer<UInt8>?
  private var preGradient: GradientSlot?
  private var inputGradient: GradientSlot?

  /// `shape` describes the window as a convolution's; only `padShortcut` may change the number of channels.
  public init(name: String, kind: Kind, shape: ConvolutionShape, input: Activation) {
    self.name = name
    self.kind = kind
    self.shape = shape
    self.input = input
    output = Activation(
      batch: shape.batch, height: shape.outputHeight, width: shape.outputWidth, channels: shape.outputChannels)
    winners = kind == .maximum ? Buffer(count: shape.outputCount) : nil
    input.requireValues()
    output.requireValues()
  }

  public var parameters: [Parameter] { [] }

  public func forward(_ pass: ForwardPass) {
    pass.context.measure(.normalizationAndQuantization) {
      let result = output.values!
      switch kind {
      case .average: pass.context.averagePool(shape, input: input.values!, output: result, images: pass.images)
      case .maximum:
        pass.context.maxPool(shape, input: input.values!, output: result, winners: winners!, images: pass.images)
      case .padShortcut: pass.context.padShortcut(shape, input: input.values!, output: result, images: pass.images)
      }
      output.emit(input: result, scale: nil, shift: nil, residual: nil, relu: false, pass: pass)
    }
  }

  /// Whether one float gradient arrives, to be read where it lies.
  private var passesGradientThrough: Bool { output.gradients.count == 1 && output.copies.isEmpty }

  public func planBackward(_ planner: GradientPlanner) {
    let pre = passesGradientThrough ? output.gradients[0] : output.planCollection(planner)
    preGradient = pre
    let gradient = planner.acquire(count: shape.inputCount)
    inputGradient = gradient
    input.addGradient(gradient)
    planner.release(pre)
  }

  public func backward(_ pass: BackwardPass) {
    pass.context.measure(.normalizationAndQuantization) {
      let pre = preGradient!.buffer
      if !passesGradientThrough {
        output.collectGradient(preGradient: pre, pass: pass)
      }
      let gradient = inputGradient!.buffer
      switch kind {
      case .average:
        pass.context.averagePoolBackward(shape, outputGradient: pre, inputGradient: gradient, images: pass.images)
      case .maximum:
        pass.context.maxPoolBackward(
          shape, outputGradient: pre, winners: winners!, inputGradient: gradient, images: pass.images)
      case .padShortcut:
        pass.context.padShortcutBackward(shape, outputGradient: pre, inputGradient: gradient, images: pass.images)
      }
    }
  }
}
