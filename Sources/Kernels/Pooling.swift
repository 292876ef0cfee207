import CKernels
public import Tensor

/// Pooling, the parameter-free shortcut and the loss.
extension ComputeContext {
  private func overImages(_ images: Int, _ body: (_ first: Int32, _ count: Int32) -> Void) {
    let slices = Self.slices(of: images)
    pool.run(slices) { slice, _ in
      let range = Self.slice(slice, of: slices, count: images)
      body(Int32(range.lowerBound), Int32(range.count))
    }
  }

  /// Means over windows; padding counts as zeros.
  public func averagePool(_ shape: ConvolutionShape, input: Buffer<Float>, output: Buffer<Float>, images: Int) {
    precondition(input.count >= shape.inputCount && output.count >= shape.outputCount)
    withUnsafePointer(to: shape.c) { c in
      overImages(images) { pooling.average_forward(c, input.pointer, output.pointer, $0, $1) }
    }
  }

  public func averagePoolBackward(
    _ shape: ConvolutionShape, outputGradient: Buffer<Float>, inputGradient: Buffer<Float>, images: Int
  ) {
    precondition(inputGradient.count >= shape.inputCount && outputGradient.count >= shape.outputCount)
    withUnsafePointer(to: shape.c) { c in
      overImages(images) {
        pooling.average_backward(c, outputGradient.pointer, inputGradient.pointer, $0, $1)
      }
    }
  }

  /// Maxima over windows; padding is ignored. `winners` remembers which position won.
  public func maxPool(
    _ shape: ConvolutionShape, input: Buffer<Float>, output: Buffer<Float>, winners: Buffer<UInt8>, images: Int
  ) {
    precondition(shape.kernelHeight * shape.kernelWidth <= 255, "a pooling window has at most 255 positions")
    precondition(input.count >= shape.inputCount && output.count >= shape.outputCount)
    precondition(winners.count >= shape.outputCount)
    withUnsafePointer(to: shape.c) { c in
      overImages(images) { pooling.max_forward(c, input.pointer, output.pointer, winners.pointer, $0, $1) }
    }
  }

  public func maxPoolBackward(
    _ shape: ConvolutionShape, outputGradient: Buffer<Float>, winners: Buffer<UInt8>, inputGradient: Buffer<Float>,
    images: Int
  ) {
    precondition(inputGradient.count >= shape.inputCount && outputGradient.count >= shape.outputCount)
    withUnsafePointer(to: shape.c) { c in
      overImages(images) {
        pooling.max_backward(c, outputGradient.pointer, winners.pointer, inputGradient.pointer, $0, $1)
      }
    }
  }

  /// Every stride-th pixel, with zero channels in equal numbers on both sides.
  public func padShortcut(_ shape: ConvolutionShape, input: Buffer<Float>, output: Buffer<Float>, images: Int) {
    precondition(input.count >= shape.inputCount && output.count >= shape.outputCount)
    withUnsafePointer(to: shape.c) { c in
      overImages(images) { pooling.pad_shortcut_forward(c, input.pointer, output.pointer, $0, $1) }
    }
  }

  public func padShortcutBackward(
    _ shape: ConvolutionShape, outputGradient: Buffer<Float>, inputGradient: Buffer<Float>, images: Int
  ) {
    precondition(inputGradient.count >= shape.inputCount && outputGradient.count >= shape.outputCount)
    withUnsafePointer(to: shape.c) { c in
      overImages(images) {
        pooling.pad_shortcut_backward(c, outputGradient.pointer, inputGradient.pointer, $0, $1)
      }
    }
  }

  /// Softmax cross-entropy in nats: one loss and one rank (how many classes beat the label) an image, and the gradient
  /// of the batch's mean loss where `gradient` is given.
  public func softmaxCrossEntropy(
    logits: Buffer<Float>, labels: Buffer<Int32>, classes: Int, images: Int, losses: Buffer<Double>,
    ranks: Buffer<Int32>, gradient: Buffer<Float>?
  ) {
    precondition(logits.count >= images * classes && labels.count >= images)
    precondition(losses.count >= images && ranks.count >= images)
    precondition((0..<images).allSatisfy { labels.pointer[$0] >= 0 && labels.pointer[$0] < classes })
    pooling.softmax_cross_entropy(
      logits.pointer, labels.pointer, Int32(classes), 1 / Float(images), 0, Int32(images), losses.pointer,
      ranks.pointer, gradient?.pointer)
  }
}
