/// How an attempt to train one run ended.
public enum RunEnd: Equatable, Sendable {
  /// Trained to its last step, now.
  case finished
  /// NaN or infinite loss at this step; recorded as such.
  case diverged(step: Int)
  /// Asked to stop; a checkpoint holds what was done.
  case stopped(step: Int)
  /// Another process trains it.
  case busy
  /// The disk is full, in one line: nothing else can be filed either, so a sweep ends.
  case outOfSpace(String)
  /// Something else went wrong, in one line. What was checkpointed is kept.
  case failed(String)
}

/// Trains runs, one or several at a time.
public protocol RunExecutor {
  /// How many runs may be under way.
  var slots: Int { get }
  /// Begins a run. An executor with one slot may do all of it here.
  mutating func start(_ run: PlannedRun)
  /// Waits until a run that was started has ended.
  mutating func next() -> (id: String, end: RunEnd)
}

/// What `Sweep` needs to know of a run's file.
public enum RecordedState: Equatable, Sendable {
  case absent
  case finished
  case diverged(step: Int)
}

/// The order of a sweep: runs after those that they start from or are paired with, nothing twice, failures put aside.
public struct Sweep {
  /// A run that was given up in this sweep, or that an earlier one recorded as diverged.
  public struct Failure: Equatable, Sendable {
    /// Its id.
    public var run: String
    /// The planned run's, for people.
    public var label: String
    /// What went wrong, as reports print it.
    public var reason: String
    /// Rather the run failed that it starts from or is paired with.
    public var isConsequence: Bool
  }

  /// What became of the plan's runs: each is trained, found, failed or left.
  public struct Summary: Equatable, Sendable {
    /// Ids trained to the end now.
    public var trained: [String] = []
    /// Ids that were finished before, or meanwhile by another process.
    public var found: [String] = []
    /// In the order in which they were met.
    public var failures: [Failure] = []
    /// Ids left for another time: by a limit or a stop.
    public var left: [String] = []
    /// The disk is full, which ended the sweep; in one line.
    public var outOfSpace: String?
  }

  /// Has to hold every run's prerequisites: a run without them would be waited for without end.
  public var plan: RunPlan
  /// Runs to train at most; those that are finished do not count.
  public var limit: Int?
  /// Train diverged runs again.
  public var retriesFailed: Bool

  /// - Parameter limit: nil: as many as there are; 0 trains nothing, but settles what is finished.
  public init(plan: RunPlan, limit: Int? = nil, retriesFailed: Bool = false) {
    self.plan = plan
    self.limit = limit
    self.retriesFailed = retriesFailed
  }

  /// - Parameters:
  ///   - state: what a run's file says; asked again before each start, as other processes may train too.
  ///   - shouldStop: asked before each start.
  ///   - pause: waits a moment where everything left is being trained by other processes.
  public func run(
    on executor: inout some RunExecutor, state: (PlannedRun) throws -> RecordedState, shouldStop: () -> Bool,
    pause: ([PlannedRun]) -> Void
  ) -> Summary {
    var summary = Summary()
    var waiting = plan.runs
    var underWay: [PlannedRun] = []
    var busyElsewhere: Set<String> = []
    var finished: Set<String> = []
    var failed: Set<String> = []
    var attempted: Set<String> = []
    var started = 0

    func fail(_ run: PlannedRun, _ reason: String, isConsequence: Bool = false) {
      failed.insert(run.id)
      summary.failures.append(
        Failure(run: run.id, label: run.label, reason: reason, isConsequence: isConsequence))
    }

    func shouldEnd() -> Bool { summary.outOfSpace != nil || shouldStop() }

    /// Settles what needs no training, and finds the next run that does.
    func nextToStart() -> PlannedRun? {
      var index = 0
      while index < waiting.count {
        let run = waiting[index]
        let current: RecordedState
        do {
          current = try state(run)
        } catch {
          waiting.remove(at: index)
          fail(run, "\(error)")
          continue
        }
        switch current {
        case .finished:
          waiting.remove(at: index)
          finished.insert(run.id)
          summary.found.append(run.id)
          continue
        case .diverged(let step) where !retriesFailed || attempted.contains(run.id):
          waiting.remove(at: index)
          fail(run, "diverged at step \(step) before; --retry-failed trains it again")
          continue
        case .diverged, .absent: break
        }
        if let missing = run.prerequisites.first(where: failed.contains) {
          waiting.remove(at: index)
          fail(run, "\(run.prerequisite(missing)) failed", isConsequence: true)
          continue
        }
        let isReady = run.prerequisites.allSatisfy(finished.contains)
        if isReady, !busyElsewhere.contains(run.id) {
          if let limit, started >= limit { return nil }
          return waiting.remove(at: index)
        }
        index += 1
      }
      return nil
    }

    while true {
      while underWay.count < executor.slots, !shouldEnd(), let run = nextToStart() {
        started += 1
        attempted.insert(run.id)
        underWay.append(run)
        executor.start(run)
      }
      if underWay.isEmpty {
        let limitReached = limit.map { started >= $0 } ?? false
        if waiting.isEmpty || shouldEnd() || limitReached { break }
        // Everything left is trained by other processes, or starts from what they train.
        pause(waiting.filter { busyElsewhere.contains($0.id) })
        busyElsewhere.removeAll()
        continue
      }
      let (id, end) = executor.next()
      guard let index = underWay.firstIndex(where: { $0.id == id }) else { preconditionFailure("ends what it started") }
      let run = underWay.remove(at: index)
      switch end {
      case .finished:
        finished.insert(id)
        summary.trained.append(id)
      case .diverged(let step):
        fail(run, "diverged at step \(step); try a lower learning rate or a longer start")
      case .outOfSpace(let reason):
        fail(run, reason)
        summary.outOfSpace = reason
      case .failed(let reason): fail(run, reason)
      case .stopped: waiting.insert(run, at: 0)
      case .busy:
        started -= 1
        attempted.remove(id)
        busyElsewhere.insert(id)
        waiting.insert(run, at: 0)
      }
    }
    // A limit or a stop may have come before the look at what is finished.
    for run in waiting {
      if (try? state(run)) == .finished { summary.found.append(run.id) } else { summary.left.append(run.id) }
    }
    return summary
  }
}

extension PlannedRun {
  /// What one of its prerequisites is to it.
  public func prerequisite(_ id: String) -> String {
    id == parent ? "the full-precision run \(id) that it starts from" : "the run \(id) that it is paired with"
  }
}
