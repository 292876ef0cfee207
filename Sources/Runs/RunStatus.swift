import Configuration
import Foundation
public import Records

/// Where one planned run stands.
public struct RunStatus: Sendable {
  /// What lock and files say; a lock that is held counts before any file.
  public enum Phase: Equatable, Sendable {
    case finished(topOne: Double)
    /// Under this experiment of the same root; a sweep will take it over.
    case finishedElsewhere(String)
    case running(RunLock.Holder)
    case diverged(step: Int)
    /// Its file cannot be read, for this reason.
    case unreadable(String)
    /// A checkpoint waits to be resumed; the step is the last one that was reported, which may be later than it.
    case interrupted(step: Int)
    case waiting
  }

  /// The phases that a reader counts together, by the names that are shown.
  public enum Group: String, Sendable, CaseIterable {
    case finished, running
    /// Diverged or unreadable: a sweep leaves it alone.
    case failed
    /// For a sweep to train, go on with or take over.
    case waiting
  }

  /// At the time this value was made.
  public var phase: Phase
  /// What is filed of a run that has ended, without tensors; nil of any other.
  public private(set) var record: RunRecord?

  /// Reads lock, run file and checkpoint, and other experiments' files where this one has none; writes nothing.
  public init(_ run: PlannedRun, in results: ResultsDirectory) {
    if let holder = RunLock.currentHolder(at: results.lock(run.id)) {
      phase = .running(holder)
      return
    }
    do {
      record = try results.ended(run.id)
      if let outcome = record?.outcome {
        phase =
          outcome.status == .finished ? .finished(topOne: outcome.finalTopOne ?? .nan) : .diverged(step: outcome.steps)
      } else if let other = results.finishedElsewhere(run.id) {
        phase = .finishedElsewhere(other.experiment)
      } else if FileManager.default.fileExists(atPath: results.checkpoint(run.id)) {
        phase = .interrupted(step: RunLock.lastHolder(at: results.lock(run.id))?.step ?? 0)
      } else {
        phase = .waiting
      }
    } catch {
      phase = .unreadable(oneLine(error))
    }
  }

  /// Where the phase is counted.
  public var group: Group {
    switch phase {
    case .finished: .finished
    case .running: .running
    case .diverged, .unreadable: .failed
    case .finishedElsewhere, .interrupted, .waiting: .waiting
    }
  }

  /// Nothing is left to train.
  public var isDone: Bool {
    switch phase {
    case .finished, .finishedElsewhere, .diverged, .unreadable: true
    case .running, .interrupted, .waiting: false
    }
  }

  /// Steps done, as far as known.
  public var step: Int {
    switch phase {
    case .running(let holder): holder.step
    case .interrupted(let step): step
    case .finished, .finishedElsewhere, .diverged, .unreadable, .waiting: 0
    }
  }

  /// For people, on one line.
  public var summary: String {
    switch phase {
    case .finished: "finished"
    case .finishedElsewhere(let experiment): "finished in \(experiment), to be taken over"
    case .running(let holder): "running (\(holder.name), step \(holder.step))"
    case .diverged(let step): "diverged at step \(step)"
    case .unreadable(let reason): "unreadable: \(reason)"
    case .interrupted(let step): "interrupted near step \(step)"
    case .waiting: "waiting"
    }
  }
}

/// A run's file that an older version of the algorithm wrote for settings that are planned now.
public struct StaleRun: Equatable, Sendable {
  /// The old run's, by which its file is named.
  public var id: String
  /// Of the algorithm that trained it; `RunIdentity.algorithmVersion` is the planned runs'.
  public var version: Int
  /// The planned run with the same settings.
  public var successor: String
}

/// The stale runs in `results` whose settings are planned again.
public func staleRuns(of plan: RunPlan, in results: ResultsDirectory) -> [StaleRun] {
  let planned = Dictionary(
    plan.runs.map { (RunIdentity.settings(of: $0.identity.canonicalForm), $0.id) },
    uniquingKeysWith: { first, _ in first })
  let current = Set(plan.runs.map(\.id))
  return results.recordedIDs.filter { !current.contains($0) }.compactMap { id in
    guard let record = try? results.record(id, includingTensors: false),
      record.provenance.algorithmVersion != RunIdentity.algorithmVersion,
      let successor = planned[RunIdentity.settings(of: record.configuration)]
    else { return nil }
    return StaleRun(id: id, version: record.provenance.algorithmVersion, successor: successor)
  }
}
