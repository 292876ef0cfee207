import Statistics

/// "comparison": what the experiment claims; never part of a run's id.
extension Claim {
  static let outlines: [SettingOutline] = {
    let usual = Claim()
    return [
      SettingOutline("comparison.margin", .margin, default: usual.margin),
      SettingOutline("comparison.confidence", .confidence, default: usual.confidence),
      SettingOutline("comparison.test", .test, default: usual.test),
    ]
  }()

  /// - Parameter reader: nil: nothing is claimed.
  init?(_ reader: ObjectReader?) throws(SettingError) {
    guard let reader else { return nil }
    let usual = Claim()
    self.init(
      margin: try reader.value("margin", .margin) ?? usual.margin,
      confidence: try reader.value("confidence", .confidence) ?? usual.confidence,
      test: try reader.value("test", .test) ?? usual.test)
  }
}

extension SettingCodec<Double> {
  /// Points of top-1.
  fileprivate static var margin: SettingCodec {
    number(
      "above 0 and at most 100, in points of top-1", SettingSchema(kind: .number, exclusiveMinimum: 0, maximum: 100)
    ) { $0 > 0 && $0 <= 100 }.described("Points of top-1 that make no difference.")
  }

  fileprivate static var confidence: SettingCodec {
    number(
      "from \(Claim.confidences.lowerBound) to below 1, such as 0.95",
      SettingSchema(
        kind: .number, minimum: Claim.confidences.lowerBound, exclusiveMaximum: Claim.confidences.upperBound)
    ) { Claim.confidences.contains($0) }.described("1 - alpha of every test and interval.")
  }
}

extension SettingCodec<Claim.Test> {
  fileprivate static var test: SettingCodec {
    choice().described("nonInferiority: on par or better. equivalence: on par.")
  }
}
