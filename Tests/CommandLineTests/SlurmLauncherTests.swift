import Foundation
import Testing

/// `sweep --launcher slurm` beside a stand-in for sbatch that runs each task at once; `make test-slurm` has a real one.
@Suite("Sweeps on a cluster")
struct SlurmLauncherTests {
  private func slurm(
    _ place: Workplace, _ more: [String] = [], path: String = "/usr/bin:/bin"
  ) throws -> Spqat.Output {
    try place.run(place.arguments("sweep", ["--launcher", "slurm"] + more), through: "PATH='\(path)'")
  }

  /// A folder with programs that stand in for Slurm's; what they are called with goes to the file `calls` beside it.
  private func standIns(_ place: Workplace, sbatch: String) throws -> String {
    let folder = place.folder.appendingPathComponent("programs")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let programs = [
      "sbatch": sbatch, "scancel": "", "squeue": "echo RUNNING", "scontrol": "",
    ]
    for (name, body) in programs {
      let file = folder.appendingPathComponent(name)
      let text = "#!/bin/bash\ncd '\(place.folder.path)'\necho \"\(name) $*\" >>calls\n\(body)\n"
      try Data(text.utf8).write(to: file)
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
    }
    return "\(folder.path):/usr/bin:/bin"
  }

  private func calls(_ place: Workplace) throws -> [Substring] {
    try String(contentsOf: place.folder.appendingPathComponent("calls"), encoding: .utf8).split(separator: "\n")
  }

  /// Runs the script for each index of its array, as job 7, 8 and so on.
  private static let runningSbatch = """
    job=$((6 + $(grep -c sbatch calls)))
    cat >script-$job
    last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' script-$job)
    for task in $(seq 0 "${last:-0}"); do
      SLURM_ARRAY_JOB_ID=$job SLURM_ARRAY_TASK_ID=$task bash script-$job >>output-$job 2>&1
    done
    echo "$job;cluster"
    """

  @Test("print their scripts without a cluster, and submit nothing")
  func dryRun() throws {
    let place = try Workplace()
    let output = try slurm(place, ["--dry-run", "--jobs", "2", "--tensorboard", "live"])
    #expect(output.status == 0, "\(output.standardError)")
    #expect(output.standardOutput.components(separatedBy: "#!/bin/bash\n").count == 4)
    #expect(output.standardOutput.contains("\n#SBATCH --array=0-1%2\n"))
    // Each of both arrays' workers.
    #expect(output.standardOutput.components(separatedBy: " --checkpoint-seconds 300.0 --tensorboard live ").count == 3)
    #expect(
      output.standardOutput.contains(
        "# training, to be read by: sbatch --parsable --dependency=afterany:<pretraining>\n"))
    #expect(output.standardOutput.hasSuffix("# 3 to submit, 0 already finished, 0 failed before, 0 left\n"))
    #expect(!FileManager.default.fileExists(atPath: place.results))
  }

  @Test("say in one line that there is no Slurm")
  func noSlurm() throws {
    let place = try Workplace()
    let empty = place.folder.appendingPathComponent("nothing").path
    let output = try slurm(place, path: empty)
    #expect(output.status == 2)
    #expect(output.standardOutput == "")
    #expect(output.errorLines.count == 1)
    #expect(output.standardError.contains("needs sbatch, which is not on PATH"))
  }

  @Test("train what is not finished, one run a task, to the files of a local sweep")
  func submitted() throws {
    let place = try Workplace(#""axes": [{"method": ["fullQAT", "freeze"]}, {"bits.weights": [2, 3]}]"#)
    #expect(try place.sweep(["--limit", "2"]).status == 0)
    let path = try standIns(place, sbatch: Self.runningSbatch)
    let output = try slurm(place, path: path)
    #expect(output.status == 0, "\(output.standardOutput)\(output.standardError)")
    #expect(
      output.standardOutput.contains("job 7: training, 3 tasks\njob 8: table, after 7\n3 submitted, 2 already finished")
    )
    #expect(try calls(place) == ["sbatch --parsable", "sbatch --parsable --dependency=afterany:7"])
    #expect(try place.runFiles().count == 5)
    let table = try String(contentsOfFile: "\(place.results)/tiny.csv", encoding: .utf8)
    #expect(table.split(whereSeparator: \.isNewline).count == 6, "a heading and a row for each run:\n\(table)")
    let other = place.folder.appendingPathComponent("local").path
    #expect(try place.sweep(results: other).status == 0)
    for file in try place.runFiles(results: other) {
      let difference = try place.run([
        "diff", "--ignore-times", "\(place.results)/tiny/runs/\(file)", "\(other)/tiny/runs/\(file)",
      ])
      #expect(difference.status == 0, "\(difference.standardOutput)\(difference.standardError)")
    }
    let again = try slurm(place, path: path)
    #expect(again.standardOutput == "0 submitted, 5 already finished, 0 failed before, 0 left\n")
  }

  @Test("do not submit what another experiment of the same results has finished")
  func shared() throws {
    let place = try Workplace()
    let both = try place.write("both", #""axes": [{"method": ["fullQAT", "freeze"]}]"#)
    #expect(try place.run(place.arguments("sweep", ["--only", "fullQAT"], experiment: both)).status == 0)
    let plan = try slurm(place, ["--dry-run"])
    #expect(plan.standardOutput.contains(": to be taken over from both, where it is finished\n"))
    #expect(plan.standardOutput.hasSuffix("# 1 to submit, 2 already finished, 0 failed before, 0 left\n"))
    #expect(!FileManager.default.fileExists(atPath: place.runs.path))
    let path = try standIns(place, sbatch: Self.runningSbatch)
    let output = try slurm(place, path: path)
    #expect(output.standardOutput.contains("1 submitted, 2 already finished"), "\(output.standardOutput)")
    #expect(try place.runFiles().count == 3)
  }

  @Test("whose full-precision network failed end with the reason")
  func failedParent() throws {
    let place = try Workplace()
    let diverging = ["--set", #"pretraining.optimizer={"weights": {"learningRate": 1e30}}"#]
    let output = try slurm(place, diverging, path: try standIns(place, sbatch: Self.runningSbatch))
    #expect(output.status == 0, "\(output.standardOutput)\(output.standardError)")
    let log = try String(contentsOf: place.folder.appendingPathComponent("output-8"), encoding: .utf8)
    #expect(log.contains("which is not finished"))
    let again = try slurm(place, diverging, path: try standIns(place, sbatch: Self.runningSbatch))
    #expect(again.status == 1)
    #expect(again.standardOutput.hasPrefix("0 submitted, 0 already finished, 3 failed before, 0 left\n"))
  }

  @Test("that sbatch refuses leave nothing submitted")
  func refused() throws {
    let place = try Workplace()
    let path = try standIns(
      place,
      sbatch:
        "[ $(grep -c sbatch calls) -lt 2 ] || { echo 'sbatch: error: too many' >&2; exit 1; }\ncat >/dev/null\necho 7")
    let output = try slurm(place, path: path)
    #expect(output.status == 2)
    #expect(
      output.errorLines == ["spqat: sbatch: refused the job training: sbatch: error: too many; nothing stays submitted"]
    )
    #expect(try calls(place).last == "scancel 7")
  }

  @Test("are told from banners, warnings and much else that sbatch prints")
  func banners() throws {
    let place = try Workplace()
    let banner = "cat >/dev/null; head -c 200000 /dev/zero >&2; echo 'sbatch: warning: no partition, using default'; "
    let path = try standIns(place, sbatch: banner + "echo $((4710 + $(grep -c sbatch calls)))")
    let output = try slurm(place, path: path)
    #expect(output.status == 0, "\(output.standardError)")
    #expect(output.standardOutput.hasPrefix("job 4711: pretraining, 1 task\njob 4712: training, 2 tasks, after 4711\n"))
    #expect(try calls(place).last == "sbatch --parsable --dependency=afterany:4711:4712")
  }

  @Test("stop where sbatch prints no number, with what it printed")
  func noNumber() throws {
    let place = try Workplace()
    let sbatch = "cat >/dev/null; [ $(grep -c sbatch calls) -lt 2 ] && echo 7 || echo 'Welcome to cluster 12'"
    let output = try slurm(place, path: try standIns(place, sbatch: sbatch))
    #expect(output.status == 2)
    #expect(
      output.errorLines == [
        "spqat: sbatch: printed no number of the job training, but: Welcome to cluster 12; what was submitted before it is "
          + "cancelled, and 'squeue --me' shows whether this one has to be, too"
      ])
    #expect(try calls(place).last == "scancel 7")
  }

  @Test("write a checkpoint before their wall time ends, and go on in a new task")
  func outOfTime() throws {
    let place = try Workplace()
    let longer = ["--set", "duration=300it"]
    #expect(try place.sweep(["--limit", "1"] + longer).status == 0)
    let submitting = try standIns(place, sbatch: "cat >\"script-$(grep -c sbatch calls)\"; echo 7")
    #expect(try slurm(place, longer, path: submitting).status == 0)
    let task = Process()
    // The signal may be blocked in this process, and children inherit that; Slurm's tasks begin without.
    task.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    task.arguments = ["--default-signal=TERM", "bash", place.folder.appendingPathComponent("script-1").path]
    task.environment = ["PATH": submitting, "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "0"]
    try task.run()
    let locks = URL(fileURLWithPath: place.results).appendingPathComponent("tiny/locks")
    let deadline = Date(timeIntervalSinceNow: 60)
    func trains() -> Bool {
      let files = (try? FileManager.default.contentsOfDirectory(at: locks, includingPropertiesForKeys: nil)) ?? []
      return files.contains { (try? String(contentsOf: $0, encoding: .utf8))?.contains(#""totalSteps":300"#) == true }
    }
    while !trains(), Date() < deadline { usleep(10_000) }
    task.terminate()
    task.waitUntilExit()
    #expect(task.terminationReason == .exit)
    #expect(task.terminationStatus == 0)
    #expect(try calls(place).last == "scontrol requeue 7_0")
    let status = try place.run(place.arguments("status", longer))
    #expect(status.standardOutput.contains("interrupted near step"))
  }
}
