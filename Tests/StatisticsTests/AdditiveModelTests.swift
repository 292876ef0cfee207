import Foundation
import Statistics
import Testing

@Suite("Settings beside seeds")
struct AdditiveModelTests {
  private func observations(_ rows: [[Double?]]) -> [AdditiveModel.Observation] {
    rows.enumerated().flatMap { setting, row in
      row.enumerated().compactMap { block, value in
        value.map { AdditiveModel.Observation(setting: setting, block: block, value: $0) }
      }
    }
  }

  @Test("a balanced table, by hand")
  func byHand() throws {
    // Means of rows 2, 3, 7 and of columns 3, 5; residuals (+-)1/2·(+1, -1, 0) around them, so that the sum of squares is
    // 4·(1/2)² = 1 with (3 − 1)·(2 − 1) = 2 degrees of freedom.
    let model = AdditiveModel(observations([[1.5, 2.5], [1.5, 4.5], [6, 8]]), baseline: 0)
    #expect(model.degreesOfFreedom == 2)
    #expect(isClose(try #require(model.residualStandardDeviation), 0.5.squareRoot(), 1e-12))
    #expect(model.compared == [1, 2])
    #expect(model.estimate(0) == nil)
    for (setting, difference) in [(1, 1.0), (2, 5.0)] {
      let estimate = try #require(model.estimate(setting))
      #expect(isClose(estimate.value, difference, 1e-12))
      // √(1/2)·√(2/2 seeds).
      #expect(isClose(estimate.standardError, 0.5.squareRoot(), 1e-12))
      #expect(estimate.degreesOfFreedom == 2)
    }
    // Two comparisons with correlation 1/2 and two degrees of freedom (as in reference.json).
    #expect(isClose(try #require(model.simultaneousCriticalValue(confidence: 0.95)), 5.4178527859789885, 2e-6))
  }

  @Test("two settings give the plain paired interval")
  func paired() throws {
    let model = AdditiveModel(observations([[66.37, 65.75, 66.09], [65.44, 65.56, 65.73]]), baseline: 0)
    let pooled = try #require(model.estimate(1))
    let plain = try #require(Estimate(paired: Summary([65.44 - 66.37, 65.56 - 65.75, 65.73 - 66.09])))
    #expect(isClose(pooled.value, plain.value, 1e-12) && isClose(pooled.standardError, plain.standardError, 1e-12))
    #expect(pooled.degreesOfFreedom == plain.degreesOfFreedom)
  }

  /// Top-1 of the committed CIFAR-10 sweeps of the freeze start and the threshold, which share full QAT and start 20 %.
  @Test("the committed CIFAR-10 sweeps together")
  func cifar() throws {
    let model = AdditiveModel(
      observations([
        [66.37, 65.75, 66.09],  // full QAT
        [65.44, 65.56, 65.73],  // linear, start 0
        [65.92, 66.35, 65.68],  // linear, start 20 %
        [66.33, 65.94, 66.45], [66.50, 66.34, 65.99],  // linear, start 50 and 80 %
        [66.45, 66.31, 66.17], [66.58, 66.22, 65.91], [65.91, 66.07, 65.50],  // 0.05, 0.1, 0.2
      ]), baseline: 0)
    #expect(model.degreesOfFreedom == 14)
    func text(_ setting: Int) throws -> String {
      let estimate = try #require(model.estimate(setting))
      let interval = estimate.interval()
      return String(format: "%+.2f [%+.2f, %+.2f]", estimate.value, interval.lowerBound, interval.upperBound)
    }
    #expect(try text(2) == "-0.09 [-0.54, +0.37]")
    #expect(try text(1) == "-0.49 [-0.95, -0.04]")
  }

  @Test("least squares agree with NumPy's, with missing cells")
  func reference() throws {
    for expected in try Reference.load().model {
      let model = AdditiveModel(
        zip(expected.cells, expected.values).map { .init(setting: $0[0], block: $0[1], value: $1) }, baseline: 0)
      #expect(model.degreesOfFreedom == expected.degrees)
      #expect(isClose(try #require(model.residualStandardDeviation), expected.deviation, 1e-9))
      for (index, difference) in expected.differences.enumerated() {
        let estimate = try #require(model.estimate(index + 1))
        #expect(isClose(estimate.value, difference, 1e-9))
        #expect(isClose(estimate.standardError, expected.standardErrors[index], 1e-9))
      }
    }
  }

  @Test("what no seed connects with the baseline is not compared, and does not count")
  func disconnected() throws {
    let joined = observations([[1, 2, nil, nil], [2, 2.5, nil, nil]])
    let model = AdditiveModel(joined + observations([[], [], [nil, nil, 5, 7], [nil, nil, 9, 1]]), baseline: 0)
    #expect(model.compared == [1])
    #expect(model.estimate(2) == nil)
    #expect(model.estimate(1) == AdditiveModel(joined, baseline: 0).estimate(1))
    // A chain of common seeds connects: 2 with 1, and 1 with the baseline.
    let chain = AdditiveModel(observations([[1, 2, nil], [2, 2.5, 4], [nil, nil, 5]]), baseline: 0)
    #expect(chain.compared == [1, 2])
    #expect(isClose(try #require(chain.estimate(2)).value, 0.75 + 1, 1e-12))
  }

  @Test("one seed gives no interval")
  func oneSeed() {
    let model = AdditiveModel(observations([[1], [2], [3]]), baseline: 0)
    #expect(model.degreesOfFreedom == 0)
    #expect(model.residualStandardDeviation == nil && model.estimate(1) == nil)
    #expect(model.simultaneousCriticalValue(confidence: 0.95) == nil)
    #expect(AdditiveModel(observations([[1, 2]]), baseline: 0).compared.isEmpty)
  }

  @Test("missing cells never make simultaneous intervals narrower than independent comparisons need")
  func simultaneous() throws {
    let model = AdditiveModel(
      observations([[1, 2, 3, nil], [2, 2.5, nil, 4], [1.5, 2, 3, 3.5]]), baseline: 0)
    let value = try #require(model.simultaneousCriticalValue(confidence: 0.95))
    let degrees = Double(model.degreesOfFreedom)
    #expect(value > StudentT(degreesOfFreedom: degrees).quantile(0.975))
    #expect(
      value
        <= DunnettDistribution(comparisons: 2, correlation: 0, degreesOfFreedom: degrees).criticalValue(
          confidence: 0.95))
  }
}
