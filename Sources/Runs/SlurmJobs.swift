public import Configuration
public import Diagnostics
import Kernels
import Records

/// The jobs that train runs on a cluster with Slurm, as the scripts that sbatch reads.
///
/// An array for the full-precision networks, an array for what starts from them, one for what is paired with a run of
/// that, and a job that makes the table: each
/// begins when those before it have ended, however they ended, as one failure is no reason to lose the rest. A task
/// whose full-precision network failed says so and ends.
public struct SlurmJobs: Sendable {
  /// A job's part in the sweep; the raw value ends the job's name.
  public enum Stage: String, Sendable {
    case pretraining, training, controls, table

    /// Where the run is trained: behind its prerequisites.
    init(of run: PlannedRun) {
      self = run.kind == .fullPrecision ? .pretraining : run.pair == nil ? .training : .controls
    }
  }

  /// One script for sbatch: an array with a task for each run, or the table's job.
  public struct Job: Sendable {
    /// Each stage has one job at most.
    public var stage: Stage
    /// Array task i, counted from 0, trains run i; empty for the table.
    public var runs: [PlannedRun]
    /// The stages that have to end first.
    public var after: [Stage]
    /// What sbatch reads from its standard input, a line break at its end.
    public var script: String
  }

  /// What the scripts are told of where they were made; paths are absolute.
  public struct Environment: Sendable {
    /// The executable that tasks start.
    public var program: String
    /// Where the scripts change to before they start the program.
    public var workingDirectory: String
    /// Its `logs` folder, which has to exist when a task starts, receives the output.
    public var results: ResultsDirectory

    /// Checks nothing: `SlurmJobs` refuses paths with line breaks.
    public init(program: String, workingDirectory: String, results: ResultsDirectory) {
      self.program = program
      self.workingDirectory = workingDirectory
      self.results = results
    }
  }

  /// As many tasks as an array has at most, where a cluster's MaxArraySize is Slurm's default.
  public static let maximumTasks = 1000

  /// In the order of submission; empty where there are no runs.
  public let jobs: [Job]

  /// - Parameters:
  ///   - runs: what is to be trained, parents first.
  ///   - worker: the program's arguments that train one run, but for `--id`.
  ///   - closing: the program's arguments that merge the results.
  ///   - atOnce: tasks of an array that may run at the same time; nil: as many as the cluster allows.
  public init(
    _ runs: [PlannedRun], settings: SlurmSettings, environment: Environment, worker: [String], closing: [String],
    atOnce: Int?
  ) throws(Diagnostic) {
    for path in [environment.program, environment.workingDirectory, environment.results.folder]
    where path.contains(where: \.isNewline) {
      throw Diagnostic(path, "has a line break in its name, which no batch script can have; rename it")
    }
    guard settings.processes.nonzeroBitCount == 1, settings.processes <= BatchTree.maximumLeaves else {
      throw Diagnostic(
        "slurm",
        "\(settings.nodes) nodes with \(settings.tasksPerNode) processes each are \(settings.processes); a batch is "
          + "divided among 1, 2, 4, 8, 16, 32 or 64", remedy: "change nodes or tasksPerNode")
    }
    var jobs: [Job] = []
    for stage in [Stage.pretraining, .training, .controls] {
      let members = runs.filter { Stage(of: $0) == stage }
      guard !members.isEmpty else { continue }
      guard members.count <= Self.maximumTasks else {
        throw Diagnostic(
          environment.results.folder,
          "\(members.count) runs are to be trained, but a job array has at most \(Self.maximumTasks) tasks; "
            + "choose some with --only, or submit --limit \(Self.maximumTasks) at a time")
      }
      jobs.append(
        Job(
          stage: stage, runs: members, after: jobs.map(\.stage),
          script: Self.array(members, stage, settings, environment, worker: worker, atOnce: atOnce)))
    }
    if !jobs.isEmpty {
      jobs.append(
        Job(
          stage: .table, runs: [], after: jobs.map(\.stage),
          script: Self.closing(closing, settings, environment)))
    }
    self.jobs = jobs
  }

  /// The job's number in what `sbatch --parsable` printed; nil where there is none, or more than one.
  ///
  /// It is a line of its own, where there are several clusters with the cluster's name behind a semicolon; sites add
  /// banners and warnings around it.
  public static func number(in output: String) -> String? {
    let numbers = output.split(whereSeparator: \.isNewline).compactMap { line -> String? in
      let words = line.split(whereSeparator: \.isWhitespace)
      guard words.count == 1 else { return nil }
      let parts = words[0].split(separator: ";", maxSplits: 1, omittingEmptySubsequences: false)
      let isNumber = parts[0].utf8.allSatisfy { (48...57).contains($0) }
      return isNumber && parts.allSatisfy { !$0.isEmpty } ? String(parts[0]) : nil
    }
    return numbers.count == 1 ? numbers[0] : nil
  }

  private static func array(
    _ runs: [PlannedRun], _ stage: Stage, _ settings: SlurmSettings, _ environment: Environment, worker: [String],
    atOnce: Int?
  ) -> String {
    let cap = atOnce.map { "%\($0)" } ?? ""
    let options =
      header(stage, settings, environment, log: "slurm-%A_%a.log", trains: true) + [
        "--array=0-\(runs.count - 1)\(cap)", "--open-mode=append", "--requeue",
        "--signal=B:TERM@\(SlurmSettings.notice)",
      ]
    // Tasks of a job step that loses one would wait for it without end.
    let launcher = settings.processes > 1 ? "srun --kill-on-bad-exit=1 " : ""
    let log = shellQuoted("\(environment.results.folder)/logs") + "/\"$run\".log"
    return """
      \(preamble(options, environment))
      runs=(
      \(runs.map { "  \($0.id)  # \($0.label)" }.joined(separator: "\n"))
      )
      run=${runs[$SLURM_ARRAY_TASK_ID]}

      \(launcher)\(command(environment.program, worker + ["--wait"])) --id "$run" 2>>\(log) &
      worker=$!
      # The worker answers SIGTERM with a checkpoint and status \(WorkerExecutor.ExitStatus.stopped.rawValue).
      trap 'signalled=yes; kill -TERM "$worker"' TERM
      while signalled=; wait "$worker"; status=$?; [ -n "$signalled" ]; do :; done

      # Out of wall time: go on in a new task. A task that is being cancelled or requeued is no longer RUNNING.
      task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
      if [ "$status" -eq \(WorkerExecutor.ExitStatus.stopped.rawValue) ] \
      && [ "$(squeue --noheader --jobs="$task" --format=%T)" = RUNNING ]; then
        scontrol requeue "$task" && exit 0
      fi
      [ "$status" -eq 0 ] || tail -n 1 \(log) >&2
      exit "$status"

      """
  }

  private static func closing(
    _ arguments: [String], _ settings: SlurmSettings, _ environment: Environment
  ) -> String {
    let options = header(.table, settings, environment, log: "slurm-%j.log", trains: false)
    return """
      \(preamble(options, environment))
      \(command(environment.program, arguments))

      """
  }

  private static func preamble(_ options: [String], _ environment: Environment) -> String {
    """
    #!/bin/bash
    \(options.map { "#SBATCH \($0)" }.joined(separator: "\n"))

    cd \(shellQuoted(environment.workingDirectory)) || exit 2
    """
  }

  private static func header(
    _ stage: Stage, _ settings: SlurmSettings, _ environment: Environment, log: String, trains: Bool
  ) -> [String] {
    let folder = "\(environment.results.folder)/logs".replacing("%", with: "%%")
    return [
      "--job-name=\(environment.results.name)-\(stage.rawValue)", "--output=\(directiveQuoted("\(folder)/\(log)"))",
      "--nodes=\(trains ? settings.nodes : 1)",
      trains && settings.processes > 1 ? "--ntasks-per-node=\(settings.tasksPerNode)" : "--ntasks=1",
      "--cpus-per-task=\(trains ? settings.cpus : 1)", "--mem=\(settings.memory)",
      "--time=\(trains ? settings.time : "00:30:00")",
    ] + (settings.partition.map { ["--partition=\($0)"] } ?? [])
  }

  private static func command(_ program: String, _ arguments: [String]) -> String {
    ([program] + arguments).map(shellQuoted).joined(separator: " ")
  }

  /// As sbatch reads words of its own: quotation marks, and backslashes before what would end them.
  private static func directiveQuoted(_ text: String) -> String {
    "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }
}

/// `text` as one word of a shell command, in quotation marks only where it needs them.
public func shellQuoted(_ text: String) -> String {
  let isPlain = text.utf8.allSatisfy { byte in
    (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
      || "-_./=%,:+@".utf8.contains(byte)
  }
  return isPlain && !text.isEmpty ? text : "'" + text.replacing("'", with: "'\\''") + "'"
}
