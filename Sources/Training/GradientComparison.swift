import Datasets
public import Kernels
import Networks
import Quantization
import Tensor

/// How far weight gradients that are formed in 16-bit integers are from those in floats, on a run's own weights and batches.
public final class GradientComparison {
  /// Of a layer's weight gradient on one batch.
  public struct Deviation: Sendable {
    /// Training steps that were done before.
    public var step: Int
    /// PyTorch's name.
    public var layer: String
    /// ‖g₁₆ − g₃₂‖ / ‖g₃₂‖, Euclidean norms; 0 where both are 0.
    public var relative: Double
    /// max |g₁₆ − g₃₂| / max |g₃₂|; 0 where both are 0.
    public var largest: Double
  }

  private let session: TrainingSession
  private let floats: Learner
  private let integers: Learner

  /// Two networks like the session's, of which no weight freezes.
  /// - Throws: `NetworkError` where there is no such network.
  /// - Precondition: the session's network is quantized.
  public init(of session: TrainingSession, threads: Int, instructionSet: InstructionSet = .best) throws {
    self.session = session
    func learner(_ gradients: GradientArithmetic) throws -> Learner {
      precondition(session.spec.quantization != nil, "gradients from levels are a quantized network's")
      var spec = session.spec
      spec.freezing = nil
      spec.quantization?.gradients = gradients
      return try Learner(
        spec: spec, backend: CPUBackend(threads: threads, instructionSet: instructionSet),
        batch: min(spec.batchSize, session.training.imageCount),
        atOnce: min(spec.imagesAtOnce, session.training.imageCount))
    }
    floats = try learner(.float32)
    integers = try learner(.int16)
  }

  /// Of every layer that has integers to form its gradient from, on the batch of the session's next step. The session is left
  /// as it is.
  /// - Precondition: the session has done a step.
  public func deviations() throws -> [Deviation] {
    let (epoch, batch) = session.step.quotientAndRemainder(dividingBy: session.batchesPerEpoch)
    let tensors = session.finalTensors()
    for learner in [floats, integers] {
      try learner.network.load(tensors, roles: [.parameter, .statistic, .quantizer])
      learner.network.areActivationQuantizersInitialized = true
      learner.step = session.step
      _ = learner.computeGradients(images: try learner.load(session.training, epoch: epoch, batch: batch))
    }
    return zip(floats.network.convolutions, integers.network.convolutions).compactMap { expected, found in
      guard found.formsGradientInIntegers else { return nil }
      var squares = (difference: 0.0, norm: 0.0)
      var maxima = squares
      for index in 0..<expected.weight.gradient.count {
        let value = Double(expected.weight.gradient[index])
        let difference = Double(found.weight.gradient[index]) - value
        squares.difference += difference * difference
        squares.norm += value * value
        maxima.difference = max(maxima.difference, abs(difference))
        maxima.norm = max(maxima.norm, abs(value))
      }
      func ratio(_ difference: Double, _ norm: Double) -> Double { difference == 0 ? 0 : difference / norm }
      return Deviation(
        step: session.step, layer: expected.name,
        relative: ratio(squares.difference, squares.norm).squareRoot(),
        largest: ratio(maxima.difference, maxima.norm))
    }
  }
}
