import Statistics

/// "comparison": what the experiment claims; never part of a run's id.
extension Claim {
  static let outlines = [
    SettingOutline("comparison.margin", SettingCodec<Double>.margin.schema),
    SettingOutline("comparison.confidence", SettingCodec<Double>.confidence.schema),
    SettingOutline("comparison.test", SettingCodec<Claim.Test>.choice().schema),
  ]

  /// - Parameter reader: nil: nothing is claimed.
  init?(_ reader: ObjectReader?) throws(SettingError) {
    guard let reader else { return nil }
    let usual = Claim()
    self.init(
      margin: try reader.value("margin", .margin) ?? usual.margin,
      confidence: try reader.value("confidence", .confidence) ?? usual.confidence,
      test: try reader.value("test", .choice()) ?? usual.test)
  }
}

extension SettingCodec<Double> {
  /// Points of top-1.
  fileprivate static var margin: SettingCodec {
    number(
      "above 0 and at most 100, in points of top-1", SettingSchema(kind: .number, exclusiveMinimum: 0, maximum: 100)
    ) { $0 > 0 && $0 <= 100 }
  }

  fileprivate static var confidence: SettingCodec {
    number(
      "from \(Claim.confidences.lowerBound) to below 1, such as 0.95",
      SettingSchema(
        kind: .number, minimum: Claim.confidences.lowerBound, exclusiveMaximum: Claim.confidences.upperBound)
    ) { Claim.confidences.contains($0) }
  }
}
