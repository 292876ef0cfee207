public import Kernels
public import Tensor

/// Mean softmax cross-entropy over the batch (nats), and how well the labels rank.
public final class CrossEntropy {
  public let logits: Activation
  public let labels: Buffer<Int32>
  public let losses: Buffer<Double>
  /// Per image: how many classes beat the label (0: top-1 correct).
  public let ranks: Buffer<Int32>
  private let gradient: GradientSlot

  public init(batch: Int, logits: Activation, planner: GradientPlanner) {
    self.logits = logits
    labels = Buffer(count: batch)
    losses = Buffer(count: batch)
    ranks = Buffer(count: batch)
    gradient = planner.acquire(count: logits.count)
    logits.addGradient(gradient)
  }

  public struct Result: Sendable {
    /// Mean over the batch.
    public var loss: Double
    public var topOne: Int
    public var topFive: Int
  }

  /// Computes the loss of the batch and, in training, the logits' gradient.
  public func evaluate(images: Int, withGradient: Bool, on context: ComputeContext) -> Result {
    context.softmaxCrossEntropy(
      logits: logits.values!, labels: labels, classes: logits.channels, images: images, losses: losses, ranks: ranks,
      gradient: withGradient ? gradient.buffer : nil)
    var result = Result(loss: 0, topOne: 0, topFive: 0)
    for image in 0..<images {
      result.loss += losses.pointer[image]
      if ranks.pointer[image] < 1 { result.topOne += 1 }
      if ranks.pointer[image] < 5 { result.topFive += 1 }
    }
    result.loss /= Double(images)
    return result
  }
}
