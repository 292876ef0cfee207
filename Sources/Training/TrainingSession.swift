public import Datasets
import Foundation
public import Kernels
import Layers
import Models
import Quantization
public import Records
import Storage
import Tensor

/// What the caller wants after a step.
public enum TrainingDirective: Sendable {
  case proceed
  case stop
}

/// How a call of `TrainingSession.train` ended.
public enum TrainingResult: Sendable, Equatable {
  case finished
  /// The caller asked to stop; the session can be checkpointed and continued.
  case stopped
  /// The loss of this step was NaN or infinite; nothing after it was computed.
  case diverged(step: Int)
}

/// Where training stands after a step.
public struct StepReport: Sendable {
  /// Steps done (1-based) of `totalSteps`.
  public var step: Int
  public var totalSteps: Int
  /// 1-based.
  public var epoch: Int
  public var epochs: Int
  /// Mean cross-entropy (nats) of this step's batch.
  public var loss: Double
  /// Running top-1 accuracy in [0, 1] over the epoch so far, on training batches.
  public var epochTopOne: Double
  /// Frozen / freezable weights.
  public var frozenShare: Double
  /// Images a second over the last steps.
  public var imagesPerSecond: Double
  /// True right after the epoch's evaluation: `epochs.last` of the session is new.
  public var finishedEpoch: Bool
}

/// Accuracy and loss over a test split.
public struct Evaluation: Sendable, Equatable {
  /// Mean cross-entropy (nats).
  public var loss: Double
  /// Shares of images in [0, 1].
  public var topOne: Double
  public var topFive: Double
  public var images: Int
}

/// Something outside the program that training cannot go on from, in one line.
public struct TrainingError: Error, Equatable, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}

/// One run: trains a network by a resolved specification, keeps its series, and can be stopped and resumed at any step to
/// the same bits.
public final class TrainingSession {
  public let spec: TrainingSpec
  public let data: ImageDataset
  public let learner: Learner
  let normalization: Normalization
  private let context: ComputeContext
  private var network: Network { learner.network }

  /// Training steps done.
  public var step: Int { learner.step }
  public let batchesPerEpoch: Int
  public private(set) var epochs: [EpochRecord] = []
  public private(set) var layerEpochs: [LayerEpochRecord] = []
  public private(set) var isDiverged = false

  /// Frozen weights summed over the steps done, by layer.
  var frozenWeightSteps: [Int]
  var progress = EpochProgress()

  /// Sums over the steps of the running epoch.
  struct EpochProgress: Codable {
    var loss = 0.0
    var topOne = 0
    var images = 0
    var steps = 0
    var frozenShare = 0.0
    var seconds = EpochRecord.Seconds()
    var layerFrozenShare: [Double] = []
    /// Forward, input gradient, weight gradient by layer.
    var layerSeconds: [[Double]] = []
    var levelMovesBefore = 0
  }

  private var imagesPerSecond = 0.0
  private var plan: BatchPlan?
  private var planEpoch = -1

  /// - Parameters:
  ///   - initial: the final tensors of the network that training starts from, by PyTorch's names; nil: random weights from
  ///     the seed.
  /// - Throws: `TrainingError` where the data, the network and `initial` do not fit together.
  public init(
    spec: TrainingSpec, data: ImageDataset, normalization: Normalization, threads: Int, initial: [NamedTensor]? = nil,
    instructionSet: InstructionSet = .best
  ) throws {
    self.spec = spec
    self.data = data
    self.normalization = normalization
    guard data.height == spec.model.inputHeight, data.width == spec.model.inputWidth else {
      throw TrainingError(
        "the images are \(data.width)x\(data.height); the network takes \(spec.model.inputWidth)x\(spec.model.inputHeight)"
      )
    }
    guard data.classNames.count == spec.model.classes else {
      throw TrainingError("the data set has \(data.classNames.count) classes, the network \(spec.model.classes)")
    }
    batchesPerEpoch = BatchPlan.batchCount(
      images: data.train.count, batchSize: spec.batchSize, dropLast: spec.dropLastPartialBatch)
    guard batchesPerEpoch > 0 else {
      throw TrainingError(
        "\(data.train.count) training images do not fill a batch of \(spec.batchSize); use a smaller batchSize")
    }
    context = ComputeContext(threads: threads, instructionSet: instructionSet)
    // A batch may be larger than the data set, but is never filled beyond it.
    learner = Learner(spec: spec, context: context, batch: min(spec.batchSize, max(data.train.count, data.test.count)))
    frozenWeightSteps = [Int](repeating: 0, count: learner.network.convolutions.count)
    if let initial {
      try load(initial, includingQuantizers: false)
    } else {
      network.initializeWeights(seed: spec.seed)
    }
    network.initializeWeightQuantizers()
  }

  // MARK: Training

  /// Trains until the last step, or until `onStep` says stop or throws. Evaluates after each epoch and the last step.
  public func train(onStep: (StepReport) throws -> TrainingDirective) throws -> TrainingResult {
    while step < spec.totalSteps {
      if isDiverged { return .diverged(step: step) }
      let start = ComputeContext.now()
      let epoch = step / batchesPerEpoch
      if progress.steps == 0 {
        progress = EpochProgress()
        progress.layerFrozenShare = [Double](repeating: 0, count: network.convolutions.count)
        progress.layerSeconds = network.convolutions.map { _ in [0, 0, 0] }
        progress.levelMovesBefore = network.levelMoves
      }
      context.resetSeconds()
      for layer in network.convolutions { layer.resetSeconds() }

      let images = fill(epoch: epoch, batch: step % batchesPerEpoch)
      if learner.needsQuantizerInitialization { learner.initializeQuantizers(images: images) }
      let result = learner.computeGradients(images: images)
      guard result.loss.isFinite else {
        isDiverged = true
        return .diverged(step: step)
      }
      learner.applyGradients()
      account(result, images: images)

      let elapsed = ComputeContext.now() - start
      progress.seconds.total += elapsed
      let rate = Double(images) / elapsed
      imagesPerSecond = imagesPerSecond == 0 ? rate : 0.95 * imagesPerSecond + 0.05 * rate
      let isEpochEnd = step % batchesPerEpoch == 0 || step == spec.totalSteps
      let topOne = Double(progress.topOne) / Double(progress.images)
      if isEpochEnd { try finishEpoch(epoch) }
      let directive = try onStep(
        StepReport(
          step: step, totalSteps: spec.totalSteps, epoch: epoch + 1,
          epochs: (spec.totalSteps + batchesPerEpoch - 1) / batchesPerEpoch, loss: result.loss, epochTopOne: topOne,
          frozenShare: frozenShare, imagesPerSecond: imagesPerSecond, finishedEpoch: isEpochEnd))
      if directive == .stop && step < spec.totalSteps { return .stopped }
    }
    return isDiverged ? .diverged(step: step) : .finished
  }

  private func fill(epoch: Int, batch: Int) -> Int {
    if planEpoch != epoch {
      plan = .training(
        data.train, batchSize: spec.batchSize, seed: spec.seed, epoch: epoch, dropLast: spec.dropLastPartialBatch,
        normalization: normalization, augmentation: spec.augment ? .standard : .none)
      planEpoch = epoch
    }
    return fill(from: plan!, batch: batch)
  }

  private func fill(from plan: BatchPlan, batch: Int) -> Int {
    let positions = plan.positions(ofBatch: batch)
    context.measure(.data) {
      let images = network.images.values!.pointer
      let labels = network.loss.labels.pointer
      let slices = ComputeContext.slices(of: positions.count)
      context.pool.run(slices) { slice, _ in
        let range = ComputeContext.slice(slice, of: slices, count: positions.count)
        plan.fill(
          positions: positions.lowerBound + range.lowerBound..<positions.lowerBound + range.upperBound,
          into: images + range.lowerBound * plan.imageStride, labels: labels + range.lowerBound)
      }
    }
    return positions.count
  }

  private func account(_ result: CrossEntropy.Result, images: Int) {
    progress.loss += result.loss * Double(images)
    progress.topOne += result.topOne
    progress.images += images
    progress.steps += 1
    progress.frozenShare += frozenShare
    for (index, layer) in network.convolutions.enumerated() {
      if let freezing = layer.freezing {
        frozenWeightSteps[index] += freezing.frozenCount
        progress.layerFrozenShare[index] += freezing.frozenShare
      }
      progress.layerSeconds[index][0] += layer.forwardSeconds
      progress.layerSeconds[index][1] += layer.inputGradientSeconds
      progress.layerSeconds[index][2] += layer.weightGradientSeconds
    }
    let seconds = context.seconds
    progress.seconds.forward += seconds[StepPart.forward.rawValue]
    progress.seconds.inputGradient += seconds[StepPart.inputGradient.rawValue]
    progress.seconds.weightGradient += seconds[StepPart.weightGradient.rawValue]
    progress.seconds.normalizationAndQuantization += seconds[StepPart.normalizationAndQuantization.rawValue]
    progress.seconds.optimizer += seconds[StepPart.optimizer.rawValue]
    progress.seconds.data += seconds[StepPart.data.rawValue]
  }

  private func finishEpoch(_ epoch: Int) throws {
    let start = ComputeContext.now()
    let evaluation = try evaluate()
    progress.seconds.evaluation += ComputeContext.now() - start
    progress.seconds.total += ComputeContext.now() - start
    var record = EpochRecord(epoch: epoch + 1, step: step)
    record.trainLoss = progress.loss / Double(progress.images)
    record.trainTopOne = Double(progress.topOne) / Double(progress.images)
    record.testLoss = evaluation.loss
    record.testTopOne = evaluation.topOne
    record.testTopFive = evaluation.topFive
    record.learningRate = spec.weights.learningRate * spec.learningRateSchedule.factor(step: step)
    record.threshold = learner.freezing?.threshold(forward: step)
    record.frozenShare = frozenShare
    record.meanFrozenShare = progress.frozenShare / Double(progress.steps)
    record.levelMoves = network.levelMoves - progress.levelMovesBefore
    record.images = progress.images
    record.seconds = progress.seconds
    epochs.append(record)
    for (index, layer) in network.convolutions.enumerated() {
      var record = LayerEpochRecord(epoch: epoch + 1, layer: layer.name)
      record.frozen = layer.freezing?.frozenCount ?? 0
      record.meanFrozenShare = progress.layerFrozenShare[index] / Double(progress.steps)
      record.secondsForward = progress.layerSeconds[index][0]
      record.secondsInputGradient = progress.layerSeconds[index][1]
      record.secondsWeightGradient = progress.layerSeconds[index][2]
      if let quantizer = layer.weightQuantizer {
        record.upperWeight = Double((quantizer.upper ?? quantizer.scale)!.scalar)
        record.lowerWeight = quantizer.lower.map { Double($0.scalar) }
      }
      if let quantizer = layer.activationQuantizer {
        record.upperActivation = Double((quantizer.upper ?? quantizer.scale)!.scalar)
        record.lowerActivation = quantizer.lower.map { Double($0.scalar) }
      }
      layerEpochs.append(record)
    }
    progress = EpochProgress()
  }

  /// Accuracy on the test split with the weights as they are.
  public func evaluate() throws -> Evaluation {
    guard network.areActivationQuantizersInitialized else {
      throw TrainingError("the activation quantizers are set by the first training step; evaluate after it")
    }
    let plan = BatchPlan.evaluation(data.test, batchSize: spec.batchSize, normalization: normalization)
    var loss = 0.0
    var topOne = 0
    var topFive = 0
    for batch in 0..<plan.batchCount {
      let images = fill(from: plan, batch: batch)
      let result = learner.evaluate(images: images)
      loss += result.loss * Double(images)
      topOne += result.topOne
      topFive += result.topFive
    }
    let count = data.test.count
    return Evaluation(
      loss: loss / Double(count), topOne: Double(topOne) / Double(count), topFive: Double(topFive) / Double(count),
      images: count)
  }

  // MARK: What a run reports

  public var frozenShare: Double {
    network.freezableWeights == 0 ? 0 : Double(network.frozenWeights) / Double(network.freezableWeights)
  }

  public var layers: [LayerDescription] {
    network.convolutions.map { layer in
      LayerDescription(
        name: layer.name, kind: layer.bias == nil ? .convolution : .linear, weights: layer.weight.count,
        freezableWeights: layer.freezing?.count ?? 0, weightBits: layer.weightQuantizer?.bits,
        activationBits: layer.activationQuantizer?.bits, forwardMACs: layer.shape.macs,
        inputGradientMACs: layer.isFirst ? 0 : layer.shape.macs, weightGradientMACs: layer.shape.macs,
        sparseThreshold: layer.freezing == nil ? nil : layer.sparseThreshold)
    }
  }

  /// The outcome so far: finished, diverged, or running.
  public var outcome: RunOutcome {
    var outcome = RunOutcome()
    outcome.status = isDiverged ? .diverged : step == spec.totalSteps ? .finished : .running
    if isDiverged { outcome.message = "the loss of step \(step) is not finite" }
    if outcome.status == .finished, let last = epochs.last {
      outcome.finalTopOne = last.testTopOne
      outcome.finalTopFive = last.testTopFive
      outcome.finalTestLoss = last.testLoss
    }
    if let best = epochs.max(by: { ($0.testTopOne ?? 0) < ($1.testTopOne ?? 0) }) {
      outcome.bestTopOne = best.testTopOne
      outcome.bestEpoch = best.epoch
    }
    if learner.freezing != nil {
      outcome.weightUpdatesEliminated = Savings.weightUpdatesEliminated(
        layers: layers, frozenWeightSteps: frozenWeightSteps, steps: step)
      outcome.backwardFLOPsEliminated = Savings.backwardFLOPsEliminated(
        layers: layers, frozenWeightSteps: frozenWeightSteps, steps: step)
    }
    outcome.totalSeconds = epochs.reduce(0) { $0 + $1.seconds.total } + progress.seconds.total
    outcome.backwardSeconds = epochs.reduce(progress.seconds.inputGradient + progress.seconds.weightGradient) {
      $0 + $1.seconds.inputGradient + $1.seconds.weightGradient
    }
    outcome.steps = step
    outcome.images = epochs.reduce(progress.images) { $0 + $1.images }
    return outcome
  }

  // MARK: Tensors

  /// Weights, batch-norm statistics, quantizer numbers, and beside each quantized layer its levels and masks, by
  /// PyTorch's names and layouts.
  public func finalTensors() -> [NamedTensor] {
    var tensors: [NamedTensor] = []
    for layer in network.layers {
      let isLinear = (layer as? Convolution)?.bias != nil
      for parameter in layer.parameters {
        tensors.append(
          NamedTensor(
            name: parameter.name, shape: PyTorchLayout.shape(parameter.shape, isLinear: isLinear),
            elements: .float(PyTorchLayout.export(parameter.value, shape: parameter.shape))))
      }
      if let norm = layer as? BatchNormalization {
        tensors.append(
          NamedTensor(
            name: "\(norm.name).running_mean", shape: [norm.runningMean.count], elements: .float(norm.runningMean.array)
          ))
        tensors.append(
          NamedTensor(
            name: "\(norm.name).running_var", shape: [norm.runningVariance.count],
            elements: .float(norm.runningVariance.array)))
      }
      if let convolution = layer as? Convolution, convolution.weightQuantizer != nil {
        let shape = PyTorchLayout.shape(convolution.weight.shape, isLinear: isLinear)
        let levels = PyTorchLayout.export(convolution.currentLevels(), shape: convolution.weight.shape)
        // Eight bits of a learned range exceed a signed byte.
        let fitsByte = levels.allSatisfy { $0 >= -128 && $0 <= 127 }
        tensors.append(
          NamedTensor(
            name: "\(convolution.name).level", shape: shape,
            elements: fitsByte ? .int8(levels.map { Int8($0) }) : .float(levels)))
        if let freezing = convolution.freezing {
          tensors.append(
            NamedTensor(
              name: "\(convolution.name).frozen", shape: shape,
              elements: .uint8(PyTorchLayout.export(freezing.frozen, shape: convolution.weight.shape))))
        }
      }
    }
    return tensors
  }

  /// Takes over a finished run's tensors, quantizers included, to evaluate them.
  public func load(final tensors: [NamedTensor]) throws { try load(tensors, includingQuantizers: true) }

  private func load(_ tensors: [NamedTensor], includingQuantizers: Bool) throws {
    let byName = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    func take(_ name: String, shape: [Int], isLinear: Bool, into buffer: Buffer<Float>) throws {
      guard let tensor = byName[name], case .float(let values) = tensor.elements else {
        throw TrainingError("the network to start from has no tensor '\(name)'; it was trained with another model")
      }
      let expected = PyTorchLayout.shape(shape, isLinear: isLinear)
      guard tensor.shape == expected else {
        throw TrainingError(
          "tensor '\(name)' of the network to start from has shape \(tensor.shape); expected \(expected)")
      }
      PyTorchLayout.import(values, shape: shape, into: buffer)
    }
    for layer in network.layers {
      let isLinear = (layer as? Convolution)?.bias != nil
      for parameter in layer.parameters where includingQuantizers || parameter.group != .quantizers {
        try take(parameter.name, shape: parameter.shape, isLinear: isLinear, into: parameter.value)
      }
      if let norm = layer as? BatchNormalization {
        try take("\(norm.name).running_mean", shape: [norm.runningMean.count], isLinear: false, into: norm.runningMean)
        try take(
          "\(norm.name).running_var", shape: [norm.runningVariance.count], isLinear: false, into: norm.runningVariance)
      }
    }
    if includingQuantizers { network.areActivationQuantizersInitialized = true }
  }

  // MARK: Checkpoints

  private static let checkpointFormat = FileFormat(name: "spqat-checkpoint", version: 1)

  /// Everything that the next step depends on, and the series so far; replaces the file at `path` as a whole.
  public func writeCheckpoint(to path: String) throws {
    try HDF5File.writeAtomically(to: path) { file in
      try Self.checkpointFormat.stamp(file)
      try file.setAttribute("instruction_set", to: context.instructionSet.rawValue)
      try file.setAttribute("step", to: step)
      try file.setAttribute("diverged", to: isDiverged ? 1 : 0)
      try file.setAttribute("quantizers_initialized", to: network.areActivationQuantizersInitialized ? 1 : 0)
      try file.write(try Self.json(Series(self)), to: "series")
      try file.write(frozenWeightSteps, to: "frozen_weight_steps")
      for (name, buffer) in floatState { try file.write(buffer.readOnly, to: name, compressed: false) }
      for (name, freezing) in freezingState {
        try file.write(freezing.previousIndex.readOnly, to: "freezing/\(name)/previous_index", compressed: false)
        try file.write(freezing.frozen.readOnly, to: "freezing/\(name)/frozen", compressed: false)
        try file.setAttribute("level_moves", to: freezing.levelMoves, on: "freezing/\(name)")
      }
    }
  }

  /// Continues where the checkpoint was written.
  /// - Returns: warnings, such as another instruction set, with which results agree to rounding only.
  public func restoreCheckpoint(from path: String) throws -> [String] {
    let file = try HDF5File.open(path).root
    do {
      try Self.checkpointFormat.check(file)
    } catch {
      throw TrainingError("\(error)")
    }
    var warnings: [String] = []
    let instructionSet = try file.stringAttribute("instruction_set")
    if instructionSet != context.instructionSet.rawValue {
      warnings.append(
        "\(path): was computed with \(instructionSet), goes on with \(context.instructionSet.rawValue); "
          + "the result will equal an uninterrupted run's to rounding only")
    }
    let series = try JSONDecoder.tolerant.decode(Series.self, from: Data(file.readString("series").utf8))
    for (name, buffer) in floatState { try file.read(name, into: buffer.elements) }
    for (name, freezing) in freezingState {
      try file.read("freezing/\(name)/previous_index", into: freezing.previousIndex.elements)
      try file.read("freezing/\(name)/frozen", into: freezing.frozen.elements)
      freezing.restore(levelMoves: try file.attribute("level_moves", on: "freezing/\(name)"))
    }
    for layer in network.convolutions { layer.forgetIndex() }
    frozenWeightSteps = try file.read("frozen_weight_steps", shape: [network.convolutions.count])
    learner.step = try file.attribute("step")
    isDiverged = try file.attribute("diverged", as: Int.self) != 0
    network.areActivationQuantizersInitialized = try file.attribute("quantizers_initialized", as: Int.self) != 0
    epochs = series.epochs
    layerEpochs = series.layerEpochs
    progress = series.progress
    return warnings
  }

  private struct Series: Codable {
    var epochs: [EpochRecord]
    var layerEpochs: [LayerEpochRecord]
    var progress: EpochProgress

    init(_ session: TrainingSession) {
      epochs = session.epochs
      layerEpochs = session.layerEpochs
      progress = session.progress
    }
  }

  private static func json(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  private var floatState: [(String, Buffer<Float>)] {
    var state: [(String, Buffer<Float>)] = network.parameters.map { ("parameters/\($0.name)", $0.value) }
    for entry in learner.optimizer.entries {
      if let first = entry.first { state.append(("optimizer/\(entry.parameter.name)/first", first)) }
      if let second = entry.second { state.append(("optimizer/\(entry.parameter.name)/second", second)) }
    }
    for norm in network.batchNorms {
      state.append(("statistics/\(norm.name)/running_mean", norm.runningMean))
      state.append(("statistics/\(norm.name)/running_var", norm.runningVariance))
    }
    for (name, freezing) in freezingState { state.append(("freezing/\(name)/distance", freezing.distance)) }
    return state
  }

  private var freezingState: [(String, FreezingState)] {
    network.convolutions.compactMap { layer in layer.freezing.map { (layer.name, $0) } }
  }
}

extension JSONDecoder {
  fileprivate static var tolerant: JSONDecoder {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return decoder
  }
}
