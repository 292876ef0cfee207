import Datasets
import Diagnostics
public import Networks

/// Accuracy and loss over a test split.
public struct Evaluation: Sendable, Equatable {
  /// Mean cross-entropy (nats).
  public var loss: Double
  /// Shares of images in [0, 1].
  public var topOne: Double
  /// Share of images whose class is among the five largest logits, in [0, 1].
  public var topFive: Double
  /// Images that the means are over: one epoch of the batches, less those whose pictures are corrupt.
  public var images: Int
}

extension TrainingSpec {
  /// Of a full-precision network that is evaluated and never trained.
  public static func evaluating(_ model: ModelSpec, batchSize: Int) -> TrainingSpec {
    let unused = ParameterGroupSpec(optimizer: .sgd(momentum: 0, weightDecay: 0), learningRate: 0)
    return TrainingSpec(
      model: model, quantization: nil, freezing: nil, weights: unused, batchNorm: unused, quantizers: unused,
      learningRateSchedule: .constant, batchSize: batchSize, dropLastPartialBatch: false, totalSteps: 1, augment: false,
      seed: 0)
  }
}

extension Learner {
  /// Loss and accuracy over the batches of one epoch, with running statistics; changes nothing.
  /// - Throws: `Diagnostic` where no batch has an image; what the batches throw.
  func evaluate(_ batches: any BatchSource) throws -> Evaluation {
    var loss = 0.0
    var topOne = 0
    var topFive = 0
    var seen = 0
    for batch in 0..<batches.batchCount {
      let images = try loadAtOnce(batches, epoch: 0, batch: batch)
      guard images > 0 else { continue }
      let result = evaluate(images: images)
      loss += result.loss * Double(images)
      topOne += result.topOne
      topFive += result.topFive
      seen += images
    }
    guard seen > 0 else {
      throw Diagnostic("test images", "none of the \(batches.imageCount) can be decoded", remedy: "replace the files")
    }
    let count = Double(seen)
    return Evaluation(
      loss: loss / count, topOne: Double(topOne) / count, topFive: Double(topFive) / count,
      images: seen)
  }
}
