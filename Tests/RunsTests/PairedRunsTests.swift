import Configuration
import ConfigurationSupport
import Diagnostics
import Foundation
import Quantization
import Records
import Runs
import TestSupport
import Testing

/// Runs whose freezing takes its counts or its saving from another run.
@Suite("Paired runs")
struct PairedRunsTests {
  private func plan(_ axes: String, set: [String] = []) throws -> RunPlan {
    try RunPlan(
      experiment(
        TinyExperiment.text,
        set: ["axes=\(axes)", "seeds=[1]"] + (axes.contains("method") ? [] : ["method=freeze", "freezing.stop=match"])
          + set),
      data: TinyExperiment.data)
  }

  private static let controls = #"[{"freezing.criterion": ["distance", "random", "clock"]}]"#

  @Test("the paired run has the same settings with the criterion distance, and stands in the ids of those that need it")
  func ids() throws {
    let runs = try plan(Self.controls).runs
    #expect(
      runs.map(\.label) == [
        "fullPrecision spqat seed=1", "W2A2 freeze threshold=linear criterion=distance seed=1",
        "W2A2 freeze threshold=linear criterion=random seed=1", "W2A2 freeze threshold=linear criterion=clock seed=1",
      ])
    #expect(runs.map(\.pair) == [nil, nil, runs[1].id, runs[1].id])
    #expect(runs[2].prerequisites == [runs[0].id, runs[1].id] && runs[1].prerequisites == [runs[0].id])
    // As it would be without any control.
    let pinned = try RunPlan(experiment(TinyExperiment.text), data: TinyExperiment.data).runs
    #expect(pinned.contains { $0.id == runs[1].id })
    for run in runs[2...] {
      #expect(run.identity.canonicalForm.contains("\n  \"freezing.pair\": \"\(runs[1].id)\",\n"))
      #expect(!run.identity.canonicalForm.contains("stop"))
    }
    #expect(!runs[1].identity.canonicalForm.contains("criterion"))
    let other = try plan(Self.controls, set: ["freezing.threshold=0.1"]).runs
    #expect(Set(other.map(\.id)).intersection(runs.map(\.id)) == [runs[0].id])
  }

  @Test("a control without its pair in the sweep brings it along, and selection keeps it")
  func brought() throws {
    let runs = try plan(#"[{"freezing.criterion": ["random", "clock"]}]"#).runs
    #expect(try runs.map(\.id) == plan(Self.controls).runs.map(\.id))
    let single = try plan("[]", set: ["freezing.criterion=clock"])
    #expect(
      single.runs.map(\.label) == [
        "fullPrecision spqat seed=1", "W2A2 freeze threshold=linear seed=1",
        "W2A2 freeze criterion=clock threshold=linear seed=1",
      ])
    let selected = try plan(Self.controls).selecting(["criterion=random"])
    #expect(selected.runs.map(\.id) == Array(runs.prefix(3).map(\.id)))
  }

  @Test("clocks and level changes say their own numbers in steps, and need no other run")
  func alone() throws {
    let runs = try plan(
      #"[{"freezing.criterion": ["clock", "levelChange"]}]"#, set: ["freezing.stop=40%", "freezing.steps=7"]
    ).runs
    #expect(runs.map(\.pair) == [nil, nil, nil])
    let forms = runs.dropFirst().map(\.identity.canonicalForm)
    #expect(
      forms[0].contains("\"freezing.stopStep\": 40,") && !forms[0].contains("threshold") && !forms[0].contains("start"))
    #expect(forms[1].contains("\"freezing.steps\": 7,") && forms[1].contains("\"freezing.startStep\": 20,"))
    let error = #expect(throws: Diagnostic.self) {
      try plan(
        "[]",
        set: ["freezing.criterion=levelChange", "freezing.steps=100", "freezing.threshold=null", "freezing.stop=null"])
    }
    #expect(
      error?.description.hasSuffix("freezing.steps: found 100, but the run has 100 steps: nothing would ever freeze")
        == true,
      "\(error?.description ?? "")")
  }

  @Test("shadow runs are of a kind of their own and full QAT's family")
  func shadow() throws {
    let runs = try plan(#"[{"method": ["fullQAT", "freeze", "shadow"]}]"#).runs
    #expect(runs.map(\.kind) == [.fullPrecision, .fullQAT, .freeze, .shadow])
    #expect(runs[3].label == "W2A2 shadow threshold=linear seed=1" && runs[3].id != runs[2].id)
    #expect(runs[3].identity.canonicalForm.contains("\"freezing.shadow\": true,"))
  }

  @Test("jobs on a cluster train controls behind what they are paired with")
  func slurm() throws {
    let jobs = try SlurmJobs(
      plan(Self.controls).runs, settings: SlurmSettings(),
      environment: SlurmJobs.Environment(
        program: "/spqat", workingDirectory: "/", results: ResultsDirectory(root: "/results", name: "x")),
      worker: [], closing: [], atOnce: nil
    ).jobs
    #expect(jobs.map(\.stage) == [.pretraining, .training, .controls, .table])
    #expect(jobs.map(\.runs.count) == [1, 1, 2, 0])
    #expect(jobs[2].after == [.pretraining, .training])
  }

  @Test("what is paired with a failed run fails with it")
  func failure() throws {
    struct Executor: RunExecutor {
      let slots = 1
      var underWay: [PlannedRun] = []
      mutating func start(_ run: PlannedRun) { underWay.append(run) }
      mutating func next() -> (id: String, end: RunEnd) {
        let run = underWay.removeFirst()
        return (run.id, run.kind == .freeze ? .failed("no luck") : .finished)
      }
    }
    let plan = try plan(Self.controls)
    var executor = Executor()
    let summary = Sweep(plan: plan).run(
      on: &executor, state: { _ in .absent }, shouldStop: { false }, pause: { _ in Issue.record("nothing to wait for") }
    )
    let pair = plan.runs[1].id
    #expect(
      summary.failures.map(\.reason) == [
        "no luck", "the run \(pair) that it is paired with failed", "the run \(pair) that it is paired with failed",
      ])
    #expect(summary.failures.map(\.isConsequence) == [false, true, true])
  }
}
