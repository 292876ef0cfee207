import Training

/// How long training takes: from what was measured here, or roughly where nothing was.
public struct RunEstimate: Sendable {
  /// Training images a second.
  public var imagesPerSecond: Double
  /// Finished runs that the rate was measured on; 0: a rough guess.
  public var measuredRuns: Int

  /// ResNet-20 on 28×28 images, a thread of a current desktop core.
  private static let assumedRatePerThread = 350.0
  private static let assumedPixels = 28.0 * 28.0
  /// A forward pass alone is about a third of a training step.
  private static let evaluationSpeedup = 3.0

  /// - Parameter measured: images a second of finished runs on the same data.
  public init(measured: [Double], threads: Int, height: Int, width: Int) {
    let rates = measured.filter { $0.isFinite && $0 > 0 }
    measuredRuns = rates.count
    if rates.isEmpty {
      imagesPerSecond = Self.assumedRatePerThread * Double(threads) * Self.assumedPixels / Double(height * width)
    } else {
      // The harmonic mean: rates of equal work.
      imagesPerSecond = Double(rates.count) / rates.reduce(0) { $0 + 1 / $1 }
    }
  }

  /// Seconds that remain of a run after `step`, with its evaluations.
  public func seconds(_ run: PlannedRun, from step: Int = 0) -> Double {
    let training = Double(max(0, run.spec.totalSteps - step) * run.spec.batchSize)
    let share = Double(max(0, run.spec.totalSteps - step)) / Double(max(1, run.spec.totalSteps))
    let evaluation = Double(run.evaluations * run.testImages) * share / Self.evaluationSpeedup
    return (training + evaluation) / imagesPerSecond
  }
}
