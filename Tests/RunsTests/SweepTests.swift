import Configuration
import ConfigurationSupport
import Diagnostics
import Foundation
import Runs
import TestSupport
import Testing
import Training

/// Ends runs as told, at once.
private struct ScriptedExecutor: RunExecutor {
  var slots: Int
  /// By label; what is not here finishes.
  var endings: [String: [RunEnd]] = [:]
  var started: [String] = []
  var mostUnderWay = 0
  private var underWay: [PlannedRun] = []
  let finished: FinishedRuns

  init(slots: Int, endings: [String: [RunEnd]] = [:], finished: FinishedRuns) {
    self.slots = slots
    self.endings = endings
    self.finished = finished
  }

  mutating func start(_ run: PlannedRun) {
    started.append(run.label)
    underWay.append(run)
    mostUnderWay = max(mostUnderWay, underWay.count)
  }

  mutating func next() -> (id: String, end: RunEnd) {
    let run = underWay.removeFirst()
    let end = endings[run.label]?.isEmpty == false ? endings[run.label]!.removeFirst() : .finished
    if end == .finished { finished.ids.insert(run.id) }
    if case .diverged(let step) = end { finished.diverged[run.id] = step }
    return (run.id, end)
  }
}

private final class FinishedRuns {
  var ids: Set<String> = []
  var diverged: [String: Int] = [:]
  func state(_ run: PlannedRun) -> RecordedState {
    if ids.contains(run.id) { return .finished }
    return diverged[run.id].map { .diverged(step: $0) } ?? .absent
  }
}

@Suite("Scheduling of a sweep")
struct SweepTests {
  let plan: RunPlan
  let labels: [String]
  private let finished = FinishedRuns()

  init() throws {
    plan = try RunPlan(experiment(TinyExperiment.text), data: TinyExperiment.data)
    labels = plan.runs.map(\.label)
  }

  private func run(
    _ executor: inout ScriptedExecutor, limit: Int? = nil, retriesFailed: Bool = false,
    pause: (([PlannedRun]) -> Void)? = nil
  ) -> Sweep.Summary {
    Sweep(plan: plan, limit: limit, retriesFailed: retriesFailed).run(
      on: &executor, state: finished.state, shouldStop: { false },
      pause: pause ?? { _ in Issue.record("nothing to wait for") })
  }

  @Test("parents are finished before others start, in the plan's order")
  func order() {
    var executor = ScriptedExecutor(slots: 3, finished: finished)
    let summary = run(&executor)
    #expect(executor.started == labels)
    #expect(executor.mostUnderWay == 3)
    #expect(summary.trained.count == 5)
    var again = ScriptedExecutor(slots: 3, finished: finished)
    #expect(run(&again).found.count == 5)
    #expect(again.started == [])
  }

  @Test("a failure stops nothing but what depends on it")
  func failure() {
    var executor = ScriptedExecutor(slots: 1, endings: [labels[1]: [.failed("no luck")]], finished: finished)
    let summary = run(&executor)
    #expect(summary.trained.count == 4)
    #expect(summary.failures.map(\.reason) == ["no luck"])
  }

  @Test("a full disk ends it: nothing else could be filed")
  func outOfSpace() {
    var executor = ScriptedExecutor(slots: 1, endings: [labels[1]: [.outOfSpace("full")]], finished: finished)
    let summary = run(&executor)
    #expect(executor.started == Array(labels[0...1]))
    #expect(summary.outOfSpace == "full")
    #expect(summary.failures.map(\.reason) == ["full"])
    #expect(summary.left == plan.runs[2...].map(\.id))
  }

  @Test("what starts from a failed network fails with it")
  func failedParent() {
    var executor = ScriptedExecutor(slots: 2, endings: [labels[0]: [.diverged(step: 3)]], finished: finished)
    let summary = run(&executor)
    #expect(executor.started == [labels[0]])
    #expect(summary.failures.count == 5)
    #expect(summary.failures.filter(\.isConsequence).count == 4)
    #expect(summary.failures[0].reason.hasPrefix("diverged at step 3"))
  }

  @Test("diverged runs are tried again only when asked, and once")
  func retry() {
    finished.diverged[plan.runs[1].id] = 7
    var executor = ScriptedExecutor(slots: 1, finished: finished)
    #expect(run(&executor).failures.count == 1)
    var retrying = ScriptedExecutor(slots: 1, endings: [labels[1]: [.diverged(step: 7)]], finished: finished)
    let summary = run(&retrying, retriesFailed: true)
    #expect(retrying.started == [labels[1]])
    #expect(summary.failures.count == 1)
  }

  @Test("runs of other processes are left to them and looked at again")
  func busy() {
    var executor = ScriptedExecutor(
      slots: 1, endings: [labels[0]: [.busy], labels[2]: [.busy, .busy]], finished: finished)
    var pauses = 0
    let summary = run(
      &executor,
      pause: { runs in
        pauses += 1
        #expect(!runs.isEmpty)
        // The other process finishes what it trains in the meantime.
        if pauses == 1 { finished.ids.insert(plan.runs[0].id) }
      })
    #expect(pauses >= 2)
    #expect(summary.failures.isEmpty)
    #expect(summary.found == [plan.runs[0].id])
    #expect(Set(summary.trained) == Set(plan.runs.dropFirst().map(\.id)))
  }

  @Test("a limit counts runs that train")
  func limit() {
    finished.ids.insert(plan.runs[0].id)
    var executor = ScriptedExecutor(slots: 4, finished: finished)
    let summary = run(&executor, limit: 2)
    #expect(executor.started == Array(labels[1...2]))
    #expect(summary.left.count == 2)
  }
}

@Suite("Locks of runs")
struct RunLockTests {
  @Test("one holder at a time, whose progress others see")
  func exclusion() throws {
    let folder = try TemporaryFolder()
    let path = folder.url.appendingPathComponent("a.lock").path
    #expect(RunLock.currentHolder(at: path) == nil)
    var lock = try RunLock(path: path)
    #expect(lock != nil)
    #expect(try RunLock(path: path) == nil)
    let holder = RunLock.Holder(step: 3, totalSteps: 9, imagesPerSecond: 5.5, exclusive: true, started: "now")
    lock?.publish(
      RunLock.Holder(step: 1_000_000, totalSteps: 9, imagesPerSecond: 5.5, exclusive: false, started: "now"))
    lock?.publish(holder)
    #expect(RunLock.currentHolder(at: path) == holder)
    lock = nil
    #expect(RunLock.currentHolder(at: path) == nil)
    #expect(RunLock.lastHolder(at: path) == holder)
    #expect(try RunLock(path: path) != nil)
  }

  @Test("a holder that has written nothing yet is told by no other's number")
  func takeover() throws {
    let folder = try TemporaryFolder()
    let path = folder.url.appendingPathComponent("a.lock").path
    var lock = try RunLock(path: path)
    #expect(lock != nil && lock?.previousHolder == nil)
    let unknown = try #require(RunLock.currentHolder(at: path))
    #expect(unknown.process == 0 && unknown.name == "another process")
    lock = nil
    let text = """
      {"process": 4711, "host": "node3", "step": 5, "totalSteps": 9, "imagesPerSecond": 2, "exclusive": true,
       "started": "then"}
      """
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    #expect(RunLock.lastHolder(at: path)?.name == "process 4711 on node3")
    lock = try RunLock(path: path)
    #expect(lock?.previousHolder?.process == 4711 && lock?.previousHolder?.started == "then")
    let holder = try #require(RunLock.currentHolder(at: path))
    #expect(holder.process == getpid() && holder.step == 5 && holder.exclusive && holder.started == "then")
  }

  @Test(
    "numbers that no holder writes are not read",
    arguments: [
      #""step": -1"#, #""step": 9223372036854775807"#, #""totalSteps": -9223372036854775808"#,
      #""imagesPerSecond": -1"#, #""imagesPerSecond": 1e999"#, #""process": 1e10"#,
    ])
  func edited(member: String) throws {
    let folder = try TemporaryFolder()
    let path = folder.url.appendingPathComponent("a.lock").path
    let key = member.prefix { $0 != ":" }
    let members = [
      #""process": 1"#, #""host": "a""#, #""step": 1"#, #""totalSteps": 9"#, #""imagesPerSecond": 2"#,
      #""exclusive": true"#, #""started": """#,
    ]
    func write(_ members: [String]) throws {
      try Data("{\(members.joined(separator: ", "))}".utf8).write(to: URL(fileURLWithPath: path))
    }
    try write(members)
    #expect(RunLock.lastHolder(at: path) != nil)
    try write(members.map { $0.hasPrefix(key + ":") ? member : $0 })
    #expect(RunLock.lastHolder(at: path) == nil)
  }

  @Test("a folder that is not there is an error")
  func missingFolder() {
    #expect(throws: Diagnostic.self) { _ = try RunLock(path: "/nowhere/at/all.lock") }
  }
}
