import Quantization
import Tensor

/// The two ways to quantize that layers meet.
enum Rules: CaseIterable, Sendable {
  /// Fixed scales of weights, learned ones of activations.
  case scale
  /// Learned ranges of both.
  case range

  func weights(
    bits: Int, rangeGradient: RangeGradient = .dense, learnsOutputScale: Bool = false
  ) -> any WeightQuantizer {
    let rule: WeightRule = self == .range ? .learnedRange : learnsOutputScale ? .learnedOutputScale : .fixedScale
    return rule.quantizer(bits: bits, rangeGradient: rangeGradient, layer: "layer")
  }

  func activations(bits: Int, layer: String = "layer") -> any ActivationQuantizer {
    (self == .range ? ActivationRule.learnedRange : .learnedScale).quantizer(bits: bits, layer: layer)
  }
}

extension WeightQuantizer {
  /// Sets the numbers of a scale, or of a range.
  func set(scale: Float, lower: Float, upper: Float) { setNumbers(parameters, scale, lower, upper) }
}

extension ActivationQuantizer {
  /// Sets the numbers of a scale, or of a range.
  func set(scale: Float, lower: Float, upper: Float) {
    setNumbers(parameters, scale, lower, upper)
    isInitialized = true
  }
}

private func setNumbers(_ parameters: [Parameter], _ scale: Float, _ lower: Float, _ upper: Float) {
  for (parameter, value) in zip(parameters, parameters.count == 1 ? [scale] : [upper, lower]) {
    parameter.scalar = value
  }
}
