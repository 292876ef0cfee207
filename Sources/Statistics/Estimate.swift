/// An estimated difference of two settings, such as points of top-1.
public struct Estimate: Equatable, Sendable {
  /// Setting less baseline.
  public let value: Double
  /// Of `value`, never below the resolution it was made with.
  public let standardError: Double
  /// ν of the standard error.
  public let degreesOfFreedom: Double

  /// - Parameter resolution: a floor of the standard error: the step of what was measured. A top-1 accuracy is a whole number
  ///   of test images, so a spread of zero only says that the truth hides within that step (1/images), not that it is known;
  ///   with the floor no interval of a confidence of 0.5 or more is narrower than the step.
  /// - Precondition: at least one degree of freedom, nothing negative.
  public init(value: Double, standardError: Double, degreesOfFreedom: Double, resolution: Double = 0) {
    precondition(degreesOfFreedom >= 1 && standardError >= 0 && resolution >= 0, "not an estimate")
    self.value = value
    self.standardError = max(standardError, resolution)
    self.degreesOfFreedom = degreesOfFreedom
  }

  /// The mean of differences paired by seed; nil for fewer than two pairs.
  public init?(paired differences: Summary?, resolution: Double = 0) {
    guard let differences, let standardError = differences.standardError else { return nil }
    self.init(
      value: differences.mean, standardError: standardError, degreesOfFreedom: Double(differences.count - 1),
      resolution: resolution)
  }

  /// Value ± t · standard error, with the two-sided quantile of Student's t.
  public func interval(confidence: Double = 0.95) -> ClosedRange<Double> {
    interval(criticalValue: StudentT(degreesOfFreedom: degreesOfFreedom).quantile((1 + confidence) / 2))
  }

  /// Value ± `criticalValue` standard errors, such as Dunnett's.
  public func interval(criticalValue: Double) -> ClosedRange<Double> {
    (value - criticalValue * standardError)...(value + criticalValue * standardError)
  }

  /// The probability of an estimate at least as high if the truth were `bound`, small where the truth is above it.
  public func pValue(above bound: Double) -> Double {
    StudentT(degreesOfFreedom: degreesOfFreedom).cumulative(Self.ratio(bound - value, standardError))
  }

  /// The probability of an estimate at least as low if the truth were `bound`, small where the truth is below it.
  public func pValue(below bound: Double) -> Double {
    StudentT(degreesOfFreedom: degreesOfFreedom).cumulative(Self.ratio(value - bound, standardError))
  }

  /// Without a spread (and a resolution of 0) a difference is infinitely many standard errors, and none is none.
  private static func ratio(_ difference: Double, _ standardError: Double) -> Double {
    difference == 0 ? 0 : difference / standardError
  }
}
