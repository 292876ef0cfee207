import CKernels
@_spi(Kernels) public import Tensor

/// Pooling and the parameter-free shortcut.
extension CPUBackend {
  private func overRuns(_ images: Int, _ body: (_ first: Int32, _ count: Int32) -> Void) {
    overImages(images) { images, _ in body(Int32(images.lowerBound), Int32(images.count)) }
  }

  /// Divides by the whole window, padding included. The shape's input and output channels are equal in number.
  public func averagePool(_ shape: ConvolutionShape, input: Buffer<Float>, output: Buffer<Float>, images: Int) {
    precondition(input.count >= shape.inputCount && output.count >= shape.outputCount)
    withUnsafePointer(to: shape.c) { c in
      overRuns(images) { pooling.average_forward(c, input.pointer, output.pointer, $0, $1) }
    }
  }

  /// Overwrites the first `images` images of the input gradient.
  public func averagePoolBackward(
    _ shape: ConvolutionShape, outputGradient: Buffer<Float>, inputGradient: Buffer<Float>, images: Int
  ) {
    precondition(inputGradient.count >= shape.inputCount && outputGradient.count >= shape.outputCount)
    withUnsafePointer(to: shape.c) { c in
      overRuns(images) {
        pooling.average_backward(c, outputGradient.pointer, inputGradient.pointer, $0, $1)
      }
    }
  }

  /// `winners`, one an output element: kernel width · row + column in the window, from 0; the first of equal maxima.
  /// NaN wins. Windows have at most 255 positions.
  public func maxPool(
    _ shape: ConvolutionShape, input: Buffer<Float>, output: Buffer<Float>, winners: Buffer<UInt8>, images: Int
  ) {
    precondition(shape.kernelHeight * shape.kernelWidth <= 255, "a pooling window has at most 255 positions")
    precondition(input.count >= shape.inputCount && output.count >= shape.outputCount)
    precondition(winners.count >= shape.outputCount)
    withUnsafePointer(to: shape.c) { c in
      overRuns(images) { pooling.max_forward(c, input.pointer, output.pointer, winners.pointer, $0, $1) }
    }
  }

  /// Overwrites the first `images` images of the input gradient; windows that overlap add up.
  public func maxPoolBackward(
    _ shape: ConvolutionShape, outputGradient: Buffer<Float>, winners: Buffer<UInt8>, inputGradient: Buffer<Float>,
    images: Int
  ) {
    precondition(inputGradient.count >= shape.inputCount && outputGradient.count >= shape.outputCount)
    withUnsafePointer(to: shape.c) { c in
      overRuns(images) {
        pooling.max_backward(c, outputGradient.pointer, winners.pointer, inputGradient.pointer, $0, $1)
      }
    }
  }

  /// (output − input channels) / 2 zero channels come before, rounded down, and the rest after.
  public func padShortcut(_ shape: ConvolutionShape, input: Buffer<Float>, output: Buffer<Float>, images: Int) {
    precondition(input.count >= shape.inputCount && output.count >= shape.outputCount)
    withUnsafePointer(to: shape.c) { c in
      overRuns(images) { pooling.pad_shortcut_forward(c, input.pointer, output.pointer, $0, $1) }
    }
  }

  /// Overwrites the first `images` images of the input gradient.
  public func padShortcutBackward(
    _ shape: ConvolutionShape, outputGradient: Buffer<Float>, inputGradient: Buffer<Float>, images: Int
  ) {
    precondition(inputGradient.count >= shape.inputCount && outputGradient.count >= shape.outputCount)
    withUnsafePointer(to: shape.c) { c in
      overRuns(images) {
        pooling.pad_shortcut_backward(c, outputGradient.pointer, inputGradient.pointer, $0, $1)
      }
    }
  }
}
