import Configuration
import Datasets
import Diagnostics
import Foundation
import Interchange
public import Kernels
import Quantization
import Recipes
public import Records
import Storage
public import Training

/// Trains one planned run at a time, from its checkpoint where there is one, and files the result.
public final class RunTrainer {
  /// What happens while a run trains.
  public enum Event {
    /// Loading data or weights is done; training begins after `step`.
    case begins(PlannedRun, step: Int)
    case warning(String)
    /// Something worth knowing, in a line.
    case note(String)
    /// After each step.
    case step(PlannedRun, StepReport, lastEpoch: EpochRecord?)
    case ends(PlannedRun, RunEnd)
  }

  /// How runs are trained; nothing of it is part of a run's id.
  public struct Options: Sendable {
    /// At least 1; recorded with each run.
    public var threads: Int
    /// Longest time between checkpoints, seconds; there is one after every epoch besides.
    public var checkpointInterval: Double
    /// False where other jobs of the same sweep share the machine.
    public var isExclusive: Bool
    /// Train a run again that is recorded as diverged.
    public var retriesFailed: Bool
    /// Recorded with each run.
    public var commandLine: String
    /// The folder in which TensorBoard finds a folder for each run; nil: none.
    public var tensorBoard: String?

    /// A checkpoint every 300 seconds, the machine to itself and diverged runs left alone, unless said otherwise.
    public init(
      threads: Int, checkpointInterval: Double = 300, isExclusive: Bool = true, retriesFailed: Bool = false,
      commandLine: String, tensorBoard: String? = nil
    ) {
      self.threads = threads
      self.checkpointInterval = checkpointInterval
      self.isExclusive = isExclusive
      self.retriesFailed = retriesFailed
      self.commandLine = commandLine
      self.tensorBoard = tensorBoard
    }
  }

  let results: ResultsDirectory
  let data: ExperimentData
  let options: Options
  let processes: any Communicator
  private let observe: (Event) -> Void
  private let shouldStop: () -> Bool

  /// - Parameters:
  ///   - processes: those that train each run together; this one has to be the first, or to `follow`.
  ///   - observe: told what happens, on the training thread.
  ///   - shouldStop: asked after every step; true ends the run with a checkpoint.
  public init(
    results: ResultsDirectory, data: ExperimentData, options: Options, processes: any Communicator = NoMPI(),
    observe: @escaping (Event) -> Void, shouldStop: @escaping () -> Bool
  ) {
    self.processes = processes
    self.results = results
    self.data = data
    self.options = options
    self.observe = observe
    self.shouldStop = shouldStop
  }

  /// Trains `run` to its end, unless it is finished or another process has it.
  public func train(_ run: PlannedRun) -> RunEnd {
    let end: RunEnd
    do {
      end = try trainLocked(run)
    } catch let error as Diagnostic where error.cause == .noSpace {
      end = .outOfSpace(oneLine(error))
    } catch {
      end = .failed(oneLine(error))
    }
    observe(.ends(run, end))
    return end
  }

  /// Of the network that the run starts from; nil: random weights.
  func initialTensors(of run: PlannedRun) throws -> [NamedTensor]? {
    if let parent = run.parent {
      let tensors = try results.record(parent, includingTensors: true).tensors
      guard !tensors.isEmpty else {
        throw Diagnostic(
          results.runFile(parent), "has no weights for \(run.id) to start from, since it was exported without tensors",
          remedy: "put the whole file in its place, or move it away, and it is trained again")
      }
      return tensors
    }
    return try run.weights?.tensors(for: run.spec.model)
  }

  private func trainLocked(_ run: PlannedRun) throws -> RunEnd {
    guard let lock = try RunLock(path: results.lock(run.id)) else { return .busy }
    defer { withExtendedLifetime(lock) {} }
    // Another process may have finished it between the caller's look and the lock.
    switch try results.state(run.id) {
    case .finished:
      results.removeLeftoversOfHeldRun(run.id)
      return .finished
    case .diverged(let step) where !options.retriesFailed: return .diverged(step: step)
    case .diverged, .absent: break
    }

    results.removeAbandonedFiles(of: run.id)
    let checkpoint = results.checkpoint(run.id)
    let observe = self.observe
    let goesOn = FileManager.default.fileExists(atPath: checkpoint)
    try assign(run, goesOn: goesOn)
    let session = try processes.together {
      try self.session(
        of: run, goesOn: goesOn, note: { observe(.note("\(run.id) \(run.label): \($0)")) },
        warn: { observe(.warning($0)) })
    }
    // Seconds before an interruption count too, so they must have been exclusive as well.
    var isExclusive = options.isExclusive
    let started: String
    if goesOn {
      isExclusive = isExclusive && lock.previousHolder?.exclusive ?? false
      started = lock.previousHolder?.started ?? timestamp()
    } else {
      started = timestamp()
    }
    var provenance = Provenance.ofThisProcess(threads: options.threads, commandLine: options.commandLine)
    provenance.processes = processes.size > 1 ? processes.size : nil
    provenance.seed = Int(clamping: run.spec.seed)
    provenance.datasetName = data.summary.name
    provenance.datasetPath = data.path
    provenance.datasetHash = data.summary.contentHash
    provenance.parentRunID = run.parent
    provenance.weightsPath = run.weights?.path
    provenance.weightsHash = run.weights?.sha256
    provenance.started = started

    observe(.begins(run, step: session.step))
    let presence = MachinePresence()
    let clock = ContinuousClock()
    var lastCheckpoint = clock.now
    var lastPublished: ContinuousClock.Instant?
    func publish(_ report: StepReport?) {
      isExclusive = isExclusive && presence.isAlone
      lock.publish(
        RunLock.Holder(
          step: session.step, totalSteps: run.spec.totalSteps, imagesPerSecond: report?.imagesPerSecond ?? 0,
          topOne: report?.epochTopOne, frozenShare: report?.frozenShare, exclusive: isExclusive, started: started))
      lastPublished = clock.now
    }
    publish(nil)
    let events = LiveEvents(run, session, started: started, folder: options.tensorBoard) { observe(.warning($0)) }

    let result = try session.train { report in
      observe(.step(run, report, lastEpoch: session.epochs.last))
      let now = clock.now
      if report.finishedEpoch { events.update() }
      if lastPublished.map({ now - $0 > .seconds(1) }) ?? true { publish(report) }
      let isLast = report.step == report.totalSteps
      // The file of a finished run follows at once.
      let isDue =
        !isLast && (report.finishedEpoch || now - lastCheckpoint >= .seconds(options.checkpointInterval))
      let decision = agree(shouldStop() ? .stop : isDue ? .checkpoint : .proceed)
      if decision == .checkpoint {
        try save(session, of: run.id)
        lastCheckpoint = clock.now
      }
      return decision == .stop ? .stop : .proceed
    }
    if result == .stopped {
      try save(session, of: run.id)
      return .stopped(step: session.step)
    }

    isExclusive = isExclusive && presence.isAlone
    provenance.isExclusive = isExclusive
    provenance.ended = timestamp()
    var record = RunRecord(
      id: run.id, kind: run.kind, recipe: RecipeName(rawValue: run.recipe.name),
      bits: run.spec.quantization.map { BitWidths(weights: $0.weightBits, activations: $0.activationBits) },
      label: run.label,
      axes: run.recordedAxes,
      configuration: run.identity.canonicalForm, provenance: provenance)
    record.classNames = data.summary.classes
    record.epochs = session.epochs
    record.layers = session.layers
    record.layerEpochs = session.layerEpochs
    record.outcome = session.outcome
    if case .finished = result {
      record.tensors = session.finalTensors()
      record.observation = session.observation
    }
    do {
      try RunFile.write(record, to: results.runFile(run.id))
    } catch {
      // A finished run whose file cannot be written (a full disk) is worth one more try at keeping it.
      try? session.writeCheckpoint(to: checkpoint)
      throw error
    }
    unlink(checkpoint)
    if case .diverged(let step) = result {
      if let reason = session.divergence { observe(.warning("\(run.id) \(run.label): \(reason)")) }
      return .diverged(step: step)
    }
    return .finished
  }
}

/// Goes on from a checkpoint; one that cannot be used is never overwritten unasked, so the error says what to do.
func restore(_ session: TrainingSession, from checkpoint: String) throws -> [String] {
  do {
    return try session.restoreCheckpoint(from: checkpoint)
  } catch let error as Diagnostic where [.busy, .noSpace, .system].contains(error.cause) {
    throw error
  } catch {
    let reason = (error as? Diagnostic)?.problem ?? oneLine(error)
    throw Diagnostic(checkpoint, "the checkpoint cannot be used (\(reason)); delete it, and the run begins anew")
  }
}

extension ResultsDirectory {
  /// The run's file, or the reason why it cannot be used.
  public func record(
    _ id: String, includingTensors: Bool, includingObservation: Bool = false
  ) throws -> RunRecord {
    let record = try RunFile.read(
      runFile(id), includingTensors: includingTensors, includingObservation: includingObservation)
    guard record.id == id else {
      throw Diagnostic(runFile(id), "holds the run \(record.id); rename it to \(record.id).h5 or move it away")
    }
    return record
  }

  /// When weights froze in the finished run of this id.
  func freezing(of id: String) throws -> PairedFreezing {
    let record = try record(id, includingTensors: false, includingObservation: true)
    guard let decisions = record.observation?.decisions else {
      throw Diagnostic(
        runFile(id),
        "does not say when its weights froze, which a run that is paired with it has to know; an earlier "
          + "program wrote it: move it away, and the sweep trains it again")
    }
    return PairedFreezing(
      freezingSteps: record.freezableRanges.map { ($0.layer, Array(decisions.steps[$0.range])) },
      totalSteps: record.outcome.steps)
  }

  /// What is filed about a run. A file that cannot be read is an error and not an absent run: it is never overwritten.
  public func state(_ id: String) throws -> RecordedState {
    guard let record = try ended(id) else { return .absent }
    return record.outcome.status == .finished ? .finished : .diverged(step: record.outcome.steps)
  }

  /// The first run that `run` needs and that is not finished; nil: it can begin.
  public func unfinishedPrerequisite(of run: PlannedRun) throws -> String? {
    try run.prerequisites.first { try state($0) != .finished }
  }

  /// The record, without tensors, of a run that finished or diverged; nil where none is filed.
  func ended(_ id: String) throws -> RunRecord? {
    guard FileManager.default.fileExists(atPath: runFile(id)) else { return nil }
    let record = try record(id, includingTensors: false)
    return record.outcome.status == .running ? nil : record
  }
}

/// An error's description on one line.
public func oneLine(_ error: any Error) -> String {
  "\(error)".split(whereSeparator: \.isNewline).joined(separator: " ")
}

private func timestamp() -> String { Date.now.formatted(.iso8601) }
