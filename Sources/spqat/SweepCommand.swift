import ArgumentParser
import Configuration
import Datasets
import Diagnostics
import Foundation
import Kernels
import Networks
import Records
import Reporting
import Runs
import Training

struct SweepCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sweep", abstract: "Train every run of an experiment that is not finished.",
    discussion: """
      Full-precision networks come first, then the full-QAT baselines, then the rest. Finished runs are never trained
      twice, and those of other experiments with the same --results are taken over where they are the same (same id);
      interrupted ones go on from their last checkpoint. Exit status 0: everything is finished; 1: runs failed;
      2: the input is wrong, the disk is full or printed output was lost; 130, 143 or 129: interrupted by Ctrl-C, kill or a
      lost terminal. On a cluster 0 says that everything else was submitted; the last job there writes the tables, and it
      fails where runs did.
      """)

  @OptionGroup var options: ExperimentOptions
  @OptionGroup var live: LiveOptions

  @Option(help: "Train at most this many runs now; 0 only lists what is finished and writes the tables.")
  var limit: Int?

  @Flag(help: "Train runs again that diverged.")
  var retryFailed = false

  @Flag(help: "Print the runs, their ids and an estimate of the time, and train nothing.")
  var dryRun = false

  @Option(help: "Runs at once; threads are divided among them, and their seconds count as not measured.")
  var jobs: Int?

  @Option(
    help: ArgumentHelp(
      "local trains here; slurm submits a job array, at most --jobs tasks at once, and prints it with --dry-run.",
      valueName: "local|slurm"))
  var launcher = Launcher.local

  enum Launcher: String, ExpressibleByArgument { case local, slurm }

  func validate() throws {
    if let jobs, !(1...256).contains(jobs) { throw ValidationError("--jobs is \(jobs); allowed: 1 to 256") }
    if let limit, limit < 0 { throw ValidationError("--limit is \(limit); allowed: 0 or more") }
  }

  func run() throws {
    switch launcher {
    case .local:
      let processes = try Processes.start()
      if processes.size > 1, let jobs, jobs > 1 {
        throw ValidationError("--jobs is \(jobs); under mpirun all processes train one run after another")
      }
      let loaded = try options.load(on: processes)
      if dryRun { return printPlan(loaded, options: options) }
      try train(
        loaded, on: processes, options: options, live: live, limit: limit, retryFailed: retryFailed, jobs: jobs ?? 1)
    case .slurm:
      let loaded = try options.load()
      try SlurmLauncher(
        loaded: loaded, options: options, live: live, limit: limit, retryFailed: retryFailed, jobs: jobs, dryRun: dryRun
      ).run()
    }
  }
}

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Train one run of an experiment, and the runs that it starts from and is paired with."
  )

  @OptionGroup var options: ExperimentOptions
  @OptionGroup var live: LiveOptions

  @Flag(help: "Train the run again if it diverged.")
  var retryFailed = false

  @Flag(help: "Print the run, its id and an estimate of the time, and train nothing.")
  var dryRun = false

  func run() throws {
    let processes = try Processes.start()
    let loaded = try options.load(on: processes)
    let needed = Set(loaded.plan.runs.flatMap(\.prerequisites))
    let chosen = loaded.plan.runs.filter { !needed.contains($0.id) }
    guard chosen.count == 1 else {
      throw Diagnostic(
        options.config,
        "has \(chosen.count) runs; choose one with --only, for example --only '\(chosen[0].label)', or train all "
          + "of them with 'spqat sweep'")
    }
    if dryRun { return printPlan(loaded, options: options) }
    try train(loaded, on: processes, options: options, live: live, limit: nil, retryFailed: retryFailed, jobs: 1)
  }
}

/// What runs write while they train.
struct LiveOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Write TensorBoard's event files while runs train, in a folder for each run below this one.", valueName: "dir"))
  var tensorboard: String?

  /// For tests.
  @Option(help: ArgumentHelp("Longest time between checkpoints.", valueName: "seconds", visibility: .hidden))
  var checkpointSeconds = 300.0

  /// The same for a worker.
  var commandArguments: [String] {
    ["--checkpoint-seconds", "\(checkpointSeconds)"] + (tensorboard.map { ["--tensorboard", $0] } ?? [])
  }
}

/// Trains one run for `sweep --jobs` or a cluster's task.
struct WorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker", abstract: "Train one run for a sweep.", shouldDisplay: false)

  @OptionGroup var options: ExperimentOptions
  @OptionGroup var live: LiveOptions
  @Option var id: String
  @Flag var retryFailed = false
  /// Wait while another process trains the run.
  @Flag var wait = false
  /// Recorded instead of this process's own.
  @Option var sweepCommand: String

  func run() throws {
    Interruption.listen(endsAtSecond: false)
    // A sweep that was killed takes its workers along: they write a checkpoint and end.
    let parent = getppid()
    let processes = try Processes.start()
    let loaded = try processes.together {
      let loaded = try options.load(quietly: true)
      try Processes.check(loaded.plan, processes)
      return loaded
    }
    guard let run = loaded.plan.runs.first(where: { $0.id == id }) else {
      throw Diagnostic(options.config, "has no run \(id) any more; start the sweep again")
    }
    let progress = TrainingProgress([run], estimate: loaded.estimate(threads: options.threads), plain: true)
    let trainer = RunTrainer(
      results: loaded.results, data: loaded.data,
      options: RunTrainer.Options(
        threads: options.threads, checkpointInterval: live.checkpointSeconds, isExclusive: false,
        retriesFailed: retryFailed, commandLine: sweepCommand, tensorBoard: live.tensorboard),
      processes: processes, observe: progress.observe,
      shouldStop: { Interruption.isRequested || getppid() != parent })
    guard processes.isFirst else { return try trainer.follow(loaded.plan) }
    defer { trainer.release() }
    if let other = try loaded.results.unfinishedPrerequisite(of: run) {
      throw Diagnostic(options.config, "\(id) needs \(run.prerequisite(other)), which is not finished")
    }
    var end = trainer.train(run)
    while wait, end == .busy {
      if Interruption.isRequested {
        end = .stopped(step: 0)
      } else {
        if let holder = RunLock.currentHolder(at: loaded.results.lock(id)) { progress.waits(for: run, holder: holder) }
        sleep(1)
        end = trainer.train(run)
      }
    }
    let status: WorkerExecutor.ExitStatus
    switch end {
    case .finished: status = .finished
    case .diverged: status = .diverged
    case .busy: status = .busy
    case .stopped: status = .stopped
    case .outOfSpace: status = .outOfSpace
    case .failed: throw ExitCode(2)
    }
    throw ExitCode(status.rawValue)
  }
}

private func printPlan(_ loaded: LoadedExperiment, options: ExperimentOptions) {
  guard Processes.isFirst else { return }
  let estimate = loaded.estimate(threads: options.threads)
  let model = loaded.plan.runs[0].spec.model
  let profile = loaded.experiment.profile.map { ", profile \($0)" } ?? ""
  print(
    "\(loaded.experiment.title)\(profile), on \(loaded.data.summary.name) (\(model.inputWidth)x\(model.inputHeight))")
  var left = 0.0
  var shared = 0
  for run in loaded.plan.runs {
    let state = RunStatus(run, in: loaded.results)
    let seconds = state.isDone ? 0 : estimate.seconds(run, from: state.step)
    left += seconds
    if case .finishedElsewhere = state.phase { shared += 1 }
    let time = state.isDone ? "" : ", about \(ProgressLine.duration(seconds))"
    let pair = run.pair.map { ", paired with \($0)" } ?? ""
    print(
      "  \(run.id)  \(run.label)  \(run.spec.totalSteps) steps of \(run.spec.batchSize)\(pair), \(state.summary)\(time)"
    )
  }
  let basis =
    estimate.measuredRuns > 0
    ? "measured on \(estimate.measuredRuns) finished runs" : "a rough guess until a run has finished here"
  print(
    "\(loaded.plan.runs.count) runs\(shared > 0 ? ", \(shared) to be taken over" : ""), about "
      + "\(ProgressLine.duration(left)) left at \(ProgressLine.rate(estimate.imagesPerSecond)) (\(basis))")
}

private func train(
  _ loaded: LoadedExperiment, on processes: any Communicator, options: ExperimentOptions, live: LiveOptions,
  limit: Int?, retryFailed: Bool, jobs: Int
) throws {
  let trainerOptions = RunTrainer.Options(
    threads: options.threads, checkpointInterval: live.checkpointSeconds, retriesFailed: retryFailed,
    commandLine: commandLine, tensorBoard: live.tensorboard)
  let results = loaded.results
  guard processes.isFirst else {
    let follower = RunTrainer(
      results: results, data: loaded.data, options: trainerOptions, processes: processes, observe: { _ in },
      shouldStop: { false })
    return try follower.follow(loaded.plan)
  }
  // mpirun repeats signals, and some launchers send their own as well.
  Interruption.listen(endsAtSecond: processes.size == 1)
  let pending = loaded.plan.runs.filter { (try? results.state($0.id)) != .finished }
  let progress = TrainingProgress(pending, estimate: loaded.estimate(threads: options.threads))
  let trainer = RunTrainer(
    results: results, data: loaded.data, options: trainerOptions, processes: processes, observe: progress.observe,
    shouldStop: { Interruption.isRequested })
  defer { trainer.release() }
  try results.prepare()
  for stale in staleRuns(of: loaded.plan, in: results) {
    printError(
      "\(results.runFile(stale.id)): stale, trained by algorithm version \(stale.version) (now "
        + "\(RunIdentity.algorithmVersion)); trained again as \(stale.successor)")
  }
  var takenOver: Set<String> = []
  func state(_ run: PlannedRun) throws -> RecordedState {
    let state = try results.state(run.id)
    if state == .finished { results.removeLeftovers(of: run.id) }
    guard state == .absent, let experiment = try results.takeOver(run) else { return state }
    takenOver.insert(run.id)
    progress.takenOver(run, from: experiment)
    return .finished
  }
  // All of them now, whatever --limit says; the sweep asks again before it starts a run, and reports what went wrong.
  for run in loaded.plan.runs { _ = try? state(run) }
  try recordClaim(of: loaded)
  let sweep = Sweep(plan: loaded.plan, limit: limit, retriesFailed: retryFailed)
  func pause(_ runs: [PlannedRun]) {
    if let run = runs.first, let holder = RunLock.currentHolder(at: results.lock(run.id)) {
      progress.waits(for: run, holder: holder)
    }
    usleep(500_000)
  }
  let summary: Sweep.Summary
  if jobs == 1 {
    var executor = LocalExecutor(trainer)
    summary = sweep.run(
      on: &executor, state: state, shouldStop: { Interruption.isRequested }, pause: pause)
  } else {
    let threads = max(1, options.threads / jobs)
    var executor = WorkerExecutor(
      jobs: jobs, results: results,
      arguments: { run in
        ["worker"] + options.commandArguments + live.commandArguments + [
          "--threads", "\(threads)", "--id", run.id, "--sweep-command", commandLine,
        ] + (retryFailed ? ["--retry-failed"] : [])
      },
      shouldStop: { Interruption.isRequested },
      observe: { run, end in
        if let end {
          progress.ended(run, end)
        } else {
          progress.line("\(run.id) \(run.label): begins, log \(results.log(run.id))")
        }
      })
    summary = sweep.run(
      on: &executor, state: state, shouldStop: { Interruption.isRequested }, pause: pause)
  }
  try close(loaded, summary, takenOver: takenOver)
}

/// Writes what the experiment claims beside its results, before what is still to be trained shows anything.
func recordClaim(of loaded: LoadedExperiment) throws {
  guard let claim = loaded.experiment.claim else { return }
  let ended = loaded.plan.runs.count { run in
    guard run.parent != nil, let state = try? loaded.results.state(run.id) else { return false }
    return state != .absent
  }
  try RecordedClaim.record(claim, in: loaded.results.folder, runsBefore: ended)
}

/// The closing list, the tables, and the exit status.
private func close(_ loaded: LoadedExperiment, _ summary: Sweep.Summary, takenOver: Set<String>) throws {
  let records = loaded.plan.runs.compactMap { try? loaded.results.record($0.id, includingTensors: false) }
  for record in records where record.outcome.status == .finished {
    print("\(record.id)  \(record.label)  top-1 \(percent(record.outcome.finalTopOne ?? .nan))")
  }
  let shared = takenOver.isEmpty ? "" : "\(takenOver.count) taken over from other experiments, "
  let found = summary.found.count { !takenOver.contains($0) }
  print(
    "\(summary.trained.count) trained, \(shared)\(found) already finished, \(summary.failures.count) failed, "
      + "\(summary.left.count) left")
  if !summary.failures.isEmpty {
    print("failed:")
    for failure in summary.failures {
      print("  \(failure.run)  \(failure.label): \(failure.reason)")
      if FileManager.default.fileExists(atPath: loaded.results.runFile(failure.run)) {
        print("    see 'spqat show \(loaded.results.runFile(failure.run))'")
      }
    }
  }
  if let reason = summary.outOfSpace {
    printError("\(reason); what is finished is kept")
    throw ExitCode(2)
  }
  var isTableWritten = true
  if !records.isEmpty {
    let prefix = "\(loaded.results.root)/\(loaded.results.name)"
    do {
      try writeTables(runs: records, caption: loaded.caption, prefix: prefix)
      print("table: \(prefix).md, .csv, .tex and .h5")
    } catch {
      // The runs are filed; the table can be made from them at any time.
      printError("\(oneLine(error)); then make the table with 'spqat table \(loaded.results.folder)'")
      isTableWritten = false
    }
  }
  if let status = Interruption.exitStatus {
    print("interrupted; the same command goes on from the checkpoints")
    throw ExitCode(status)
  }
  if !summary.failures.isEmpty { throw ExitCode(1) }
  if !isTableWritten { throw ExitCode(2) }
}
