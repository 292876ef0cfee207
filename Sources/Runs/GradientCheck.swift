import Diagnostics
import Quantization
public import Training

/// Trains runs in floats, without filing them, and compares weight gradients in 16-bit integers at moments of each.
public struct GradientCheck {
  /// Where finished runs are, from which others start.
  public var results: ResultsDirectory
  /// What the runs train on.
  public var data: ExperimentData
  /// To compute with.
  public var threads: Int
  /// Comparisons in a run, evenly spread from its first step on; one a step at most.
  public var moments: Int

  /// Trains nothing yet.
  public init(results: ResultsDirectory, data: ExperimentData, threads: Int, moments: Int) {
    self.results = results
    self.data = data
    self.threads = threads
    self.moments = moments
  }

  /// - Parameters:
  ///   - onStep: told of every training step.
  ///   - shouldStop: asked after every step; true ends the comparison with what there is.
  /// - Returns: of each moment and layer, moments outermost.
  /// - Throws: `Diagnostic` where a run that `run` starts from is not finished, data cannot be read, or it diverges.
  public func deviations(
    in run: PlannedRun, onStep: (StepReport) -> Void, shouldStop: () -> Bool
  ) throws -> [GradientComparison.Deviation] {
    if let other = try results.unfinishedPrerequisite(of: run) {
      throw Diagnostic(
        results.runFile(other), "is not there, and \(run.label) needs it: \(run.prerequisite(other))",
        remedy: "train it first: 'spqat sweep' with --only \(other)")
    }
    var run = run
    run.spec.quantization?.gradients = .float32
    let trainer = RunTrainer(
      results: results, data: data, options: .init(threads: threads, commandLine: ""), observe: { _ in },
      shouldStop: { false })
    let session = try trainer.session(of: run, goesOn: false, note: { _ in }, warn: { _ in })
    let comparison = try GradientComparison(of: session, threads: threads)
    let total = run.spec.totalSteps
    let steps = Set((0..<moments).map { max(1, total * $0 / moments) })
    var deviations: [GradientComparison.Deviation] = []
    let result = try session.train { report in
      onStep(report)
      if steps.contains(report.step) { deviations += try comparison.deviations() }
      return shouldStop() ? .stop : .proceed
    }
    if case .diverged(let step) = result {
      throw Diagnostic(run.label, "diverged at step \(step): \(session.divergence ?? "a loss that is not finite")")
    }
    return deviations
  }
}
