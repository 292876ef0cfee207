public import Kernels
import Layers
import Models
import Quantization
import Storage
import Tensor

/// Takes a trace's steps with this project's own training code and compares every number on the way.
///
/// The network, quantizers, freezing and kernels are those of training; learned ranges use the dense range gradient.
public struct TraceReplay {
  /// One training step, ours beside the trace's.
  public struct Step: Codable, Sendable {
    public var step: Int
    public var loss: Double
    public var referenceLoss: Double
    public var lossDeviation: Double
    /// What float32 variants of the reference itself deviate by, as the trace records it.
    public var float32Deviation: Double
    public var lossTolerance: Double
    public var frozen: Int
    public var referenceFrozen: Int
    /// Σ over layers of |frozen − reference|.
    public var frozenDeviation: Int
    public var frozenTolerance: Double
    /// Largest |value − reference| / max(1, |reference|) of the quantizers after the update; not part of the verdict.
    public var quantizerDeviation: Double
    public var agrees: Bool
  }

  /// A quantity with its deviation from the trace's and what is allowed.
  public struct Comparison: Codable, Sendable {
    public var name: String
    public var deviation: Double
    /// nil: reported, not judged.
    public var tolerance: Double?
    public var agrees: Bool

    init(_ name: String, deviation: Double, tolerance: Double?) {
      self.name = name
      self.deviation = deviation
      self.tolerance = tolerance
      // Written so that NaN disagrees.
      agrees = tolerance.map { deviation <= $0 } ?? true
    }
  }

  /// A quantizer number of one layer.
  public struct QuantizerValue: Codable, Sendable {
    public var layer: String
    public var column: String
    public var value: Double
    public var reference: Double
  }

  public struct Report: Codable, Sendable {
    public var trace: String
    public var instructionSet: String
    public var threads: Int
    public var quantizerStart: [QuantizerValue]
    public var quantizerStartDeviation: Comparison
    public var steps: [Step]
    /// Largest deviation first.
    public var firstGradients: [Comparison]
    /// Share of weights frozen in one of the two alone.
    public var finalMasks: Comparison
    public var finalWeights: [Comparison]
    public var finalQuantizers: [QuantizerValue]
    /// Largest absolute difference of the logits in evaluation mode.
    public var evaluationLogits: Comparison
    public var levelMovesOfFrozenWeights: Int

    public var agrees: Bool {
      quantizerStartDeviation.agrees && steps.allSatisfy(\.agrees) && firstGradients.allSatisfy(\.agrees)
        && finalMasks.agrees && finalWeights.allSatisfy(\.agrees) && evaluationLogits.agrees
    }
  }

  private let trace: Trace
  private let learner: Learner
  private var network: Network { learner.network }

  public init(trace: Trace, context: ComputeContext) throws {
    self.trace = trace
    let network = Network(
      spec: trace.model, quantization: trace.quantization, batch: trace.imagesPerBatch, context: context)
    learner = Learner(
      network: network,
      optimizer: Optimizer(
        parameters: network.trainedParameters, weights: trace.weights, batchNorm: trace.batchNorm,
        quantizers: trace.quantizers),
      freezing: trace.freezing.map { FreezingPolicy(spec: $0, recipe: trace.quantization.recipe) },
      schedule: .constant)
    guard trace.layers == network.convolutions.map(\.name) else {
      throw Trace.FormatError(
        description:
          "\(trace.path): layers are \(trace.layers); the network has \(network.convolutions.map(\.name))")
    }
    for parameter in network.parameters where parameter.group != .quantizers {
      try load(parameter.name, shape: parameter.shape, into: parameter.value)
    }
    for layer in network.batchNorms {
      try load("\(layer.name).running_mean", shape: [layer.runningMean.count], into: layer.runningMean)
      try load("\(layer.name).running_var", shape: [layer.runningVariance.count], into: layer.runningVariance)
    }
    network.initializeWeightQuantizers()
  }

  private func isLinear(_ name: String) -> Bool { name.hasPrefix("fc.") || name.hasPrefix("linear.") }

  private func read<Scalar: HDF5Scalar>(_ group: String, _ name: String, shape: [Int]) throws -> [Scalar] {
    try trace.file.read("\(group)/\(name)", shape: PyTorchLayout.shape(shape, isLinear: isLinear(name)))
  }

  private func load(_ name: String, shape: [Int], into buffer: Buffer<Float>) throws {
    PyTorchLayout.import(try read("init", name, shape: shape), shape: shape, into: buffer)
  }

  private func feed(batch index: Int) {
    let values = trace.images(batch: index)
    let images = network.images.values!
    for element in values.indices { images.pointer[element] = values[element] }
    for image in 0..<trace.imagesPerBatch {
      network.loss.labels[image] = trace.labels[index * trace.imagesPerBatch + image]
    }
  }

  /// `[layers][columns]`; NaN where the layer has no such number.
  private func quantizerValues() -> [Double] {
    network.convolutions.flatMap { layer -> [Double] in
      let weight = layer.weightQuantizer!
      let activation = layer.activationQuantizer
      func value(_ parameter: Parameter?) -> Double { parameter.map { Double($0.scalar) } ?? .nan }
      switch trace.quantization.recipe {
      case .spqat: return [value(weight.scale), value(activation?.scale)]
      case .lts: return [value(weight.upper), value(weight.lower), value(activation?.upper), value(activation?.lower)]
      }
    }
  }

  private func described(_ values: [Double], _ reference: ArraySlice<Double>) -> [QuantizerValue] {
    var result: [QuantizerValue] = []
    for (layer, name) in trace.layers.enumerated() {
      for (column, title) in trace.quantizerColumns.enumerated() {
        let index = layer * trace.quantizerColumns.count + column
        let expected = reference[reference.startIndex + index]
        if expected.isNaN { continue }
        result.append(QuantizerValue(layer: name, column: title, value: values[index], reference: expected))
      }
    }
    return result
  }

  /// Largest |value − reference| / max(1, |reference|), NaN references left out; NaN if a value is NaN.
  private func deviation(_ values: [QuantizerValue]) -> Double {
    var worst = 0.0
    for value in values {
      let deviation = abs(value.value - value.reference) / max(1, abs(value.reference))
      if !(deviation <= worst) { worst = deviation }
      if worst.isNaN { break }
    }
    return worst
  }

  /// Runs all steps. `onStep` is told of each as it is done.
  public func run(onStep: (Step) -> Void = { _ in }) throws -> Report {
    let images = trace.imagesPerBatch
    let recipe = trace.quantization.recipe
    let columns = trace.quantizerColumns.count
    let freezable = max(1, network.freezableWeights)
    var firstBatch = 0
    if learner.needsQuantizerInitialization {
      feed(batch: 0)
      learner.initializeQuantizers(images: images)
      firstBatch = 1
    }
    var start = quantizerValues()
    var firstGradients: [Comparison] = []
    var steps: [Step] = []
    for step in 1...trace.steps {
      feed(batch: firstBatch + step - 1)
      let result = learner.computeGradients(images: images)
      if step == 1 {
        // `spqat` sets its quantizers within the first step.
        if recipe == .spqat { start = quantizerValues() }
        firstGradients = try compareFirstGradients()
      }
      learner.applyGradients()
      let isClean = step <= trace.cleanSteps
      let reference = trace.loss[step - 1]
      let deviation = abs(result.loss - reference)
      let lossTolerance =
        isClean ? (step <= 2 ? 1e-4 : 1e-3) : 3 * trace.lossDeviation[step - 1] + 0.05
      let layerCount = trace.layers.count
      let expectedFrozen = trace.frozen[(step - 1) * layerCount..<step * layerCount]
      let frozen = network.convolutions.map { $0.freezing?.frozenCount ?? 0 }
      let frozenDeviation = zip(frozen, expectedFrozen).reduce(0) { $0 + abs($1.0 - $1.1) }
      let frozenTolerance = Double(freezable) * (isClean ? 0.001 : 0.01)
      let quantizers = described(
        quantizerValues(), trace.quantizerValues[(step - 1) * layerCount * columns..<step * layerCount * columns])
      let report = Step(
        step: step, loss: result.loss, referenceLoss: reference, lossDeviation: deviation,
        float32Deviation: trace.lossDeviation[step - 1], lossTolerance: lossTolerance,
        frozen: frozen.reduce(0, +), referenceFrozen: expectedFrozen.reduce(0, +), frozenDeviation: frozenDeviation,
        frozenTolerance: frozenTolerance, quantizerDeviation: self.deviation(quantizers),
        agrees: deviation <= lossTolerance && Double(frozenDeviation) <= frozenTolerance)
      steps.append(report)
      onStep(report)
    }
    let startValues = described(start, trace.quantizerStart[...])
    let last = (trace.steps - 1) * trace.layers.count * columns
    return Report(
      trace: trace.path, instructionSet: network.context.instructionSet.rawValue,
      threads: network.context.pool.threads, quantizerStart: startValues,
      quantizerStartDeviation: Comparison(
        "quantizer initialization", deviation: deviation(startValues), tolerance: 1e-5),
      steps: steps, firstGradients: firstGradients, finalMasks: try compareMasks(),
      finalWeights: try compareFinalWeights(),
      finalQuantizers: described(quantizerValues(), trace.quantizerValues[last...]),
      evaluationLogits: try compareEvaluation(), levelMovesOfFrozenWeights: network.levelMoves)
  }

  // MARK: Comparisons

  /// ‖ours − reference‖ / ‖reference‖
  private static func relativeError(_ ours: [Float], _ reference: [Float]) -> Double {
    var difference = 0.0
    var norm = 0.0
    for (a, b) in zip(ours, reference) {
      difference += (Double(a) - Double(b)) * (Double(a) - Double(b))
      norm += Double(b) * Double(b)
    }
    if difference == 0 { return 0 }
    return (difference / norm).squareRoot()
  }

  private func compareFirstGradients() throws -> [Comparison] {
    var result: [Comparison] = []
    for parameter in network.trainedParameters {
      var reference: [Float] = try read("first_gradient", parameter.name, shape: parameter.shape)
      let ours = PyTorchLayout.export(parameter.gradient, shape: parameter.shape)
      // A reference may hold the gradients of weights that froze in step 1; here they are not computed.
      if let frozen = parameter.frozen {
        let mask = PyTorchLayout.export(frozen, shape: parameter.shape)
        for index in reference.indices where mask[index] != 0 { reference[index] = 0 }
      }
      result.append(
        Comparison(
          parameter.name, deviation: Self.relativeError(ours, reference),
          tolerance: parameter.group == .quantizers ? 5e-3 : 1e-3))
    }
    return result.sorted { !($0.deviation <= $1.deviation) }
  }

  private func compareMasks() throws -> Comparison {
    var different = 0
    var count = 0
    for layer in network.convolutions {
      guard let freezing = layer.freezing, trace.freezing != nil else { continue }
      let reference: [UInt8] = try read("final", "\(layer.name).frozen", shape: layer.weight.shape)
      let ours = PyTorchLayout.export(freezing.frozen, shape: layer.weight.shape)
      different += zip(ours, reference).reduce(0) { $0 + (($1.0 != 0) == ($1.1 != 0) ? 0 : 1) }
      count += reference.count
    }
    return Comparison(
      "share of final masks that differs", deviation: Double(different) / Double(max(1, count)),
      // After rounding made the runs part, masks may differ.
      tolerance: trace.cleanSteps == trace.steps ? 0.001 : nil)
  }

  private func compareFinalWeights() throws -> [Comparison] {
    var result: [Comparison] = []
    for parameter in network.trainedParameters where parameter.group != .quantizers {
      let reference: [Float] = try read("final", parameter.name, shape: parameter.shape)
      let ours = PyTorchLayout.export(parameter.value, shape: parameter.shape)
      result.append(Comparison(parameter.name, deviation: Self.relativeError(ours, reference), tolerance: nil))
    }
    return result.sorted { !($0.deviation <= $1.deviation) }
  }

  private func compareEvaluation() throws -> Comparison {
    feed(batch: 0)
    _ = learner.evaluate(images: trace.imagesPerBatch)
    let classes = trace.model.classes
    let reference: [Double] = try trace.file.read("eval/logits", shape: [trace.imagesPerBatch, classes])
    var worst = 0.0
    for (index, expected) in reference.enumerated() {
      let deviation = abs(Double(network.loss.logits.values![index]) - expected)
      if !(deviation <= worst) { worst = deviation }
      if worst.isNaN { break }
    }
    return Comparison("evaluation logits", deviation: worst, tolerance: nil)
  }
}
