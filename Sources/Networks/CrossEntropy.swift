public import Kernels
public import Tensor

/// Mean softmax cross-entropy over the batch (nats), and how well the labels rank.
public final class CrossEntropy {
  /// The scores of the classes, 1 × 1 × classes floats an image.
  public let logits: Activation
  /// One class an image, to be set before a pass.
  public let labels: Buffer<Int32>
  /// Per image, in nats: −log softmax(logits)[label] as of the last `evaluate`.
  public let losses: Buffer<Double>
  /// Per image: how many classes beat the label (0: top-1 correct).
  public let ranks: Buffer<Int32>
  /// Of the logits.
  package let gradient: Buffer<Float>

  package init(batch: Int, logits: Activation, gradient: Buffer<Float>, backend: any Backend) {
    self.logits = logits
    self.gradient = gradient
    labels = backend.allocate(Int32.self, count: batch)
    losses = backend.allocate(Double.self, count: batch)
    ranks = backend.allocate(Int32.self, count: batch)
  }

  /// What one `evaluate` found.
  public struct Result: Sendable {
    /// Mean over the batch.
    public var loss: Double
    /// Images whose label has the highest score.
    public var topOne: Int
    /// Images whose label is among the five highest scores.
    public var topFive: Int

    /// Of no images at first.
    package init(loss: Double, topOne: Int, topFive: Int) {
      self.loss = loss
      self.topOne = topOne
      self.topFive = topFive
    }
  }

  /// Computes the loss of the batch and, in training, the logits' gradient.
  /// - Parameter total: images of whose mean loss the gradient is; nil: those of the batch.
  public func evaluate(images: Int, of total: Int? = nil, withGradient: Bool, on backend: any Backend) -> Result {
    backend.softmaxCrossEntropy(
      logits: logits.floats, labels: labels, classes: logits.channels, images: images, total: total ?? images,
      losses: losses, ranks: ranks, gradient: withGradient ? gradient : nil)
    var result = Result(loss: BatchTree(images: images).sum(losses, over: backend.processes), topOne: 0, topFive: 0)
    for image in backend.share(of: images) {
      if ranks[image] < 1 { result.topOne += 1 }
      if ranks[image] < 5 { result.topFive += 1 }
    }
    var counts = [Double(result.topOne), Double(result.topFive)]
    counts.withUnsafeMutableBufferPointer { backend.processes.addUp($0, of: BatchTree(images: images)) }
    (result.topOne, result.topFive) = (Int(counts[0]), Int(counts[1]))
    result.loss /= Double(images)
    return result
  }
}
