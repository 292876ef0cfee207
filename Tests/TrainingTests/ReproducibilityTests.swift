import Datasets
import Diagnostics
import Foundation
import Kernels
import Networks
import Quantization
import Records
import Storage
import Tensor
import TestSupport
import Testing
import Training

/// The same seed gives the same bits, whatever the number of threads and however often a run was stopped.
struct ReproducibilityTests {
  @Test("final tensors and series do not depend on the number of threads", arguments: SmallRuns.Method.allCases)
  func threads(method: SmallRuns.Method) throws {
    let runs = try [1, 2, 3].map { try SmallRuns.finished(SmallRuns.spec(method), threads: $0) }
    for run in runs.dropFirst() {
      #expect(run.tensorBits == runs[0].tensorBits)
      #expect(run.timelessEpochs == runs[0].timelessEpochs)
      #expect(run.timelessLayerEpochs == runs[0].timelessLayerEpochs)
    }
  }

  @Test("another seed gives another run")
  func seeds() throws {
    var spec = SmallRuns.spec(.fullPrecision, totalSteps: 3)
    let first = try SmallRuns.finished(spec)
    spec.seed += 1
    #expect(try SmallRuns.finished(spec).tensorBits != first.tensorBits)
  }

  // 4 or 5 steps an epoch: in the first step, in the middle of an epoch, at its end, and just before the end.
  @Test(
    "a run resumed from a checkpoint ends in the same bits as an uninterrupted one",
    arguments: SmallRuns.Method.allCases,
    [RangeGradient.unfrozen, .dense])
  func resume(method: SmallRuns.Method, rangeGradient: RangeGradient) throws {
    if rangeGradient == .dense && method != .ltsFreeze { return }
    let folder = try TemporaryFolder()
    let spec = SmallRuns.spec(method, rangeGradient: rangeGradient)
    let whole = try SmallRuns.finished(spec)
    for stops in [[1], [4], [5], [7], [2, 6, 8, 13]] {
      let path = folder.file("checkpoint-\(stops[0]).h5")
      var session = try SmallRuns.session(spec)
      for stop in stops {
        #expect(try session.train(onStep: { $0.step == stop ? .stop : .proceed }) == .stopped)
        #expect(session.step == stop)
        try session.writeCheckpoint(to: path)
        // With another number of threads, which must not matter.
        session = try SmallRuns.session(spec, threads: 1 + stop % 3)
        #expect(try session.restoreCheckpoint(from: path) == [])
        #expect(session.step == stop)
      }
      #expect(try session.train(onStep: { _ in .proceed }) == .finished)
      #expect(session.tensorBits == whole.tensorBits, "stopped after \(stops)")
      #expect(session.timelessEpochs == whole.timelessEpochs, "stopped after \(stops)")
      #expect(session.timelessLayerEpochs == whole.timelessLayerEpochs, "stopped after \(stops)")
      #expect(session.outcome.weightUpdatesEliminated == whole.outcome.weightUpdatesEliminated)
      #expect(session.outcome.images == whole.outcome.images)
    }
  }

  @Test("stopping without a checkpoint and going on changes nothing")
  func stopAndGo() throws {
    let spec = SmallRuns.spec(.spqatFreeze)
    let session = try SmallRuns.session(spec)
    while try session.train(onStep: { _ in .stop }) == .stopped {}
    #expect(session.tensorBits == (try SmallRuns.finished(spec)).tensorBits)
  }

  @Test("a checkpoint of a finished run trains no further")
  func finishedCheckpoint() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("checkpoint.h5")
    let spec = SmallRuns.spec(.ltsFreeze, totalSteps: 7)
    let whole = try SmallRuns.finished(spec)
    try whole.writeCheckpoint(to: path)
    let session = try SmallRuns.session(spec)
    _ = try session.restoreCheckpoint(from: path)
    let result = try session.train { _ in
      Issue.record("a step was taken")
      return .stop
    }
    #expect(result == .finished)
    #expect(session.tensorBits == whole.tensorBits)
    #expect(session.epochs == whole.epochs)
  }

  @Test("a run starts from another's tensors: the same weights, its own quantizers")
  func parent() throws {
    let full = try SmallRuns.finished(SmallRuns.spec(.fullPrecision, totalSteps: 4))
    let spec = SmallRuns.spec(.spqatFullQAT, totalSteps: 1)
    let child = try TrainingSession(
      spec: spec, data: SmallRuns.data, normalization: .init(SmallRuns.data.manifest), threads: 1,
      initial: full.finalTensors())
    let before = child.tensorBits
    for (name, bits) in full.tensorBits { #expect(before[name] == bits, "\(name)") }
    let weights = child.learner.network.convolutions[1].weight.value.array.map(Double.init)
    let mean = weights.reduce(0, +) / Double(weights.count)
    let variance = weights.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(weights.count - 1)
    let scale = child.learner.network.convolutions[1].weightQuantizer!.upperBound
    #expect(abs(scale - 3 * variance.squareRoot()) <= 1e-5)

    // A finished run's tensors give its accuracy again.
    _ = try child.train { _ in .proceed }
    let copy = try SmallRuns.session(spec)
    try copy.load(final: child.finalTensors())
    #expect(try copy.evaluate() == child.evaluate())
    #expect(try copy.evaluate().topOne == child.epochs.last!.testTopOne)
  }

  @Test("tensors of another model, or none, are refused by name")
  func wrongParent() throws {
    let full = try SmallRuns.session(SmallRuns.spec(.fullPrecision))
    var tensors = full.finalTensors()
    func refusal() throws -> String {
      let error = #expect(throws: Diagnostic.self) {
        try TrainingSession(
          spec: SmallRuns.spec(.spqatFullQAT), data: SmallRuns.data, normalization: .init(SmallRuns.data.manifest),
          threads: 1, initial: tensors)
      }
      return try #require(error).description
    }
    let index = try #require(tensors.firstIndex { $0.name == "layer2.0.conv1.weight" })
    tensors[index].shape = [8, 3, 3, 4]
    #expect(try refusal().contains("'layer2.0.conv1.weight'"))
    tensors.remove(at: index)
    #expect(try refusal().contains("'layer2.0.conv1.weight'"))
  }

  @Test("data that does not fit the network is refused")
  func wrongData() throws {
    func refusal(_ change: (inout TrainingSpec) -> Void) throws -> String {
      var spec = SmallRuns.spec(.fullPrecision)
      change(&spec)
      let error = #expect(throws: Diagnostic.self) { try SmallRuns.session(spec) }
      return try #require(error).description
    }
    #expect(
      try refusal {
        $0.model.inputWidth = 16
        $0.model.inputHeight = 16
      }.contains("8x8"))
    #expect(try refusal { $0.model.classes = 10 }.contains("4 classes"))
    #expect(try refusal { $0.batchSize = 100 }.contains("batch of 100"))
  }
}

/// Runs whose loss stops being a number.
struct DivergenceTests {
  @Test("a learning rate of 1e30 diverges, and says in which step", arguments: SmallRuns.Method.allCases)
  func diverges(method: SmallRuns.Method) throws {
    let folder = try TemporaryFolder()
    let path = folder.file("checkpoint.h5")
    let spec = SmallRuns.spec(method, totalSteps: 12, learningRate: 1e30)
    let session = try SmallRuns.session(spec)
    var steps = 0
    let result = try session.train { report in
      #expect(report.loss.isFinite)
      steps = report.step
      return .proceed
    }
    guard case .diverged(let step) = result else {
      Issue.record("\(result)")
      return
    }
    #expect(step == steps + 1 && step == session.step)
    #expect(session.isDiverged)
    #expect(session.outcome.status == .diverged)
    #expect(session.outcome.message?.contains("step \(step)") == true)
    #expect(!session.finalTensors().isEmpty)
    #expect(try session.train(onStep: { _ in .proceed }) == .diverged(step: step))

    try session.writeCheckpoint(to: path)
    let resumed = try SmallRuns.session(spec)
    _ = try resumed.restoreCheckpoint(from: path)
    #expect(try resumed.train(onStep: { _ in .proceed }) == .diverged(step: step))
  }
}

/// Checkpoint files that cannot be continued from.
struct CheckpointFileTests {
  private func refusal(_ path: String) throws -> String {
    let session = try SmallRuns.session(SmallRuns.spec(.spqatFreeze))
    let error = #expect(throws: (any Error).self) { try session.restoreCheckpoint(from: path) }
    let text = "\(try #require(error))"
    #expect(text.hasPrefix(path) && !text.contains("\n"), "\(text)")
    return text
  }

  @Test("another program's file, another version and other settings' checkpoints are told apart")
  func foreign() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("checkpoint.h5")
    _ = try refusal(path)
    try Data(repeating: 7, count: 5000).write(to: URL(fileURLWithPath: path))
    _ = try refusal(path)
    try HDF5File.writeAtomically(to: path) { try FileFormat(name: "qat-reference-trace", version: 1).stamp($0) }
    #expect(
      try refusal(path)
        == "\(path): an HDF5 file of format 'qat-reference-trace', expected 'spqat-checkpoint'")
    try HDF5File.writeAtomically(to: path) { try $0.setAttribute("other", to: 1) }
    #expect(try refusal(path).contains("expected format 'spqat-checkpoint', found none"))
    try HDF5File.writeAtomically(to: path) { try FileFormat(name: "spqat-checkpoint", version: 99).stamp($0) }
    #expect(try refusal(path).contains("version 99"))
    try SmallRuns.session(SmallRuns.spec(.ltsFreeze)).writeCheckpoint(to: path)
    _ = try refusal(path)
  }

  @Test("a truncated file is refused, wherever it ends")
  func truncated() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("checkpoint.h5")
    let session = try SmallRuns.session(SmallRuns.spec(.spqatFreeze))
    _ = try session.train { $0.step == 3 ? .stop : .proceed }
    try session.writeCheckpoint(to: path)
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    for share in [0, 0.01, 0.3, 0.7, 0.95, 0.999] {
      try whole.prefix(Int(Double(whole.count) * share)).write(to: URL(fileURLWithPath: path))
      _ = try refusal(path)
    }
    try whole.write(to: URL(fileURLWithPath: path))
    #expect(try SmallRuns.session(SmallRuns.spec(.spqatFreeze)).restoreCheckpoint(from: path) == [])
  }

  @Test(
    "numbers that no training leaves behind are refused in one line, wherever they stand",
    arguments: [-1, 15, Int.max, Int.min])
  func editedStep(step: Int) throws {
    let text = try refusal(of: { $0.setInteger(after: "step", from: 6, to: step) })
    #expect(text.hasSuffix(": its step is \(step); allowed: 0 to 14"), "\(text)")
  }

  @Test("so are counts", arguments: [-1, Int.max, Int.min])
  func editedCounts(value: Int) throws {
    #expect(
      try refusal(of: { $0.setInteger(after: "level_moves", from: 0, to: value) })
        .hasSuffix(": its sums are not those of 6 steps"))
  }

  @Test("another step than that of the series is refused")
  func editedEpoch() throws {
    #expect(
      try refusal(of: { $0.setInteger(after: "step", from: 6, to: 3) })
        .hasSuffix(": its series have 1 epochs where step 3 ends 0"))
  }

  @Test(
    "sums that overflow, or lists that are too short, are refused",
    arguments: [
      (#""images":24"#, #""images":-4"#), (#""images":24"#, #""images":99"#), (#""images":24"#, #""images":00"#),
      (#""images":24"#, #""images":.5"#), (#""layerSeconds":["#, #""layerSeconds":[],"otherSeconds":["#),
      (#""layerFrozenShare":["#, #""layerFrozenShare":[],"otherFrozenShare":["#),
      (#""levelMovesBefore":0"#, #""levelMovesBefore":9"#),
    ])
  func editedSeries(old: String, new: String) throws {
    let text = try refusal(of: { $0.replace(old, by: new) })
    #expect(
      text.hasSuffix(": its sums are not those of 6 steps") || text.hasSuffix(": its series are not those of a run"),
      "\(text)")
  }

  /// What is said of a checkpoint after 6 of 14 steps, 4 to an epoch, that somebody changed.
  private func refusal(of edit: (inout CheckpointBytes) -> Void) throws -> String {
    let folder = try TemporaryFolder()
    let path = folder.file("checkpoint.h5")
    let session = try SmallRuns.session(SmallRuns.spec(.spqatFreeze))
    _ = try session.train { $0.step == 6 ? .stop : .proceed }
    try session.writeCheckpoint(to: path)
    var bytes = try CheckpointBytes(path)
    try bytes.write(to: path)
    #expect(try SmallRuns.session(session.spec).restoreCheckpoint(from: path) == [])
    edit(&bytes)
    try bytes.write(to: path)
    return try refusal(path)
  }

  @Test("another instruction set warns")
  func instructionSet() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("checkpoint.h5")
    let spec = SmallRuns.spec(.spqatFreeze, totalSteps: 3)
    let session = try SmallRuns.session(spec)
    _ = try session.train { _ in .stop }
    try session.writeCheckpoint(to: path)
    let other = try TrainingSession(
      spec: spec, data: SmallRuns.data, normalization: .init(SmallRuns.data.manifest), threads: 1,
      instructionSet: InstructionSet.best == .reference ? .portable : .reference)
    let warnings = try other.restoreCheckpoint(from: path)
    #expect(warnings.count == 1)
    #expect(warnings.first?.contains(InstructionSet.best.rawValue) == true && warnings.first?.hasPrefix(path) == true)
    #expect(try other.train(onStep: { _ in .proceed }) == .finished)
  }
}

/// A checkpoint's bytes, for changes in place.
private struct CheckpointBytes {
  private var bytes: [UInt8]

  /// Without the checksum at the end, as a program leaves a file that has changed it.
  init(_ path: String) throws { bytes = try Data(contentsOf: URL(fileURLWithPath: path)).dropLast(16) }

  func write(to path: String) throws { try Data(bytes).write(to: URL(fileURLWithPath: path)) }

  /// Changes the attribute of that name, every one there is, which has to be `old`. HDF5's format: behind the name
  /// 12 bytes say its type and 8 its extents.
  mutating func setInteger(after name: String, from old: Int, to new: Int) {
    let value = name.utf8.count + 1 + 12 + 8
    let found = places(of: Array(name.utf8) + [0]).filter { bytes[($0 + value)...].starts(with: Self.bytes(of: old)) }
    for place in found { bytes.replaceSubrange(place + value..<place + value + 8, with: Self.bytes(of: new)) }
    #expect(!found.isEmpty, "no attribute \(name)")
  }

  /// The rest of a longer text moves into the padding behind it.
  mutating func replace(_ old: String, by new: String) {
    guard let place = places(of: Array(old.utf8)).first else {
      Issue.record("no \(old)")
      return
    }
    let end = bytes[place...].firstIndex(of: 0) ?? bytes.count
    let rest = Array(new.utf8) + bytes[place + old.utf8.count..<end]
    bytes.replaceSubrange(place..<min(bytes.count, place + rest.count), with: rest)
  }

  private func places(of pattern: [UInt8]) -> [Int] {
    bytes.indices.filter { bytes[$0] == pattern[0] && bytes[$0...].starts(with: pattern) }
  }

  private static func bytes(of number: Int) -> [UInt8] { withUnsafeBytes(of: number.littleEndian, Array.init) }
}
