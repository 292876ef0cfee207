import Datasets
import Diagnostics
import Networks
import Quantization
import Records
import Tensor
import TestSupport
import Testing
import Training

/// Numbers that are not finite never count as results.
struct HealthTests {
  /// Trains to the end, which has to be a divergence; returns its reason.
  private func divergence(_ session: TrainingSession) throws -> String {
    let result = try session.train { _ in .proceed }
    #expect(result == .diverged(step: session.step))
    let outcome = session.outcome
    #expect(outcome.status == .diverged)
    #expect(outcome.finalTopOne == nil && outcome.finalTestLoss == nil && outcome.bestTopOne == nil)
    #expect(session.epochs.allSatisfy { $0.testLoss!.isFinite && $0.trainLoss.isFinite })
    return try #require(outcome.message)
  }

  @Test("weights that overflow in the last step of an epoch are found before they are evaluated")
  func overflow() throws {
    let reason = try divergence(SmallRuns.session(SmallRuns.spec(.spqatFullQAT, totalSteps: 1, learningRate: 1e300)))
    #expect(reason.hasPrefix("epoch 1 (step 1): ") && reason.contains("conv1.weight holds"), "\(reason)")
  }

  @Test("a quantizer's learning rate of 1e10 empties or destroys a range, which is named with its step")
  func hotRanges() throws {
    var spec = SmallRuns.spec(.ltsFullQAT, totalSteps: 12)
    spec.quantizers.learningRate = 1e10
    let session = try SmallRuns.session(spec)
    let reason = try divergence(session)
    #expect(reason.hasPrefix("step \(session.step): the ") && reason.contains(" range of "), "\(reason)")
  }

  @Test("one NaN among a network's weights is refused as a start, by name")
  func parent() throws {
    var tensors = try SmallRuns.finished(SmallRuns.spec(.fullPrecision, totalSteps: 2)).finalTensors()
    let index = try #require(tensors.firstIndex { $0.name == "layer2.0.conv1.weight" })
    guard case .float(var values) = tensors[index].elements else { return }
    values[7] = .nan
    tensors[index].elements = .float(values)
    let error = #expect(throws: Diagnostic.self) {
      try TrainingSession(
        spec: SmallRuns.spec(.spqatFullQAT), data: SmallRuns.data, normalization: .init(SmallRuns.data.manifest),
        threads: 1, initial: tensors)
    }
    #expect(
      try #require(error).description
        == "network: its tensor 'layer2.0.conv1.weight' holds numbers that are not finite")
  }

  @Test(
    "a NaN that a quantizer swallows is found at the epoch's end",
    arguments: [SmallRuns.Method.spqatFullQAT, .ltsFullQAT])
  func swallowed(method: SmallRuns.Method) throws {
    let session = try SmallRuns.session(SmallRuns.spec(method, totalSteps: 8))
    _ = try session.train { $0.step == 1 ? .stop : .proceed }
    session.learner.network.convolutions[2].weight.value[5] = .nan
    #expect(try divergence(session).contains("not finite"))
  }

  @Test(
    "images without any spread leave every range wide enough to train",
    arguments: [SmallRuns.Method.ltsFullQAT, .ltsFreeze])
  func constantImages(method: SmallRuns.Method) throws {
    func split(_ count: Int) -> ImageSplit {
      ImageSplit(
        size: PixelSize(width: 8, height: 8), pixels: [UInt8](repeating: 90, count: count * 192),
        labels: (0..<count).map { Int32($0 % 4) })
    }
    let data = ImageDataset(
      train: split(24), test: split(8), classes: ["a", "b", "c", "d"], name: "constant", source: .init(origin: "test"))
    let session = try TrainingSession(
      spec: SmallRuns.spec(method, totalSteps: 6), data: data, normalization: .init(data.manifest), threads: 2)
    #expect(try session.train { _ in .proceed } == .finished)
    for tensor in session.finalTensors() {
      guard case .float(let values) = tensor.elements else { continue }
      #expect(values.allSatisfy { $0.isFinite }, "\(tensor.name)")
    }
    for record in session.layerEpochs {
      #expect(record.upperWeight! > record.lowerWeight! && record.upperActivation! > record.lowerActivation!)
    }
    #expect(session.outcome.finalTestLoss!.isFinite)
  }

  @Test("a range without width starts with one, others as they always did")
  func rangeStart() {
    let activation = LearnedRangeActivations(bits: 2, layer: "layer")
    activation.initialize(minimum: 0.25, standardDeviation: 0)
    #expect(activation.lower.scalar == 0.25 && activation.upper.scalar == 1.25)
    activation.initialize(minimum: -1, standardDeviation: 0.602810275989780)
    #expect(activation.lower.scalar == -1 && activation.upper.scalar == 3)
    activation.initialize(minimum: .nan, standardDeviation: .nan)
    #expect(activation.upper.scalar.isNaN, "what is no number stays none")
    let weight = LearnedRangeWeights(bits: 2, rangeGradient: .unfrozen, layer: "layer")
    weight.initialize(weights: Buffer([0.5, 0.5, 0.5]))
    #expect(weight.lower.scalar == -0.5 && weight.upper.scalar == 0.5)
  }

  @Test("why a run diverged outlives a checkpoint")
  func checkpoint() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("checkpoint.h5")
    let spec = SmallRuns.spec(.spqatFullQAT, totalSteps: 1, learningRate: 1e300)
    let session = try SmallRuns.session(spec)
    let reason = try divergence(session)
    try session.writeCheckpoint(to: path)
    let resumed = try SmallRuns.session(spec)
    _ = try resumed.restoreCheckpoint(from: path)
    #expect(try divergence(resumed) == reason)
  }
}
