import Foundation
import Host
import Records
import Runs
import Training

/// What is printed while runs train: a bar on a terminal, lines now and then otherwise.
final class TrainingProgress {
  private let isTerminal: Bool
  private let estimate: RunEstimate
  private var remaining: [String: PlannedRun]
  private var shown: ContinuousClock.Instant?
  private var waitedFor: String?

  /// - Parameters:
  ///   - runs: all that are to be trained, for the time left.
  ///   - plain: never draw a bar.
  init(_ runs: [PlannedRun], estimate: RunEstimate, plain: Bool = false) {
    isTerminal = !plain && StandardError.isInteractive
    self.estimate = estimate
    remaining = Dictionary(runs.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
  }

  func observe(_ event: RunTrainer.Event) {
    switch event {
    case .begins(let run, let step):
      shown = nil
      let steps = run.spec.totalSteps
      line("\(run.id) \(run.label): \(step == 0 ? "begins, \(steps) steps" : "goes on after step \(step) of \(steps)")")
    case .warning(let text): line("warning: \(text)")
    case .note(let text): line(text)
    case .step(let run, let report, let lastEpoch): step(run, report, lastEpoch)
    case .ends(let run, let end):
      if end != .busy { remaining[run.id] = nil }
      ended(run, end)
    }
  }

  func ended(_ run: PlannedRun, _ end: RunEnd) {
    switch end {
    case .finished: line("\(run.id) \(run.label): finished")
    case .diverged(let step): line("\(run.id) \(run.label): diverged at step \(step)")
    case .stopped(let step): line("\(run.id) \(run.label): stopped after step \(step), checkpoint written")
    case .busy: break
    case .outOfSpace(let reason), .failed(let reason): line("\(run.id) \(run.label): failed: \(reason)")
    }
  }

  func takenOver(_ run: PlannedRun, from experiment: String) {
    remaining[run.id] = nil
    line("\(run.id) \(run.label): taken over from \(experiment), where it is finished")
  }

  /// Says once who else is training what is left.
  func waits(for run: PlannedRun, holder: RunLock.Holder) {
    guard waitedFor != run.id else { return }
    waitedFor = run.id
    line("\(run.id) \(run.label): waits for \(holder.name), which trains it")
  }

  func line(_ text: String) { StandardError.line(text) }

  private func step(_ run: PlannedRun, _ report: StepReport, _ lastEpoch: EpochRecord?) {
    let now = ContinuousClock.now
    if report.finishedEpoch, let epoch = lastEpoch {
      line(
        "\(run.id) \(run.label): epoch \(report.epoch)/\(report.epochs) loss \(decimal(epoch.trainLoss, 4)), "
          + "train \(percent(epoch.trainTopOne)), test \(percent(epoch.testTopOne ?? .nan)), "
          + "frozen \(percent(epoch.frozenShare)), \(ProgressLine.rate(report.imagesPerSecond)), \(timeLeft(run, report)) left"
      )
      shown = now
      return
    }
    guard let shown else {
      self.shown = now
      return
    }
    guard now - shown >= (isTerminal ? .milliseconds(200) : .seconds(30)) else { return }
    self.shown = now
    let facts =
      "loss \(decimal(report.loss, 3)) acc \(percent(report.epochTopOne)) frozen \(percent(report.frozenShare)) "
      + "\(ProgressLine.rate(report.imagesPerSecond)), \(timeLeft(run, report)) left"
    if isTerminal {
      let width = 16
      let filled = width * report.step / max(1, report.totalSteps)
      let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: width - filled)
      let text = "[\(bar)] \(run.label) ep \(report.epoch)/\(report.epochs) \(facts)"
      StandardError.redraw(String(text.prefix(terminalWidth - 1)))
    } else {
      line("\(run.id) \(run.label): step \(report.step)/\(report.totalSteps) \(facts)")
    }
  }

  /// Of everything that is still to be trained here.
  private func timeLeft(_ run: PlannedRun, _ report: StepReport) -> String {
    var rate = estimate
    rate.imagesPerSecond = report.imagesPerSecond
    let seconds = remaining.values.reduce(0) { $0 + rate.seconds($1, from: $1.id == run.id ? report.step : 0) }
    return ProgressLine.duration(seconds)
  }

  private var terminalWidth: Int {
    var size = winsize()
    return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 20 ? Int(size.ws_col) : 100
  }
}

func percent(_ share: Double) -> String { decimal(100 * share, 2) + " %" }

func decimal(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
