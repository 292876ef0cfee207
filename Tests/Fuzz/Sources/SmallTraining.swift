import Datasets
import Foundation
import Networks
import Quantization
import Recipes
import Records
import Tensor
import Training

/// The smallest training: its checkpoints and results, and what goes on from them.
enum SmallTraining {
  /// Six training images of two classes: three batches an epoch.
  private static let data: ImageDataset = {
    func split(_ count: Int, seed: UInt64) -> ImageSplit {
      var random = CounterRandom(seed: seed, stream: 0)
      let pixels = (0..<count * 48).map { _ in UInt8(random.bounded(256)) }
      return ImageSplit(
        size: PixelSize(width: 4, height: 4), pixels: pixels, labels: (0..<count).map { Int32($0 % 2) })
    }
    return ImageDataset(
      train: split(6, seed: 1), test: split(2, seed: 2), classes: ["a", "b"], name: "synthetic",
      source: .init(origin: "test"))
  }()

  private static let specs: [TrainingSpec] = [Recipe.spqat, .lts].map { recipe in
    let weights = ParameterGroupSpec(optimizer: .sgd(momentum: 0.9, weightDecay: 1e-4), learningRate: 0.05)
    return TrainingSpec(
      model: recipe.model(.resnet8, classes: 2, height: 4, width: 4, channels: 2),
      quantization: recipe.quantization(weightBits: 2, activationBits: 2),
      freezing: FreezingSpec(schedule: .linear, startStep: 2, totalSteps: 12, distanceEMA: 0.9), weights: weights,
      batchNorm: recipe.smallImages.batchNormGroup(besides: weights),
      quantizers: recipe.smallImages.quantizerGroup(learningRate: 0.001),
      learningRateSchedule: .step(milestones: [10], factor: 0.1), batchSize: 2, dropLastPartialBatch: false,
      totalSteps: 12, augment: false, seed: 7)
  }

  /// Steps after which there are checkpoints: amid an epoch, and at the end of one.
  private static let steps = [4, 6]

  /// Of each step and recipe.
  static var checkpoints: ChangedFiles {
    ChangedFiles(
      steps.flatMap { step in
        specs.indices.map { index in
          file { path in
            let session = try session(index)
            _ = try session.train { $0.step == step ? .stop : .proceed }
            try session.writeCheckpoint(to: path)
          }
        }
      })
  }

  /// A finished run of each recipe, with what became of its levels; first without most of its tensors and layers, which
  /// are read alike and take most of the time.
  static var runs: ChangedFiles {
    let records = specs.indices.map { index in
      do {
        let session = try session(index)
        _ = try session.train { _ in .proceed }
        var record = RunRecord(
          id: "0123456789ab", kind: .freeze, recipe: RecipeName(rawValue: "spqat"),
          bits: BitWidths(weights: 2, activations: 2), label: "freeze seed=7",
          axes: [AxisSetting(name: "method", value: "freeze")], configuration: #"{"seed":7}"#,
          provenance: Provenance())
        record.classNames = data.classNames
        (record.epochs, record.layers, record.layerEpochs) = (session.epochs, session.layers, session.layerEpochs)
        record.outcome = session.outcome
        (record.tensors, record.observation) = (session.finalTensors(), session.observation)
        return record
      } catch { fatalError("\(error)") }
    }
    return ChangedFiles(
      (records.map(\.shortened) + records).map { record in file { path in try RunFile.write(record, to: path) } })
  }

  /// Whether that one of the runs has all tensors.
  static func isWhole(run choice: Int) -> Bool { choice >= specs.count }

  static func file(_ write: (String) throws -> Void) -> [UInt8] {
    do {
      let file = Reader.folder.appendingPathComponent("written.h5")
      try write(file.path)
      return ChangedFiles.withoutChecksum(Array(try Data(contentsOf: file)))
    } catch { fatalError("\(error)") }
  }

  /// What goes on from a checkpoint, or begins.
  static func session(_ choice: Int) throws -> TrainingSession {
    try TrainingSession(
      spec: specs[choice % specs.count], data: data, normalization: Normalization(data.manifest), threads: 1)
  }
}

extension RunRecord {
  /// Of the first layer that freezes, as if it had four weights, and with a tensor of each type.
  fileprivate var shortened: RunRecord {
    var record = self
    guard let layer = layers.firstIndex(where: { $0.freezableWeights > 0 }) else { return self }
    record.layers = [layers[layer]]
    record.layers[0].freezableWeights = 4
    record.layerEpochs = layerEpochs.filter { $0.layer == layers[layer].name }
    record.tensors = [
      tensors.first { if case .float = $0.elements { true } else { false } },
      tensors.first { if case .uint8 = $0.elements { true } else { false } },
      tensors.first { if case .int8 = $0.elements { true } else { false } },
    ].compactMap(\.self)
    record.observation = observation?.shortened(to: 4)
    return record
  }
}

extension ObservationRecord {
  /// Of the first weights of the first layer, with the histograms of the first step.
  fileprivate func shortened(to weights: Int) -> ObservationRecord {
    func shortened(_ histograms: DistanceHistograms) -> DistanceHistograms {
      DistanceHistograms(
        steps: Array(histograms.steps.prefix(1)),
        counts: histograms.counts.prefix(DistanceBins.count * 4).map { min($0, Int32(weights)) })
    }
    return ObservationRecord(
      moments: moments, levels: Array(levels.prefix(weights * moments.count)),
      settlingSteps: Array(settlingSteps.prefix(weights)), levelChanges: Array(levelChanges.prefix(weights)),
      decisions: decisions.map { decisions in
        Decisions(
          steps: Array(decisions.steps.prefix(weights)), levels: Array(decisions.levels.prefix(weights)),
          distances: decisions.distances.prefix(DistanceBins.count).map { min($0, Int32(weights)) })
      }, distances: shortened(distances), meanDistances: meanDistances.map(shortened))
  }
}
