import Diagnostics
public import Kernels
import Networks
public import Quantization
import Storage
import Tensor
import Training

/// Takes a trace's steps with this project's own training code and compares every number on the way.
///
/// The network, quantizers, freezing and kernels are those of training; learned ranges use the dense range gradient.
public struct TraceReplay {
  let trace: Trace
  let learner: Learner
  var network: Network { learner.network }

  /// - Parameter gradients: how weight gradients are formed from levels.
  /// - Throws: `Diagnostic` where the trace does not describe this network's layers and tensors.
  public init(trace: Trace, gradients: GradientArithmetic = .float32, backend: CPUBackend) throws {
    self.trace = trace
    var quantization = trace.quantization
    quantization.gradients = gradients
    let network = try Network(
      spec: trace.model, quantization: quantization, batch: trace.imagesPerBatch, backend: backend)
    learner = Learner(
      network: network,
      optimizer: Optimizer(
        parameters: network.trainedParameters, weights: trace.weights, batchNorm: trace.batchNorm,
        quantizers: trace.quantizers, on: backend),
      freezing: trace.freezing.map { FreezingPolicy(spec: $0, clock: trace.quantization.scheme.clock) },
      schedule: .constant)
    guard trace.layers == network.convolutions.map(\.name) else {
      throw Diagnostic(
        trace.path, "layers are \(trace.layers); the network has \(network.convolutions.map(\.name))")
    }
    try checkFrozenCounts()
    for part in network.state where part.role == .parameter || part.role == .statistic {
      guard case .floats(let buffer) = part.values else { preconditionFailure("\(part.fullName) is in floats") }
      part.restore(try trace.file.read("init/\(part.fullName)", shape: part.shape), into: buffer)
    }
    network.didRestoreState()
    network.initializeWeightQuantizers()
  }

  private func checkFrozenCounts() throws {
    for (index, count) in trace.frozen.enumerated() {
      let layer = network.convolutions[index % trace.layers.count]
      guard (0...layer.weight.count).contains(count) else {
        throw Diagnostic(
          trace.path,
          "steps/frozen is \(count) for \(layer.name) in step \(index / trace.layers.count + 1); "
            + "allowed: 0 to its \(layer.weight.count) weights")
      }
    }
  }

  /// Runs all steps. `onStep` is told of each as it is done.
  public func run(onStep: (ReplayReport.Step) -> Void = { _ in }) throws -> ReplayReport {
    let images = trace.imagesPerBatch
    var firstBatch = 0
    if learner.needsQuantizerInitialization {
      feed(batch: 0)
      learner.initializeQuantizers(images: images)
      firstBatch = 1
    }
    var start = quantizerValues()
    var firstGradients: [ReplayReport.Comparison] = []
    var steps: [ReplayReport.Step] = []
    for step in 1...trace.steps {
      feed(batch: firstBatch + step - 1)
      let result = learner.computeGradients(images: images)
      if step == 1 {
        // Where no batch passed before, the first step sets the quantizers in passing.
        if firstBatch == 0 { start = quantizerValues() }
        firstGradients = try compareFirstGradients()
      }
      learner.applyGradients()
      let report = compareStep(step, loss: result.loss)
      steps.append(report)
      onStep(report)
    }

    let tolerances = ReplayTolerances(isClean: trace.cleanSteps == trace.steps)
    let startValues = described(start, trace.quantizerStart[...])
    let finalValues = described(quantizerValues(), trace.quantizerValues(step: trace.steps))
    return ReplayReport(
      trace: trace.path, instructionSet: network.backend.arithmeticName,
      threads: network.backend.pool.threads, quantizerStart: startValues,
      quantizerStartDeviation: .init(
        "quantizer initialization", deviation: Self.deviation(startValues),
        tolerance: ReplayTolerances.quantizerStart),
      steps: steps, firstGradients: firstGradients, finalMasks: try compareMasks(tolerances),
      finalTensors: try compareFinalTensors(tolerances), finalQuantizers: finalValues,
      quantizerChange: compareChange(startValues, finalValues, tolerances),
      evaluationLogits: try compareEvaluation(tolerances), levelMovesOfFrozenWeights: network.levelMoves,
      levelMoves: trace.levelMoves.map {
        .init(
          "level moves of frozen weights", deviation: abs(Double(network.levelMoves) - Double($0)),
          tolerance: tolerances.isClean ? 0 : nil)
      })
  }

  /// Puts a batch of the trace into the network.
  func feed(batch index: Int) {
    network.withInput { memory in
      _ = memory.images.update(from: trace.images(batch: index))
      _ = memory.labels.update(from: trace.labels(batch: index))
    }
  }

  /// `[layers][columns]`; nil where the layer has no such number.
  func quantizerValues() -> [Double?] {
    network.convolutions.flatMap { layer -> [Double?] in
      let parameters = (layer.weightQuantizer?.parameters ?? []) + (layer.activationQuantizer?.parameters ?? [])
      let values = parameters.map { Optional(Double($0.scalar)) }
      return values + [Double?](repeating: nil, count: trace.quantizerColumns.count - values.count)
    }
  }
}

extension Trace {
  /// `[layers][columns]`, after the update of step `step` (1-based).
  func quantizerValues(step: Int) -> ArraySlice<Double> {
    let count = layers.count * quantizerColumns.count
    return quantizerValues[(step - 1) * count..<step * count]
  }
}
