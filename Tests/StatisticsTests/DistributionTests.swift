import Foundation
import Statistics
import Testing

@Suite("Distributions")
struct DistributionTests {
  /// 97.5 % quantiles as published tables give them (NIST/SEMATECH e-Handbook 1.3.6.7.2).
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

  @Test("t agrees with SciPy")
  func student() throws {
    for expected in try Reference.load().t {
      let value = StudentT(degreesOfFreedom: expected.degrees).cumulative(expected.t)
      #expect(isClose(value, expected.cumulative, 1e-12), "\(expected)")
    }
  }

  @Test("noncentral t agrees with SciPy, and with t where it is central")
  func noncentral() throws {
    for expected in try Reference.load().noncentralT {
      let value = NoncentralT(degreesOfFreedom: expected.degrees, noncentrality: expected.noncentrality)
        .cumulative(expected.t)
      #expect(isClose(value, expected.cumulative, 1e-9), "\(expected)")
    }
    for t in [-2.0, 0.3, 5] {
      let central = NoncentralT(degreesOfFreedom: 6, noncentrality: 0).cumulative(t)
      #expect(isClose(central, StudentT(degreesOfFreedom: 6).cumulative(t), 1e-9))
    }
    // At t = 0 the scale does not matter: Φ(−δ).
    #expect(isClose(NoncentralT(degreesOfFreedom: 3, noncentrality: 1).cumulative(0), 0.158655253931457, 1e-9))
  }

  @Test("Dunnett's critical values agree with SciPy's integrals")
  func dunnett() throws {
    for expected in try Reference.load().dunnett {
      let distribution =
        if let replicates = expected.replicates, let baseline = expected.baseline {
          DunnettDistribution(
            replicates: replicates, baselineReplicates: baseline, degreesOfFreedom: expected.degrees)
        } else {
          DunnettDistribution(comparisons: try #require(expected.comparisons), degreesOfFreedom: expected.degrees)
        }
      let critical = distribution.criticalValue(confidence: expected.confidence, twoSided: expected.twoSided)
      #expect(isClose(critical, expected.critical, 2e-6), "\(expected): \(critical)")
    }
  }

  /// Dunnett 1964, table II (two-sided, joint confidence 95 %) and Dunnett 1955, table 1a (one-sided).
  @Test(
    "Dunnett's critical values agree with his tables",
    arguments: [
      (5.0, [2.57, 3.03, 3.29, 3.48], [2.02, 2.44, 2.68, 2.85]),
      (10, [2.23, 2.57, 2.76, 2.89], [1.81, 2.15, 2.34, 2.47]),
      (20, [2.09, 2.38, 2.54, 2.65], [1.72, 2.03, 2.19, 2.30]),
    ] as [(Double, [Double], [Double])])
  func dunnettTables(degrees: Double, twoSided: [Double], oneSided: [Double]) {
    for comparisons in 1...4 {
      let distribution = DunnettDistribution(comparisons: comparisons, degreesOfFreedom: degrees)
      let two = distribution.criticalValue(confidence: 0.95)
      #expect(isClose(two, twoSided[comparisons - 1], 0.00501), "\(comparisons) comparisons: \(two)")
      let one = distribution.criticalValue(confidence: 0.95, twoSided: false)
      #expect(isClose(one, oneSided[comparisons - 1], 0.00501), "\(comparisons) comparisons, one-sided: \(one)")
    }
  }

  @Test("one comparison is Student's t, and lower correlations need wider intervals")
  func dunnettLimits() {
    let single = DunnettDistribution(comparisons: 1, degreesOfFreedom: 7)
    #expect(isClose(single.cumulative(2.3), 2 * StudentT(degreesOfFreedom: 7).cumulative(2.3) - 1, 1e-9))
    #expect(
      isClose(
        single.cumulative(2.3, twoSided: false), StudentT(degreesOfFreedom: 7).cumulative(2.3), 1e-9))
    let values = [0, 0.25, 0.5, 0.75].map {
      DunnettDistribution(comparisons: 4, correlation: $0, degreesOfFreedom: 8).criticalValue(confidence: 0.95)
    }
    #expect(zip(values, values.dropFirst()).allSatisfy { $0 > $1 })
  }
}
