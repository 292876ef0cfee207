import Foundation
import Statistics
import Testing

@Suite("Summaries and estimates")
struct SummaryTests {
  @Test("mean, standard deviation and standard error, by hand")
  func summary() throws {
    // Deviations -2, 0, 2 around 4: variance 8/2 = 4.
    let summary = try #require(Summary([2, 4, 6]))
    #expect(summary.mean == 4)
    #expect(summary.standardDeviation == 2)
    #expect(isClose(try #require(summary.standardError), 2 / 3.0.squareRoot(), 1e-15))
    // t(2) at 97.5 % is 0.95·√(2/(4·0.975·0.025)) = 4.302652729749462.
    let half = 4.302652729749462 * 2 / 3.0.squareRoot()
    let interval = try #require(Estimate(paired: summary)).interval()
    #expect(isClose(interval.lowerBound, 4 - half, 1e-12) && isClose(interval.upperBound, 4 + half, 1e-12))
  }

  @Test("one value has a mean and no spread, none has nothing")
  func few() throws {
    let one = try #require(Summary([0.5]))
    #expect(one.mean == 0.5)
    #expect(one.standardError == nil)
    #expect(Estimate(paired: one) == nil && Estimate(paired: nil) == nil)
    #expect(one.bootstrapInterval() == nil)
    #expect(Summary([]) == nil)
  }

  @Test("the bootstrap is reproducible, needs five values and agrees with enumeration")
  func bootstrap() throws {
    #expect(Summary([1, 2, 3, 4])?.bootstrapInterval() == nil)
    // Means of resamples of {0,0,0,0,1} are k/5 with k binomial(5, 1/5): P(k = 0) = 0.33, P(k ≤ 2) = 0.942,
    // P(k ≤ 3) = 0.993, so the central 95 % run from 0 to 3/5.
    let summary = try #require(Summary([0, 0, 0, 0, 1]))
    let interval = try #require(summary.bootstrapInterval(seed: 7))
    #expect(interval == summary.bootstrapInterval(seed: 7))
    #expect(isClose(interval.lowerBound, 0, 1e-15) && isClose(interval.upperBound, 0.6, 1e-12))
    let other = try #require(Summary([0.1, 0.25, 0.3, 0.42, 0.5, 0.61])?.bootstrapInterval(seed: 1))
    #expect(other != Summary([0.1, 0.25, 0.3, 0.42, 0.5, 0.61])?.bootstrapInterval(seed: 2))
    #expect(other.lowerBound < 0.3633 && other.upperBound > 0.3633)
  }

  @Test("no spread is no certainty: an interval is never narrower than the step of what was measured")
  func resolution() throws {
    // Three differences of -1 on a test set of 100 images, whose step is one point.
    let estimate = try #require(Estimate(paired: Summary([-1, -1, -1]), resolution: 1))
    for confidence in [0.5, 0.9, 0.95] {
      let interval = estimate.interval(confidence: confidence)
      #expect(interval.upperBound - interval.lowerBound >= 1)
      #expect(isClose((interval.upperBound + interval.lowerBound) / 2, -1, 1e-12))
    }
    #expect(estimate.interval().contains(0))
    // A larger spread is left as it is.
    #expect(Estimate(value: 0, standardError: 2, degreesOfFreedom: 4, resolution: 1).standardError == 2)
  }

  @Test("the step of accuracies is that of the test set")
  func step() {
    #expect(accuracyStep([0.8, 0.79, 0.5]) == 0.01)
    #expect(accuracyStep([0.6637, 0.6575]) == 1 / 10_000.0)
    #expect(accuracyStep([1 / 3.0, 0.5]) == 1 / 6.0)
    #expect(accuracyStep([(0.5).squareRoot()]) == 0)
    #expect(accuracyStep([]) == 0)
  }

  @Test("one-sided p values, by hand")
  func pValues() {
    // t(2) below 2 is 1/2 + 2/(2·√(2 + 4)) = 0.908248290463863.
    let estimate = Estimate(value: 1, standardError: 0.5, degreesOfFreedom: 2)
    #expect(isClose(estimate.pValue(above: 0), 1 - 0.908248290463863, 1e-12))
    #expect(isClose(estimate.pValue(below: 2), 1 - 0.908248290463863, 1e-12))
    #expect(isClose(estimate.pValue(above: 1), 0.5, 1e-15))
    #expect(isClose(estimate.pValue(below: 0), 0.908248290463863, 1e-12))
    let certain = Estimate(value: 1, standardError: 0, degreesOfFreedom: 2)
    #expect(certain.pValue(above: 0) == 0 && certain.pValue(above: 1) == 0.5 && certain.pValue(below: 0) == 1)
  }
}
