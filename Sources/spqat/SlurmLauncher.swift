import ArgumentParser
import Configuration
import Diagnostics
import Foundation
import Host
import Records
import Runs

/// `sweep --launcher slurm`: everything is submitted at once, and this program is done.
struct SlurmLauncher {
  var loaded: LoadedExperiment
  var options: ExperimentOptions
  var live: LiveOptions
  var limit: Int?
  var retryFailed: Bool
  /// Tasks at once; nil: as many as the cluster allows.
  var jobs: Int?
  var dryRun: Bool

  func run() throws {
    let shared = try sharedRuns()
    let summary = plannedRuns(shared)
    let chosen = Set(summary.trained)
    let slurm = try SlurmJobs(
      loaded.plan.runs.filter { chosen.contains($0.id) }, settings: loaded.experiment.slurm,
      environment: SlurmJobs.Environment(
        program: Subprocess.itself,
        workingDirectory: FileManager.default.currentDirectoryPath,
        results: ResultsDirectory(root: absolute(loaded.results.root), name: loaded.results.name)),
      worker: ["worker"] + options.commandArguments + live.commandArguments + [
        "--threads", "\(loaded.experiment.slurm.cpus)", "--sweep-command", commandLine,
      ] + (retryFailed ? ["--retry-failed"] : []),
      closing: ["sweep"] + options.commandArguments + options.only.flatMap { ["--only", $0] }
        + ["--threads", "1", "--limit", "0"],
      atOnce: jobs)
    if dryRun {
      for job in slurm.jobs {
        let after = job.after.isEmpty ? "" : " --dependency=afterany" + job.after.map { ":<\($0.rawValue)>" }.joined()
        print("# \(job.stage.rawValue), to be read by: sbatch --parsable\(after)\n\(job.script)")
      }
    } else if !slurm.jobs.isEmpty {
      try submit(slurm.jobs)
    }
    report(summary, shared)
    if !summary.failures.isEmpty { throw ExitCode(1) }
  }

  /// The runs that other experiments have finished, with the experiment's name; taken over unless this is a dry run.
  private func sharedRuns() throws -> [(run: PlannedRun, experiment: String)] {
    let shared = loaded.plan.runs.compactMap { run -> (run: PlannedRun, experiment: String)? in
      guard case .finishedElsewhere(let experiment) = RunStatus(run, in: loaded.results).phase else { return nil }
      return (run, experiment)
    }
    if !dryRun, !shared.isEmpty {
      try loaded.results.prepare()
      for (run, _) in shared { _ = try loaded.results.takeOver(run) }
    }
    return shared
  }

  /// A sweep in which every run that would be trained finishes at once: those are to be submitted.
  private func plannedRuns(_ shared: [(run: PlannedRun, experiment: String)]) -> Sweep.Summary {
    var executor = PlanningExecutor()
    let finished = Set(shared.map(\.run.id))
    return Sweep(plan: loaded.plan, limit: limit, retriesFailed: retryFailed).run(
      on: &executor, state: { finished.contains($0.id) ? .finished : try loaded.results.state($0.id) },
      shouldStop: { false }, pause: { _ in })
  }

  private func submit(_ jobs: [SlurmJobs.Job]) throws {
    guard Subprocess.find("sbatch") != nil else {
      throw ValidationError(
        "--launcher slurm needs sbatch, which is not on PATH; run it where jobs are submitted, or add --dry-run to see "
          + "the scripts")
    }
    try loaded.results.prepare()
    try recordClaim(of: loaded)
    var submitted: [SlurmJobs.Stage: String] = [:]
    for job in jobs {
      let earlier = job.after.compactMap { submitted[$0] }
      let dependency = earlier.isEmpty ? [] : ["--dependency=afterany:" + earlier.joined(separator: ":")]
      let answer = try Subprocess.run("sbatch", ["--parsable"] + dependency, input: job.script)
      guard answer.succeeded, let id = SlurmJobs.number(in: answer.text) else {
        if !submitted.isEmpty { _ = try? Subprocess.run("scancel", submitted.values.sorted()) }
        let printed = oneLine(answer.succeeded ? answer.text + answer.errors : answer.errors)
        throw Diagnostic(
          "sbatch",
          answer.succeeded
            ? "printed no number of the job \(job.stage.rawValue), but: \(printed); what was submitted before it is "
              + "cancelled, and 'squeue --me' shows whether this one has to be, too"
            : "refused the job \(job.stage.rawValue): \(printed); nothing stays submitted")
      }
      submitted[job.stage] = id
      let tasks = job.runs.isEmpty ? "" : ", \(job.runs.count) \(job.runs.count == 1 ? "task" : "tasks")"
      let after = earlier.isEmpty ? "" : ", after \(earlier.joined(separator: " and "))"
      print("job \(id): \(job.stage.rawValue)\(tasks)\(after)")
    }
  }

  private func report(_ summary: Sweep.Summary, _ shared: [(run: PlannedRun, experiment: String)]) {
    // Comments beside printed scripts.
    let mark = dryRun ? "# " : ""
    let taken = dryRun ? "to be taken over" : "taken over"
    for (run, experiment) in shared {
      print("\(mark)\(run.id) \(run.label): \(taken) from \(experiment), where it is finished")
    }
    print(
      "\(mark)\(summary.trained.count) \(dryRun ? "to submit" : "submitted"), \(summary.found.count) already finished, "
        + "\(summary.failures.count) failed before, \(summary.left.count) left")
    for failure in summary.failures { print("\(mark)  \(failure.run)  \(failure.label): \(failure.reason)") }
    if !dryRun, summary.trained.isEmpty, !shared.isEmpty {
      print("make the table with 'spqat table \(loaded.results.folder)'")
    }
    if !dryRun, !summary.trained.isEmpty {
      print("follow them with squeue and 'spqat status'; logs are in \(loaded.results.folder)/logs")
    }
  }

  private func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  }
}

/// Finishes every run at once.
private struct PlanningExecutor: RunExecutor {
  let slots = 1
  private var run: PlannedRun?

  mutating func start(_ run: PlannedRun) { self.run = run }

  mutating func next() -> (id: String, end: RunEnd) {
    guard let run else { preconditionFailure("next follows start") }
    return (run.id, .finished)
  }
}
