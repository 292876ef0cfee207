import Configuration
import ConfigurationSupport
import Datasets
import Diagnostics
import Foundation
import Records
import Runs
import TestSupport
import Testing

@Suite("Folders of results")
struct ResultsDirectoryTests {
  private func record(_ run: PlannedRun, version: Int = RunIdentity.algorithmVersion) -> RunRecord {
    var provenance = Provenance()
    provenance.algorithmVersion = version
    return RunRecord(
      id: run.id, kind: run.kind, recipe: RecipeName(rawValue: "spqat"), bits: nil, label: run.label, axes: [],
      configuration: run.identity.canonicalForm, provenance: provenance)
  }

  @Test("tell finished, diverged and unfinished runs from each other and from foreign files")
  func states() throws {
    let folder = try TemporaryFolder()
    let results = ResultsDirectory(root: folder.url.path, name: "x")
    try results.prepare()
    let run = try RunPlan(experiment(TinyExperiment.text), data: TinyExperiment.data).runs[0]
    #expect(try results.state(run.id) == .absent)
    #expect(RunStatus(run, in: results).phase == .waiting)

    var record = record(run)
    record.outcome.status = .finished
    record.outcome.finalTopOne = 0.5
    try RunFile.write(record, to: results.runFile(run.id))
    #expect(try results.state(run.id) == .finished)
    #expect(RunStatus(run, in: results).phase == .finished(topOne: 0.5))
    #expect(results.recordedIDs == [run.id])

    record.outcome.status = .diverged
    record.outcome.steps = 4
    try RunFile.write(record, to: results.runFile(run.id))
    #expect(try results.state(run.id) == .diverged(step: 4))

    // Renamed by hand: the id inside counts.
    try RunFile.write(record, to: results.runFile("000000000000"))
    let error = #expect(throws: Diagnostic.self) { _ = try results.state("000000000000") }
    #expect(error?.problem.contains("holds the run \(run.id)") == true)

    try Data("notes".utf8).write(to: URL(fileURLWithPath: results.runFile(run.id)))
    #expect(throws: (any Error).self) { _ = try results.state(run.id) }
    guard case .unreadable = RunStatus(run, in: results).phase else {
      return #expect(Bool(false), "expected unreadable")
    }
  }

  @Test("a checkpoint makes an interrupted run, a lock a running one")
  func phases() throws {
    let folder = try TemporaryFolder()
    let results = ResultsDirectory(root: folder.url.path, name: "x")
    try results.prepare()
    let run = try RunPlan(experiment(TinyExperiment.text), data: TinyExperiment.data).runs[0]
    let holder = RunLock.Holder(step: 3, totalSteps: 50, imagesPerSecond: 10, exclusive: true, started: "now")
    var lock = try RunLock(path: results.lock(run.id))
    lock?.publish(holder)
    #expect(RunStatus(run, in: results).phase == .running(holder))
    lock = nil
    try Data().write(to: URL(fileURLWithPath: results.checkpoint(run.id)))
    #expect(RunStatus(run, in: results).phase == .interrupted(step: 3))
  }

  @Test("runs of another algorithm version are stale, whatever their ids")
  func stale() throws {
    let folder = try TemporaryFolder()
    let results = ResultsDirectory(root: folder.url.path, name: "x")
    try results.prepare()
    let plan = try RunPlan(experiment(TinyExperiment.text), data: TinyExperiment.data)
    let run = plan.runs[1]
    let older = RunIdentity(
      spec: run.spec, dataHash: TinyExperiment.manifest.contentHash, mean: run.normalization.mean,
      standardDeviation: run.normalization.standardDeviation, subset: run.subset, parent: "0123456789ab",
      algorithmVersion: 0)
    var old = record(run, version: 0)
    old.id = older.id
    old.configuration = older.canonicalForm
    try RunFile.write(old, to: results.runFile(older.id))
    try RunFile.write(record(plan.runs[2]), to: results.runFile(plan.runs[2].id))
    let stale = try #require(staleRuns(of: plan, in: results).first)
    #expect(staleRuns(of: plan, in: results).count == 1)
    #expect(stale.id == older.id)
    #expect(stale.version == 0)
    #expect(stale.successor == run.id)
  }

  @Test("that cannot be made or written are named", .enabled(if: getuid() != 0))
  func readOnly() throws {
    let folder = try TemporaryFolder()
    chmod(folder.url.path, 0o555)
    defer { chmod(folder.url.path, 0o755) }
    let error = #expect(throws: Diagnostic.self) {
      try ResultsDirectory(root: folder.url.path, name: "x").prepare()
    }
    #expect(error?.description.contains("make the folder writable, or choose another with --results") == true)
  }
}

@Suite("Data of an experiment")
struct ExperimentDataTests {
  private func failure(_ reference: String, in folder: String) -> String? {
    do {
      _ = try ExperimentData(reference, file: "x.json", folder: folder, threads: 1)
      return nil
    } catch {
      return oneLine(error)
    }
  }

  @Test("that is not there is named with a remedy")
  func missing() throws {
    let folder = try TemporaryFolder()
    let path = folder.url.path
    try FileManager.default.createDirectory(atPath: "\(path)/cifar100", withIntermediateDirectories: true)
    #expect(
      failure("default", in: path)
        == "x.json: dataset: \"default\" needs \(path)/cifar10 or \(path)/fashion-mnist, and "
        + "neither is there; run 'spqat dataset import fashion-mnist', or set dataset to \"sample\"")
    #expect(
      failure("cifar10", in: path) == "x.json: dataset: no data set \"cifar10\" in \(path); did you mean \"cifar100\"? "
        + "there are: \"cifar100\"; import one with 'spqat dataset import', or give a path with a slash")
    #expect(failure("./nowhere", in: path)?.hasPrefix("x.json: dataset: no folder ./nowhere") == true)
  }

  @Test("prefers CIFAR-10 by default, and its subset depends on nothing but its size")
  func defaults() throws {
    let folder = try TemporaryFolder()
    let sample = repositoryRoot.appendingPathComponent("datasets/sample")
    let fashion = folder.url.appendingPathComponent("fashion-mnist")
    try FileManager.default.copyItem(at: sample, to: fashion)
    #expect(
      try ExperimentData("default", file: "x", folder: folder.url.path, threads: 1).root.lastPathComponent
        == "fashion-mnist")
    let cifar = folder.url.appendingPathComponent("cifar10")
    try FileManager.default.copyItem(at: sample, to: cifar)
    let data = try ExperimentData("default", file: "x", folder: folder.url.path, threads: 1)
    #expect(data.root.lastPathComponent == "cifar10")
    let whole = try data.images(subset: nil)
    #expect(whole.contentHash == data.summary.contentHash)
    let subset = try data.images(subset: 20)
    #expect(subset.train.count == 20)
    #expect(subset.test.count == whole.test.count)
    let again = try ExperimentData("default", file: "x", folder: folder.url.path, threads: 2).images(subset: 20)
    #expect(again.contentHash == subset.contentHash)
  }
}
