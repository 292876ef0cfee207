import Configuration
import ConfigurationSupport
import Diagnostics
import Foundation
import Host
import Runs
import Testing

@Suite("Slurm jobs")
struct SlurmJobsTests {
  let plan: RunPlan
  let environment = SlurmJobs.Environment(
    program: "/opt/my tools/spqat", workingDirectory: "/home/o'neill/100 %",
    results: ResultsDirectory(root: "/home/o'neill/100 %/\"results\"", name: "x"))

  init() throws {
    plan = try RunPlan(experiment(TinyExperiment.text), data: TinyExperiment.data)
  }

  private func jobs(
    _ runs: [PlannedRun], settings: SlurmSettings = SlurmSettings(), environment: SlurmJobs.Environment? = nil,
    atOnce: Int? = nil
  ) throws -> [SlurmJobs.Job] {
    try SlurmJobs(
      runs, settings: settings, environment: environment ?? self.environment,
      worker: ["worker", "my sweep.json", "--threads", "2"],
      closing: ["sweep", "my sweep.json", "--limit", "0"], atOnce: atOnce
    ).jobs
  }

  @Test("train full-precision networks first, make the table last, and depend on each other in this order")
  func order() throws {
    let all = try jobs(plan.runs)
    #expect(all.map(\.stage) == [.pretraining, .training, .table])
    #expect(all.map(\.after) == [[], [.pretraining], [.pretraining, .training]])
    #expect(all.flatMap(\.runs).map(\.id) == plan.runs.map(\.id))
    let rest = try jobs(plan.runs.filter { $0.parent != nil })
    #expect(rest.map(\.stage) == [.training, .table])
    #expect(rest.map(\.after) == [[], [.training]])
    #expect(try jobs([]).isEmpty)
  }

  @Test("let srun start the processes of a run where there are several, in any number that MPI takes")
  func processes() throws {
    var settings = SlurmSettings()
    (settings.nodes, settings.tasksPerNode, settings.cpus) = (2, 4, 16)
    let all = try jobs(plan.runs, settings: settings)
    #expect(all[0].script.contains("\n#SBATCH --nodes=2\n#SBATCH --ntasks-per-node=4\n#SBATCH --cpus-per-task=16\n"))
    #expect(all[0].script.contains("\nsrun --kill-on-bad-exit=1 '/opt/my tools/spqat' worker "))
    let table = try #require(all.last)
    #expect(table.script.contains("\n#SBATCH --nodes=1\n#SBATCH --ntasks=1\n#SBATCH --cpus-per-task=1\n"))
    #expect(!table.script.contains("srun"))
    settings.tasksPerNode = 3
    #expect { try jobs(plan.runs, settings: settings) } throws: {
      "\($0)".contains("2 nodes with 3 processes each are 6")
    }
  }

  @Test("are written as these scripts")
  func scripts() throws {
    var settings = SlurmSettings()
    settings.partition = "cpu"
    let all = try jobs(plan.runs, settings: settings, atOnce: 3)
    #expect(
      all[1].script == #"""
        #!/bin/bash
        #SBATCH --job-name=x-training
        #SBATCH --output="/home/o'neill/100 %%/\"results\"/x/logs/slurm-%A_%a.log"
        #SBATCH --nodes=1
        #SBATCH --ntasks=1
        #SBATCH --cpus-per-task=2
        #SBATCH --mem=4G
        #SBATCH --time=04:00:00
        #SBATCH --partition=cpu
        #SBATCH --array=0-3%3
        #SBATCH --open-mode=append
        #SBATCH --requeue
        #SBATCH --signal=B:TERM@120

        cd '/home/o'\''neill/100 %' || exit 2
        runs=(
          67aa5f3fc360  # W2A2 fullQAT seed=1
          08d6e308f1c4  # W2A2 fullQAT seed=2
          b57fd0b60eea  # W2A2 freeze threshold=linear seed=1
          d2dc1e1c48dd  # W2A2 freeze threshold=linear seed=2
        )
        run=${runs[$SLURM_ARRAY_TASK_ID]}

        '/opt/my tools/spqat' worker 'my sweep.json' --threads 2 --wait --id "$run" 2>>'/home/o'\''neill/100 %/"results"/x/logs'/"$run".log &
        worker=$!
        # The worker answers SIGTERM with a checkpoint and status 4.
        trap 'signalled=yes; kill -TERM "$worker"' TERM
        while signalled=; wait "$worker"; status=$?; [ -n "$signalled" ]; do :; done

        # Out of wall time: go on in a new task. A task that is being cancelled or requeued is no longer RUNNING.
        task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
        if [ "$status" -eq 4 ] && [ "$(squeue --noheader --jobs="$task" --format=%T)" = RUNNING ]; then
          scontrol requeue "$task" && exit 0
        fi
        [ "$status" -eq 0 ] || tail -n 1 '/home/o'\''neill/100 %/"results"/x/logs'/"$run".log >&2
        exit "$status"

        """#)
    #expect(
      all[2].script == #"""
        #!/bin/bash
        #SBATCH --job-name=x-table
        #SBATCH --output="/home/o'neill/100 %%/\"results\"/x/logs/slurm-%j.log"
        #SBATCH --nodes=1
        #SBATCH --ntasks=1
        #SBATCH --cpus-per-task=1
        #SBATCH --mem=4G
        #SBATCH --time=00:30:00
        #SBATCH --partition=cpu

        cd '/home/o'\''neill/100 %' || exit 2
        '/opt/my tools/spqat' sweep 'my sweep.json' --limit 0

        """#)
    #expect(try jobs(plan.runs)[0].script.contains("#SBATCH --array=0-0\n"))
  }

  @Test(
    "have the number that sbatch prints on a line of its own",
    arguments: [
      ("4711\n", "4711"), ("4711;cluster\n", "4711"), ("sbatch: no partition specified\n4711\n", "4711"),
      ("\n 4711 \n\nGoodbye\n", "4711"), ("", nil), ("Submitted batch job 4711\n", nil), ("1\n2\n", nil), ("-1\n", nil),
      ("4711 4712\n", nil), ("sbatch: warning: 12\n", nil), ("4711;\n", nil), (";cluster\n", nil), ("\u{661}\n", nil),
      ("4711;a;b\r\n", "4711"),
    ] as [(String, String?)])
  func number(output: String, number: String?) {
    #expect(SlurmJobs.number(in: output) == number)
  }

  @Test("refuse what no array can hold and no script can name")
  func refused() throws {
    let many = Array(repeating: plan.runs[1], count: SlurmJobs.maximumTasks + 1)
    #expect(throws: Diagnostic.self) { _ = try jobs(many) }
    #expect(try jobs(Array(many.dropLast())).count == 2)
    var broken = environment
    broken.workingDirectory = "/home/a\nrm"
    #expect(throws: Diagnostic.self) { _ = try jobs(plan.runs, environment: broken) }
  }

  @Test(
    "quote words as a shell reads them",
    arguments: ["plain-1.json", "", "a b", "it's", "$HOME `ls` \"x\" \\ * #", "--set=a%b", "é"])
  func quoting(word: String) throws {
    let text = try Subprocess.run("/bin/sh", ["-c", "printf %s \(shellQuoted(word))"]).text
    #expect(text == word)
  }
}
