import Diagnostics
import Foundation
import Host

/// Trains each run in a process of its own, several at a time. Their standard error goes to the run's log.
public struct WorkerExecutor: RunExecutor {
  /// What a worker's exit status says; anything else is a failure, explained in the log.
  public enum ExitStatus: Int32 {
    case finished = 0
    case diverged = 1
    case busy = 3
    case stopped = 4
    case outOfSpace = 5
  }

  /// Processes at most: the initialiser's `jobs`.
  public let slots: Int
  private let results: ResultsDirectory
  private let arguments: (PlannedRun) -> [String]
  private let shouldStop: () -> Bool
  private let observe: (PlannedRun, RunEnd?) -> Void
  private var workers: [(run: PlannedRun, process: Subprocess)] = []
  private var failures: [(id: String, end: RunEnd)] = []
  private var isStopping = false

  /// - Parameters:
  ///   - arguments: the command line, after the program's name, that trains one run.
  ///   - shouldStop: true passes the request on to the workers, which write checkpoints and end.
  ///   - observe: told of each start (nil) and end.
  public init(
    jobs: Int, results: ResultsDirectory, arguments: @escaping (PlannedRun) -> [String],
    shouldStop: @escaping () -> Bool, observe: @escaping (PlannedRun, RunEnd?) -> Void
  ) {
    slots = jobs
    self.results = results
    self.arguments = arguments
    self.shouldStop = shouldStop
    self.observe = observe
  }

  /// Empties the run's log and starts the worker; where that fails, `next` returns the failure.
  public mutating func start(_ run: PlannedRun) {
    do {
      guard FileManager.default.createFile(atPath: results.log(run.id), contents: nil),
        let log = FileHandle(forWritingAtPath: results.log(run.id))
      else {
        throw Diagnostic(results.log(run.id), "cannot be written; check the folder and its space")
      }
      workers.append((run, try Subprocess(starting: Subprocess.itself, arguments(run), errors: log)))
      observe(run, nil)
    } catch {
      failures.append((run.id, .failed(oneLine(error))))
    }
  }

  /// Looks every 20 ms, and passes a stop on once, as SIGTERM. Does not return where no run is under way.
  public mutating func next() -> (id: String, end: RunEnd) {
    while true {
      if !failures.isEmpty { return failures.removeFirst() }
      if let index = workers.firstIndex(where: { !$0.process.isRunning }) {
        let (run, process) = workers.remove(at: index)
        let end = ending(of: run, process.wait())
        observe(run, end)
        return (run.id, end)
      }
      if !isStopping, shouldStop() {
        isStopping = true
        for worker in workers { worker.process.terminate() }
      }
      usleep(20_000)
    }
  }

  private func ending(of run: PlannedRun, _ ending: Subprocess.Ending) -> RunEnd {
    if case .exited(let number) = ending, let status = ExitStatus(rawValue: number) {
      switch status {
      case .finished: return .finished
      case .outOfSpace: return .outOfSpace(reason(run))
      case .busy: return .busy
      case .stopped: return .stopped(step: RunLock.lastHolder(at: results.lock(run.id))?.step ?? 0)
      case .diverged:
        if case .diverged(let step)? = try? results.state(run.id) { return .diverged(step: step) }
      }
    }
    return .failed("\(ending): \(reason(run))")
  }

  /// The last line of the run's log.
  private func reason(_ run: PlannedRun) -> String {
    let log = (try? String(contentsOfFile: results.log(run.id), encoding: .utf8)) ?? ""
    return (log.split(whereSeparator: \.isNewline).last.map(String.init) ?? "no message")
      + " (log: \(results.log(run.id)))"
  }
}

/// Trains in this process, one run after another.
public struct LocalExecutor: RunExecutor {
  /// A run blocks the process that trains it.
  public let slots = 1
  private let trainer: RunTrainer
  private var ended: (id: String, end: RunEnd)?

  /// The trainer's own options decide about stops and checkpoints.
  public init(_ trainer: RunTrainer) { self.trainer = trainer }

  /// Returns when the run has ended.
  public mutating func start(_ run: PlannedRun) { ended = (run.id, trainer.train(run)) }

  /// The end of the run that was started last.
  ///
  /// - Precondition: a run was started.
  public mutating func next() -> (id: String, end: RunEnd) {
    guard let ended else { preconditionFailure("next follows start") }
    return ended
  }
}
