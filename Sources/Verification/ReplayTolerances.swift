import Tensor

/// How far a replay may be from its trace.
///
/// Rounding makes training chaotic: one activation on the other side of a rounding boundary moves everything after it. In
/// clean steps, and at the end of traces that have no others, numbers agree to float32's rounding; later only as closely as
/// float32 computations agree with each other. Beside each bound stands the largest deviation measured, over all committed
/// traces and six of ResNet-20, with each instruction set and one to three threads.
struct ReplayTolerances {
  let isClean: Bool

  /// Of the cross-entropy, nats. Measured: 1.1e-7 clean, else 0.12.
  func loss(step: Int, float32Deviation: Double) -> Double {
    isClean ? (step <= 2 ? 1e-4 : 1e-3) : min(3 * float32Deviation + 0.05, 0.5)
  }

  /// Weights frozen in one of the two alone, as a share of those that may freeze. Measured: 0 clean, else 0.0047.
  var frozenShare: Double { isClean ? 0.001 : 0.01 }
  var masks: Double { isClean ? 0.001 : 0.05 }

  /// Largest difference, relative where numbers are above 1. Measured: 1.4e-7.
  static let quantizerStart = 1e-5
  /// After each update, likewise. Measured: 4.7e-7 clean, else 2.9e-4.
  var quantizers: Double { isClean ? 2e-6 : 3e-3 }
  /// Relative error of what they learned from the initialization to the end. Measured: 0.0075 clean, else 0.16.
  var quantizerChange: Double { isClean ? 0.05 : 0.6 }

  /// Relative errors. Measured: 7.6e-4.
  static func firstGradient(_ group: ParameterGroup) -> Double { group == .quantizers ? 5e-3 : 1e-3 }
  /// Relative errors. Measured: 9.4e-7 clean, else 0.036.
  var finalTensors: Double { isClean ? 1e-5 : 0.2 }
  /// Relative error. Measured: 1.4e-7 clean, else 0.17.
  var logits: Double { isClean ? 1e-5 : 0.5 }
}
