import Foundation
import Records

/// Run records made up for tests, shaped like those that a sweep writes.
enum SyntheticRuns {
  static let parentID = "aaaaaaaaaaaa"

  static let layers = [
    LayerDescription(
      name: "conv1", kind: .convolution, weights: 400, freezableWeights: 400, weightBits: 8, activationBits: nil,
      forwardMACs: 1000, inputGradientMACs: 0, weightGradientMACs: 1000, sparseThreshold: 0.5),
    LayerDescription(
      name: "layer1.0.conv1", kind: .convolution, weights: 2304, freezableWeights: 2304, weightBits: 2,
      activationBits: 2, forwardMACs: 4000, inputGradientMACs: 4000, weightGradientMACs: 4000, sparseThreshold: 0.5),
    LayerDescription(
      name: "linear", kind: .linear, weights: 640, freezableWeights: 0, weightBits: 8, activationBits: 8,
      forwardMACs: 640, inputGradientMACs: 640, weightGradientMACs: 640, sparseThreshold: nil),
  ]

  static func fullPrecision(topOne: Double = 0.92, seed: Int = 1, id: String = parentID) -> RunRecord {
    record(
      id: id, kind: .fullPrecision, bits: nil, label: "fullPrecision spqat seed=\(seed)", axes: [], seed: seed,
      configuration: base(seed: seed), topOne: topOne, epochs: 4, frozen: 0, seconds: 1)
  }

  static func fullQAT(
    bits: Int, activationBits: Int? = nil, seed: Int, topOne: Double?, epochs: Int = 4, seconds: Double = 10,
    parent: String = parentID
  ) -> RunRecord {
    let activationBits = activationBits ?? bits
    var configuration = base(seed: seed)
    configuration["parent"] = parent
    configuration["quantization.weightBits"] = "\(bits)"
    configuration["quantization.activationBits"] = "\(activationBits)"
    return record(
      id: id("q", 10 * bits + activationBits, seed, 0, parent), kind: .fullQAT,
      bits: BitWidths(weights: bits, activations: activationBits),
      label: "W\(bits)A\(activationBits) fullQAT seed=\(seed)",
      axes: [
        AxisSetting(name: "bits.weights", value: "\(bits)"),
        AxisSetting(name: "bits.activations", value: "\(activationBits)"),
        AxisSetting(name: "method", value: "fullQAT"),
      ], seed: seed, configuration: configuration, topOne: topOne, epochs: epochs, frozen: 0, seconds: seconds)
  }

  /// - Parameters:
  ///   - threshold: "linear", "sine" or a number; with an axis for it where `axes` is not empty.
  ///   - frozen: weight updates eliminated.
  static func freeze(
    bits: Int, activationBits: Int? = nil, seed: Int, topOne: Double?, threshold: String = "linear",
    axes: [AxisSetting] = [], frozen: Double = 0.5, epochs: Int = 4, seconds: Double = 8, parent: String = parentID
  ) -> RunRecord {
    let activationBits = activationBits ?? bits
    var configuration = base(seed: seed)
    configuration["parent"] = parent
    configuration["quantization.weightBits"] = "\(bits)"
    configuration["quantization.activationBits"] = "\(activationBits)"
    configuration["freezing.threshold"] = threshold
    configuration["freezing.startStep"] = axes.first { $0.name == "freezing.start" }?.value ?? "8"
    configuration["freezing.distanceEMA"] = "0.0"
    let variant = axes.reduce(into: 1) { $0 = ($0 &* 31 &+ $1.value.utf8.reduce(0) { $0 &* 31 &+ Int($1) }) & 0xFFFF }
    return record(
      id: id("f", 10 * bits + activationBits, seed, variant, parent), kind: .freeze,
      bits: BitWidths(weights: bits, activations: activationBits),
      label: "W\(bits)A\(activationBits) freeze threshold=\(threshold) seed=\(seed)",
      axes: [
        AxisSetting(name: "bits.weights", value: "\(bits)"),
        AxisSetting(name: "bits.activations", value: "\(activationBits)"),
        AxisSetting(name: "method", value: "freeze"),
      ] + axes, seed: seed, configuration: configuration, topOne: topOne, epochs: epochs, frozen: frozen,
      seconds: seconds)
  }

  /// 4, 3 and 2 bits, full QAT beside SpQAT.
  static func table2(seeds: [Int]) -> [RunRecord] {
    [fullPrecision()]
      + seeds.flatMap { seed in
        [4, 3, 2].flatMap { bits in
          let base = 0.9 - Double(4 - bits) * 0.01 + Double(seed) * 0.001
          return [
            fullQAT(bits: bits, seed: seed, topOne: base),
            freeze(bits: bits, seed: seed, topOne: base - 0.002 * Double(seed), frozen: 0.4 + 0.1 * Double(4 - bits)),
          ]
        }
      }
  }

  private static func id(_ kind: String, _ bits: Int, _ seed: Int, _ variant: Int, _ parent: String) -> String {
    "\(kind)\(bits)s\(seed)v" + String(variant, radix: 16) + (parent == parentID ? "" : parent.prefix(4))
  }

  private static func base(seed: Int) -> [String: String] {
    [
      "model.architecture": "resnet20", "batchSize": "128", "totalSteps": "40", "seed": "\(seed)", "algorithm": "1",
      "data": String(repeating: "ab", count: 32),
    ]
  }

  private static func record(
    id: String, kind: RunKind, bits: BitWidths?, label: String, axes: [AxisSetting], seed: Int,
    configuration: [String: String],
    topOne: Double?, epochs: Int, frozen: Double, seconds: Double
  ) -> RunRecord {
    var provenance = Provenance()
    provenance.gitCommit = "0123456789abcdef0123456789abcdef01234567"
    provenance.algorithmVersion = 1
    provenance.cpuModel = "Some CPU"
    provenance.instructionSet = "avx2"
    provenance.threads = 2
    provenance.seed = seed
    provenance.datasetName = "fashion-mnist"
    provenance.datasetHash = String(repeating: "ab", count: 32)
    provenance.parentRunID = configuration["parent"]
    provenance.commandLine = "spqat sweep configs/table2.json"
    provenance.isExclusive = true
    var run = RunRecord(
      id: id, kind: kind, recipe: RecipeName(rawValue: "spqat"), bits: bits, label: label, axes: axes,
      configuration: "{"
        + configuration.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \"\($0.value)\"" }.joined(separator: ", ")
        + "}",
      provenance: provenance)
    run.layers = layers
    run.outcome.status = topOne == nil ? .diverged : .finished
    run.outcome.message = topOne == nil ? "the loss of step 3 is not finite" : nil
    run.outcome.finalTopOne = topOne
    run.outcome.bestTopOne = topOne.map { $0 + 0.03 }
    run.outcome.bestEpoch = topOne == nil ? nil : 2
    run.outcome.steps = epochs * 10
    run.outcome.backwardSeconds = seconds / 2
    run.outcome.totalSeconds = seconds * 1.1
    if kind == .freeze {
      run.outcome.weightUpdatesEliminated = frozen
      run.outcome.backwardFLOPsEliminated = frozen / 2
    }
    for epoch in 1...epochs {
      let progress = Double(epoch) / Double(epochs)
      var record = EpochRecord(epoch: epoch, step: epoch * 10)
      record.trainLoss = 2 * exp(-2 * progress)
      record.trainTopOne = 0.9 * progress
      record.testLoss = 2 * exp(-1.8 * progress)
      record.testTopOne = (topOne ?? 0.5) * (1 - 0.3 * exp(-4 * progress)) / (1 - 0.3 * exp(-4))
      record.learningRate = 0.1
      record.threshold = kind == .freeze ? progress : nil
      record.frozenShare = min(1, 2 * frozen * progress * progress)
      record.meanFrozenShare = min(1, 2 * frozen * progress * progress)
      record.images = 1280
      let share = record.meanFrozenShare
      record.seconds.forward = seconds / Double(epochs) * 0.3
      record.seconds.inputGradient = seconds / Double(epochs) * 0.25
      record.seconds.weightGradient = seconds / Double(epochs) * 0.25 * (1 - 0.8 * share)
      record.seconds.evaluation = seconds / Double(epochs) * 0.1
      record.seconds.total = seconds / Double(epochs) * 1.1
      run.epochs.append(record)
      for layer in layers {
        var layerRecord = LayerEpochRecord(epoch: epoch, layer: layer.name)
        layerRecord.frozen = Int(Double(layer.freezableWeights) * share)
        layerRecord.meanFrozenShare = layer.freezableWeights == 0 ? 0 : share
        run.layerEpochs.append(layerRecord)
      }
    }
    return run
  }
}

/// False for NaN.
func isClose(_ value: Double, _ expected: Double, _ tolerance: Double) -> Bool { abs(value - expected) <= tolerance }
