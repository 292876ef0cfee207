import Networks
import Quantization
import Tensor

extension Network {
  /// The first part of the state with a number that is NaN or infinite, in one line; nil: there is none.
  var nonFinitePart: String? {
    for part in state where part.role == .parameter || part.role == .quantizer || part.role == .statistic {
      guard case .floats(let buffer) = part.values else { continue }
      let count = buffer.count { !$0.isFinite }
      if count > 0 { return "\(part.fullName) holds \(count) numbers of \(buffer.count) that are not finite" }
    }
    return nil
  }

  /// The first learned range whose ends have met or crossed (h ≤ l), or are no numbers; nil: there is none.
  var emptyRange: String? {
    for layer in convolutions {
      let ranges = [
        ("weight", layer.weightQuantizer?.upperBound, layer.weightQuantizer?.lowerBound),
        ("activation", layer.activationQuantizer?.upperBound, layer.activationQuantizer?.lowerBound),
      ]
      for case (let kind, let upper?, let lower?) in ranges where !(upper > lower) {
        let ends = "upper end \(Float(upper)), lower end \(Float(lower))"
        let isFinite = upper.isFinite && lower.isFinite
        return "the \(kind) range of \(layer.name) is \(isFinite ? "empty" : "not finite"): \(ends)"
      }
    }
    return nil
  }
}
