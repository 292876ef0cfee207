import Configuration
import Datasets
import Foundation
import Networks
import Quantization
import Recipes
import Records
import Tensor
import Training

/// A run of a few steps on the committed images, and what its network answers to the test images.
struct TrainedRun {
  let record: RunRecord
  /// [image][class], images in the order of their classes' and files' names.
  let logits: [Float]

  static let data: Result<ImageDataset, any Error> = Result {
    try ImageDataset.load(root: repository.appendingPathComponent("datasets/sample"), threads: 2)
  }

  static let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// The test images' folder.
  static let testImages = repository.appendingPathComponent("datasets/sample/test").path

  /// - Parameter bits: nil: full precision.
  init(_ recipe: Recipe, bits: Int?, architecture: Architecture = .resnet8, steps: Int = 24) throws {
    let data = try Self.data.get()
    let normalization = recipe.normalization(for: data.manifest, network: architecture)
    let weights = ParameterGroupSpec(optimizer: .sgd(momentum: 0.9, weightDecay: 1e-4), learningRate: 0.05)
    let spec = TrainingSpec(
      model: recipe.model(
        architecture, classes: data.classNames.count, height: data.height, width: data.width, channels: 8),
      quantization: bits.map { recipe.quantization(weightBits: $0, activationBits: $0) }, freezing: nil,
      weights: weights,
      batchNorm: recipe.settings(for: architecture).batchNormGroup(besides: weights),
      quantizers: recipe.settings(for: architecture).quantizerGroup(learningRate: 1e-3),
      learningRateSchedule: .constant, batchSize: 20, dropLastPartialBatch: false, totalSteps: steps, augment: false,
      seed: 3)
    let session = try TrainingSession(spec: spec, data: data, normalization: normalization, threads: 2)
    _ = try session.train { _ in .proceed }
    let identity = RunIdentity(
      spec: spec, dataHash: data.contentHash, mean: normalization.mean,
      standardDeviation: normalization.standardDeviation, subset: nil, parent: nil)
    var record = RunRecord(
      id: identity.id, kind: bits == nil ? .fullPrecision : .fullQAT, recipe: RecipeName(rawValue: recipe.name),
      bits: bits.map { BitWidths(weights: $0, activations: $0) }, label: "W\(bits ?? 32)", axes: [],
      configuration: identity.canonicalForm, provenance: Provenance())
    record.outcome = session.outcome
    record.classNames = data.classNames
    record.tensors = session.finalTensors()
    self.record = record

    let learner = session.learner
    let batches = InMemoryBatches.evaluation(data.test, batchSize: 20, normalization: normalization)
    var logits: [Float] = []
    for batch in 0..<batches.batchCount {
      let images = try learner.load(batches, epoch: 0, batch: batch)
      learner.network.forward(images: images, purpose: .evaluation)
      let output = learner.network.convolutions.last!.output
      logits += output.values!.array.prefix(images * output.elementsPerImage)
    }
    self.logits = logits
  }

  func writeLogits(to path: String) throws {
    try logits.withUnsafeBytes { Data($0) }.write(to: URL(fileURLWithPath: path))
  }
}
