import Quantization

extension Experiment {
  /// What is allowed and may not be meant, one line each that begins with the file and the key path.
  public var warnings: [String] {
    let thresholds = points.compactMap { point -> Double? in
      guard case .freeze(let freezing) = point.settings.method, freezing.reads(.threshold), freezing.distanceEMA == 0,
        case .constant(let threshold) = freezing.schedule.label, threshold >= 0.5
      else { return nil }
      return threshold
    }
    guard let least = thresholds.min() else { return [] }
    return [
      "\(file): freezing.threshold: a fixed \(JSONValue.text(of: least)) with distanceEMA 0 freezes nearly every weight at "
        + "once, since none within the range is farther than half a spacing from its level; use less than 0.5, or an "
        + "average"
    ]
  }
}
