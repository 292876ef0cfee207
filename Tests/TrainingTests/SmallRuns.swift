import Datasets
import Foundation
import Networks
import Quantization
import Recipes
import Records
import Tensor
import TestSupport
import Training

/// Training runs of a few dozen steps on a tiny network and synthetic images.
enum SmallRuns {
  /// 8×8 images of four classes that differ in colour, with noise.
  static let data: ImageDataset = {
    func split(_ count: Int, seed: UInt64) -> ImageSplit {
      var random = CounterRandom(seed: seed, stream: 0)
      let labels = (0..<count).map { Int32($0 % 4) }
      var pixels: [UInt8] = []
      for label in labels {
        for _ in 0..<64 {
          for channel in 0..<3 {
            pixels.append(UInt8(random.bounded(128)) + (Int(label) == channel ? 100 : 20))
          }
        }
      }
      return ImageSplit(size: PixelSize(width: 8, height: 8), pixels: pixels, labels: labels)
    }
    return ImageDataset(
      train: split(52, seed: 1), test: split(20, seed: 2), classes: ["a", "b", "c", "d"], name: "synthetic",
      source: .init(origin: "test"))
  }()

  enum Method: String, CaseIterable, Sendable {
    case fullPrecision, spqatFreeze, spqatFullQAT, ltsFreeze, ltsFullQAT
  }

  static let batchSize = 12

  /// 52 images in batches of 12 make 5 steps an epoch with the last partial batch kept (`lts`), else 4.
  static func spec(
    _ method: Method, totalSteps: Int = 14, freezing: FreezingSpec? = nil, rangeGradient: RangeGradient = .unfrozen,
    learningRate: Double = 0.05, weightBits: Int = 2
  ) -> TrainingSpec {
    let recipe: Recipe = method == .ltsFreeze || method == .ltsFullQAT ? .lts : .spqat
    let weights = ParameterGroupSpec(optimizer: .sgd(momentum: 0.9, weightDecay: 1e-4), learningRate: learningRate)
    let freezes = method == .spqatFreeze || method == .ltsFreeze
    return TrainingSpec(
      model: recipe.model(.resnet8, classes: 4, height: 8, width: 8, channels: 4),
      quantization: method == .fullPrecision
        ? nil
        : recipe.quantization(
          weightBits: weightBits, activationBits: weightBits,
          rangeGradient: recipe.rangeGradients.contains(rangeGradient) ? rangeGradient : nil),
      freezing: freezes
        ? freezing ?? FreezingSpec(schedule: .linear, startStep: 4, totalSteps: totalSteps, distanceEMA: 0.9) : nil,
      weights: weights,
      batchNorm: recipe.smallImages.batchNormGroup(besides: weights),
      quantizers: recipe.smallImages.quantizerGroup(learningRate: recipe == .lts ? 1e-3 : 0.01),
      learningRateSchedule: .step(milestones: [10], factor: 0.1), batchSize: batchSize,
      dropLastPartialBatch: recipe.smallImages.training.dropLastPartialBatch, totalSteps: totalSteps, augment: true,
      seed: 7)
  }

  static func session(_ spec: TrainingSpec, threads: Int = 2) throws -> TrainingSession {
    try TrainingSession(spec: spec, data: data, normalization: Normalization(data.manifest), threads: threads)
  }

  /// A run from the start to the end.
  static func finished(_ spec: TrainingSpec, threads: Int = 2) throws -> TrainingSession {
    let session = try session(spec, threads: threads)
    _ = try session.train { _ in .proceed }
    return session
  }
}

extension TrainingSession {
  /// The epochs with every time set to 0, and nothing of what processes sent.
  var timelessEpochs: [EpochRecord] {
    epochs.map { record in
      var record = record
      record.seconds = .init()
      record.bytesSent = nil
      return record
    }
  }

  var timelessLayerEpochs: [LayerEpochRecord] {
    layerEpochs.map { record in
      var record = record
      record.secondsForward = 0
      record.secondsInputGradient = 0
      record.secondsWeightGradient = 0
      return record
    }
  }

  /// The bits of all final tensors, by name: NaN equals NaN here, and 0 is not −0.
  var tensorBits: [String: [UInt32]] {
    Dictionary(
      uniqueKeysWithValues: finalTensors().map { tensor in
        switch tensor.elements {
        case .float(let values): (tensor.name, values.map(\.bitPattern))
        case .uint8(let values): (tensor.name, values.map(UInt32.init))
        case .int8(let values): (tensor.name, values.map { UInt32(bitPattern: Int32($0)) })
        }
      })
  }
}
