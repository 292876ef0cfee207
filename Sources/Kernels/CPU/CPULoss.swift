import CKernels
@_spi(Kernels) public import Tensor

extension CPUBackend {
  /// `losses` are not divided by a number of images, the gradient is: (softmax − one hot) / `total`. An equal logit beats
  /// the label where its class is lower; a row with an infinite or NaN logit has the rank `Int32.max`.
  /// - Precondition: labels are in 0..<classes.
  public func softmaxCrossEntropy(
    logits: Buffer<Float>, labels: Buffer<Int32>, classes: Int, images: Int, total: Int, losses: Buffer<Double>,
    ranks: Buffer<Int32>, gradient: Buffer<Float>?
  ) {
    precondition(logits.count >= images * classes && labels.count >= images)
    precondition(losses.count >= images && ranks.count >= images)
    precondition(share(of: images).allSatisfy { labels.pointer[$0] >= 0 && labels.pointer[$0] < classes })
    overImages(images) { images, _ in
      pooling.softmax_cross_entropy(
        logits.pointer, labels.pointer, Int32(classes), 1 / Float(total), Int32(images.lowerBound),
        Int32(images.count), losses.pointer, ranks.pointer, gradient?.pointer)
    }
  }
}
