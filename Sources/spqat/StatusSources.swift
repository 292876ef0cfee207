import Configuration
import Diagnostics
import Foundation
import Records
import Runs
import Training

/// Where one run stands, as `status` shows it.
struct RunLine: Equatable, CustomStringConvertible {
  var id: String
  /// Nil where nothing that was written about the run names it.
  var label: String?
  var group: RunStatus.Group
  /// For people, on one line.
  var text: String
  /// Steps done.
  var step = 0
  /// Of the whole run; nil where that is not known.
  var totalSteps: Int?
  /// On the test set where the run is finished, on the epoch's training batches so far while it runs; in [0, 1].
  var topOne: Double?
  /// Frozen / freezable weights.
  var frozenShare: Double?
  /// Of training it from here; nil where that is not known.
  var secondsLeft: Double?
  /// Nothing is left to train.
  var isDone: Bool

  /// All of it on one line.
  var description: String { "\(id)  \(label.map { "\($0)  " } ?? "")\(text)" }
}

/// Runs that `status` can look at again and again.
protocol StatusSource {
  /// - Parameter previous: what the last look gave; runs that had finished by then are not read again.
  func runs(after previous: [RunLine]) -> [RunLine]
  /// What else there is to say, a line each.
  var remarks: [String] { get }
  /// Counts and the time left; nil where the runs that are planned are not known.
  func summary(of runs: [RunLine]) -> String?
}

extension StatusSource {
  /// Lines that stay as they are, by id.
  fileprivate func finished(_ lines: [RunLine]) -> [String: RunLine] {
    Dictionary(lines.lazy.filter { $0.group == .finished }.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
  }
}

/// The runs that an experiment plans.
struct ExperimentStatus: StatusSource {
  private let loaded: LoadedExperiment
  private let estimate: RunEstimate

  init(_ options: ExperimentOptions) throws {
    loaded = try options.load()
    estimate = loaded.estimate(threads: options.threads)
  }

  func runs(after previous: [RunLine]) -> [RunLine] {
    let known = finished(previous)
    return loaded.plan.runs.map { known[$0.id] ?? line(of: $0) }
  }

  private func line(of run: PlannedRun) -> RunLine {
    let status = RunStatus(run, in: loaded.results)
    var line = RunLine(
      id: run.id, label: run.label, group: status.group, text: status.text(of: run), step: status.step,
      totalSteps: run.spec.totalSteps, isDone: status.isDone)
    if !status.isDone {
      var rate = estimate
      if case .running(let holder) = status.phase, holder.imagesPerSecond > 0 {
        rate.imagesPerSecond = holder.imagesPerSecond
      }
      line.secondsLeft = rate.seconds(run, from: status.step)
    }
    switch status.phase {
    case .finished:
      line.step = run.spec.totalSteps
      (line.topOne, line.frozenShare) = (status.record?.outcome.finalTopOne, status.record?.epochs.last?.frozenShare)
    case .running(let holder): (line.topOne, line.frozenShare) = (holder.topOne, holder.frozenShare)
    default: break
    }
    return line
  }

  var remarks: [String] {
    staleRuns(of: loaded.plan, in: loaded.results).map {
      "\($0.id)  stale: algorithm version \($0.version), now \(RunIdentity.algorithmVersion)"
    }
  }

  func summary(of runs: [RunLine]) -> String? {
    let groups = RunStatus.Group.allCases.map { group in "\(runs.count { $0.group == group }) \(group.rawValue)" }
    let left = runs.reduce(0) { $0 + ($1.secondsLeft ?? 0) }
    return "\(groups.joined(separator: ", ")); about \(ProgressLine.duration(left)) left"
  }
}

/// The runs that a folder of results holds something of.
struct FolderStatus: StatusSource {
  private let results: ResultsDirectory

  /// - Throws: `Diagnostic` where the folder holds none.
  init(_ path: String) throws {
    let folder = URL(fileURLWithPath: path)
    results = ResultsDirectory(root: folder.deletingLastPathComponent().path, name: folder.lastPathComponent)
    guard !runs(after: []).isEmpty else {
      throw Diagnostic(path, "holds no runs; give an experiment file or results/NAME")
    }
  }

  func runs(after previous: [RunLine]) -> [RunLine] {
    let known = finished(previous)
    let locks = ((try? FileManager.default.contentsOfDirectory(atPath: "\(results.folder)/locks")) ?? [])
      .filter { $0.hasSuffix(".lock") }.map { String($0.dropLast(5)) }
    return Set(results.recordedIDs).union(locks).sorted().compactMap { known[$0] ?? line($0) }
  }

  private func line(_ id: String) -> RunLine? {
    if let holder = RunLock.currentHolder(at: results.lock(id)) {
      let left = holder.totalSteps - holder.step
      return RunLine(
        id: id, group: .running,
        text: "running, step \(holder.step) of \(holder.totalSteps) (\(left) left), \(holder.name)",
        step: holder.step, totalSteps: holder.totalSteps, topOne: holder.topOne, frozenShare: holder.frozenShare,
        isDone: false)
    }
    if FileManager.default.fileExists(atPath: results.runFile(id)) {
      do {
        let record = try results.record(id, includingTensors: false)
        let stale =
          record.provenance.algorithmVersion == RunIdentity.algorithmVersion
          ? "" : ", stale: algorithm version \(record.provenance.algorithmVersion)"
        return RunLine(
          id: id, label: record.label, group: record.outcome.status == .finished ? .finished : .failed,
          text: record.outcome.summary + stale, step: record.outcome.steps, totalSteps: record.outcome.steps,
          topOne: record.outcome.finalTopOne, frozenShare: record.epochs.last?.frozenShare, isDone: true)
      } catch {
        return RunLine(id: id, group: .failed, text: "unreadable: \(oneLine(error))", isDone: true)
      }
    }
    guard FileManager.default.fileExists(atPath: results.checkpoint(id)) else { return nil }
    let step = RunLock.lastHolder(at: results.lock(id))?.step ?? 0
    return RunLine(id: id, group: .waiting, text: "interrupted near step \(step)", step: step, isDone: false)
  }

  var remarks: [String] { [] }
  func summary(of runs: [RunLine]) -> String? { nil }
}

extension RunStatus {
  fileprivate func text(of run: PlannedRun) -> String {
    switch phase {
    case .finished(let topOne): "finished, top-1 \(percent(topOne))"
    case .running(let holder):
      "running, step \(holder.step) of \(run.spec.totalSteps), \(ProgressLine.rate(holder.imagesPerSecond)), \(holder.name)"
    default: summary
    }
  }
}

extension RunOutcome {
  fileprivate var summary: String {
    switch status {
    case .finished: "finished, top-1 \(percent(finalTopOne ?? .nan))"
    default: "\(status.rawValue)\(message.map { ": \($0)" } ?? "")"
    }
  }
}
