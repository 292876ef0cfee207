import Foundation
import Reporting
import Testing

@Suite("Statistics")
struct StatisticsTests {
  @Test("mean, standard deviation and standard error, by hand")
  func summary() throws {
    // Deviations -2, 0, 2 around 4: variance 8/2 = 4.
    let summary = try #require(Summary([2, 4, 6]))
    #expect(summary.mean == 4)
    #expect(summary.standardDeviation == 2)
    #expect(isClose(try #require(summary.standardError), 2 / 3.0.squareRoot(), 1e-15))
    // t(2) at 97.5 % is 0.95·√(2/(4·0.975·0.025)) = 4.302652729749462.
    let interval = try #require(summary.confidenceInterval())
    #expect(isClose(interval.lowerBound, 4 - 4.302652729749462 * 2 / 3.0.squareRoot(), 1e-12))
    #expect(isClose(interval.upperBound, 4 + 4.302652729749462 * 2 / 3.0.squareRoot(), 1e-12))
  }

  @Test("one value has a mean and no spread, none has nothing")
  func few() throws {
    let one = try #require(Summary([0.5]))
    #expect(one.mean == 0.5)
    #expect(one.standardError == nil)
    #expect(one.confidenceInterval() == nil)
    #expect(one.bootstrapInterval() == nil)
    #expect(Summary([]) == nil)
  }

  /// 97.5 % quantiles as published tables give them (NIST/SEMATECH e-Handbook 1.3.6.7.2), and closed forms for ν = 1, 2, 4.
  @Test(
    "t quantiles agree with published tables",
    arguments: [
      (1.0, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (6, 2.447), (9, 2.262), (10, 2.228), (19, 2.093),
      (29, 2.045), (30, 2.042), (60, 2.000), (100, 1.984),
    ])
  func quantile(degrees: Double, published: Double) {
    #expect(isClose(StudentT(degreesOfFreedom: degrees).quantile(0.975), published, 5.001e-4))
  }

  @Test("t quantiles agree with closed forms, at all probabilities", arguments: [0.001, 0.025, 0.3, 0.5, 0.8, 0.995])
  func closedForms(probability: Double) {
    // ν = 1 is the Cauchy distribution; ν = 2: t = (2p − 1)·√(2/(4p(1 − p))).
    let tangent = tan(.pi * (probability - 0.5))
    #expect(isClose(StudentT(degreesOfFreedom: 1).quantile(probability), tangent, 1e-11 * max(1, abs(tangent))))
    let two = (2 * probability - 1) * (1 / (2 * probability * (1 - probability))).squareRoot()
    #expect(isClose(StudentT(degreesOfFreedom: 2).quantile(probability), two, 1e-12 * max(1, abs(two))))
  }

  @Test("with many degrees of freedom t is normal")
  func normal() {
    #expect(isClose(StudentT(degreesOfFreedom: 1e6).quantile(0.975), 1.959963984540054, 1e-5))
  }

  @Test("the distribution is that of its own quantiles", arguments: [1.0, 2, 7, 199])
  func inverse(degrees: Double) {
    let distribution = StudentT(degreesOfFreedom: degrees)
    for probability in [0.01, 0.1, 0.5, 0.9, 0.975, 0.999] {
      #expect(isClose(distribution.cumulative(distribution.quantile(probability)), probability, 1e-12))
    }
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
}

/// False for NaN.
func isClose(_ value: Double, _ expected: Double, _ tolerance: Double) -> Bool { abs(value - expected) <= tolerance }
