import Foundation
import Records
import Storage

extension RunRecord {
  /// A record with something in every property.
  static let sample: RunRecord = {
    var provenance = Provenance()
    provenance.gitCommit = "0123456789abcdef"
    provenance.isDirty = true
    provenance.spqatVersion = "0.1.0"
    provenance.algorithmVersion = 3
    provenance.swiftVersion = "6.3.1"
    provenance.hdf5Version = hdf5Version
    provenance.libpngVersion = "1.6.39"
    provenance.operatingSystem = "Größe – 1"
    provenance.cpuModel = "A processor (R) @ 2.0 GHz"
    provenance.cpuCores = 2
    provenance.memory = 25_000_000_000
    provenance.instructionSet = "avx512"
    provenance.threads = 2
    provenance.seed = 7
    provenance.datasetName = "fashion-mnist"
    provenance.datasetHash = String(repeating: "ab", count: 32)
    provenance.parentRunID = "fp32-1a2b"
    provenance.commandLine = "spqat run \"a b.json\" --set 'x=1'"
    provenance.started = "2026-01-02T03:04:05Z"
    provenance.ended = "2026-01-02T04:04:05Z"
    provenance.isExclusive = true

    var record = RunRecord(
      id: "5f3e", kind: .freeze, recipe: RecipeName(rawValue: "spqat"), bits: BitWidths(weights: 2, activations: 4),
      label: "SpQAT 2/2, λ = 0.1",
      axes: [AxisSetting(name: "bits", value: "2"), AxisSetting(name: "threshold", value: "{\"fixed\": 0.1}")],
      configuration: "{\"bits\":2,\"schedule\":\"fixed\"}", provenance: provenance)

    for number in 1...3 {
      var epoch = EpochRecord(epoch: number, step: number * 100)
      epoch.trainLoss = 2.25 / Double(number)
      epoch.trainTopOne = 0.1 * Double(number)
      if number > 1 {
        epoch.testLoss = 2.5 / Double(number)
        epoch.testTopOne = 0.2 * Double(number)
        epoch.testTopFive = 0.9
        epoch.threshold = 0.1
      }
      epoch.learningRate = 0.1
      epoch.frozenShare = 0.3
      epoch.meanFrozenShare = 0.25
      epoch.levelMoves = number
      epoch.images = 25600
      epoch.seconds.total = 10
      epoch.seconds.forward = 3
      epoch.seconds.inputGradient = 2
      epoch.seconds.weightGradient = 2.5
      epoch.seconds.normalizationAndQuantization = 1
      epoch.seconds.optimizer = 0.25
      epoch.seconds.data = 0.125
      epoch.seconds.evaluation = 1.0625
      record.epochs.append(epoch)
    }
    record.layers = [
      LayerDescription(
        name: "conv1", kind: .convolution, weights: 432, freezableWeights: 432, weightBits: 8, activationBits: nil,
        forwardMACs: 338_688, inputGradientMACs: 0, weightGradientMACs: 338_688, sparseThreshold: 0.2),
      LayerDescription(
        name: "fc", kind: .linear, weights: 640, freezableWeights: 0, weightBits: 8, activationBits: 8,
        forwardMACs: 640, inputGradientMACs: 640, weightGradientMACs: 640, sparseThreshold: nil),
    ]
    for epoch in 1...3 {
      for layer in ["conv1", "fc"] {
        var entry = LayerEpochRecord(epoch: epoch, layer: layer)
        entry.frozen = 17 * epoch
        entry.meanFrozenShare = 0.04
        entry.secondsForward = 1.5
        entry.secondsInputGradient = 1
        entry.secondsWeightGradient = 1.25
        entry.upperWeight = 0.5
        entry.lowerWeight = layer == "fc" ? nil : -0.5
        entry.upperActivation = 3
        entry.lowerActivation = nil
        record.layerEpochs.append(entry)
      }
    }
    record.outcome.status = .finished
    record.outcome.finalTopOne = 0.75
    record.outcome.finalTopFive = 0.98
    record.outcome.finalTestLoss = 0.7
    record.outcome.bestTopOne = 0.76
    record.outcome.bestEpoch = 2
    record.outcome.weightUpdatesEliminated = 0.4
    record.outcome.backwardFLOPsEliminated = 0.2
    record.outcome.totalSeconds = 31
    record.outcome.backwardSeconds = 13.5
    record.outcome.steps = 300
    record.outcome.images = 76_800
    record.tensors = [
      NamedTensor(name: "conv1.frozen", shape: [16, 3, 3, 3], elements: .uint8((0..<432).map { UInt8($0 % 2) })),
      NamedTensor(name: "conv1.level", shape: [16, 3, 3, 3], elements: .int8((0..<432).map { Int8($0 % 4 - 2) })),
      NamedTensor(name: "conv1.weight", shape: [16, 3, 3, 3], elements: .float((0..<432).map { Float($0) / 7 - 20 })),
      NamedTensor(name: "conv1.weight_scale", shape: [], elements: .float([0.125])),
    ]
    return record
  }()
}
