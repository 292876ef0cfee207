import Configuration
import ConfigurationSupport
import Foundation
import Records
import Runs
import TestSupport
import Testing

@Suite("Runs of other experiments of the same root")
final class SharedRunsTests {
  private let folder: TemporaryFolder
  private let run: PlannedRun
  private let here: ResultsDirectory
  private let other: ResultsDirectory

  init() throws {
    folder = try TemporaryFolder()
    run = try RunPlan(experiment(TinyExperiment.text), data: TinyExperiment.data).runs[1]
    here = ResultsDirectory(root: folder.url.path, name: "b")
    other = ResultsDirectory(root: folder.url.path, name: "c")
    try here.prepare()
    try other.prepare()
  }

  /// As the other experiment filed it, with a label and axes of its own.
  private func record(status: RunOutcome.Status = .finished) -> RunRecord {
    var provenance = Provenance()
    provenance.algorithmVersion = RunIdentity.algorithmVersion
    provenance.isExclusive = true
    provenance.commandLine = "spqat sweep c.json"
    var record = RunRecord(
      id: run.id, kind: run.kind, recipe: RecipeName(rawValue: "spqat"), bits: BitWidths(weights: 2, activations: 2),
      label: "as c names it",
      axes: [AxisSetting(name: "optimizer.weights.learningRate", value: "0.1")],
      configuration: run.identity.canonicalForm, provenance: provenance)
    record.outcome.status = status
    record.outcome.finalTopOne = 0.5
    record.outcome.totalSeconds = 12.5
    record.tensors = [NamedTensor(name: "w", shape: [2], elements: .float([1, -2]))]
    record.layers = [
      LayerDescription(
        name: "w", kind: .convolution, weights: 2, freezableWeights: 2, weightBits: 2, activationBits: nil,
        forwardMACs: 2, inputGradientMACs: 0, weightGradientMACs: 2, sparseThreshold: nil)
    ]
    record.observation = ObservationRecord(
      moments: [1, 9], levels: [0, 1, 3, 3], settlingSteps: [4, 0], levelChanges: [2, 0], decisions: nil,
      distances: DistanceHistograms(
        steps: [1, 9], counts: [Int32](repeating: 0, count: 2 * DistanceBins.count * 4)), meanDistances: nil)
    return record
  }

  @Test("are copied with weights and times, under this experiment's label and axes")
  func takenOver() throws {
    #expect(try here.takeOver(run) == nil)
    try RunFile.write(record(), to: other.runFile(run.id))
    try Data().write(to: URL(fileURLWithPath: here.checkpoint(run.id)))
    #expect(RunStatus(run, in: here).phase == .finishedElsewhere("c"))
    #expect(RunStatus(run, in: here).isDone)
    #expect(try here.takeOver(run) == "c")
    var expected = record()
    expected.label = run.label
    expected.axes = [AxisSetting(name: "method", value: "fullQAT")]
    #expect(try here.record(run.id, includingTensors: true, includingObservation: true) == expected)
    #expect(try other.record(run.id, includingTensors: true, includingObservation: true) == record())
    #expect(!FileManager.default.fileExists(atPath: here.checkpoint(run.id)))
    #expect(try here.takeOver(run) == nil, "it is here now")
  }

  @Test("count only when finished and whole", arguments: ["diverged", "truncated", "temporary", "foreign", "renamed"])
  func notFinished(_ what: String) throws {
    let file = other.runFile(run.id)
    try RunFile.write(record(status: what == "diverged" ? .diverged : .finished), to: file)
    let data = try Data(contentsOf: URL(fileURLWithPath: file))
    switch what {
    case "truncated": try data.prefix(data.count / 2).write(to: URL(fileURLWithPath: file))
    case "temporary":
      try FileManager.default.moveItem(atPath: file, toPath: "\(other.runsFolder)/.\(run.id).h5.host-1-1.tmp")
    case "foreign": try Data("notes".utf8).write(to: URL(fileURLWithPath: file))
    case "renamed":
      var stranger = record()
      stranger.id = "000000000000"
      try RunFile.write(stranger, to: file)
    default: break
    }
    #expect(try here.takeOver(run) == nil)
    #expect(RunStatus(run, in: here).phase == .waiting)
    // One that can be used stands behind it.
    let third = ResultsDirectory(root: folder.url.path, name: "d")
    try third.prepare()
    try RunFile.write(record(), to: third.runFile(run.id))
    #expect(try here.takeOver(run) == "d")
  }

  @Test("are left alone where this experiment has a file, or a process that trains them")
  func present() throws {
    try RunFile.write(record(), to: other.runFile(run.id))
    var lock = try RunLock(path: here.lock(run.id))
    #expect(lock != nil)
    #expect(try here.takeOver(run) == nil)
    lock = nil
    let mine = URL(fileURLWithPath: here.runFile(run.id))
    try Data("notes".utf8).write(to: mine)
    #expect(try here.takeOver(run) == nil)
    #expect(try Data(contentsOf: mine) == Data("notes".utf8))
  }
}
