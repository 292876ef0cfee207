import Networks
import Quantization
import Storage
import Tensor
import Training

/// Ours beside the trace's. Every deviation is NaN if a number of either side is.
extension TraceReplay {
  typealias Comparison = ReplayReport.Comparison

  func compareStep(_ step: Int, loss: Double) -> ReplayReport.Step {
    let tolerances = ReplayTolerances(isClean: step <= trace.cleanSteps)
    let index = step - 1
    let expectedFrozen = trace.frozen[index * trace.layers.count..<step * trace.layers.count]
    let frozen = network.convolutions.map { $0.freezing?.frozenCount ?? 0 }
    var report = ReplayReport.Step(
      step: step, loss: loss, referenceLoss: trace.loss[index], lossDeviation: abs(loss - trace.loss[index]),
      float32Deviation: trace.lossDeviation[index],
      lossTolerance: tolerances.loss(step: step, float32Deviation: trace.lossDeviation[index]),
      frozen: frozen.reduce(0, +), referenceFrozen: expectedFrozen.reduce(0, +),
      frozenDeviation: zip(frozen, expectedFrozen).reduce(0) { $0 + abs($1.0 - $1.1) },
      frozenTolerance: tolerances.frozenShare * Double(max(1, network.freezableWeights)),
      quantizerDeviation: Self.deviation(described(quantizerValues(), trace.quantizerValues(step: step))),
      quantizerTolerance: tolerances.quantizers, agrees: false)
    report.agrees =
      report.lossDeviation <= report.lossTolerance && Double(report.frozenDeviation) <= report.frozenTolerance
      && report.quantizerDeviation <= report.quantizerTolerance
    return report
  }

  func compareFirstGradients() throws -> [Comparison] {
    let parts = Dictionary(uniqueKeysWithValues: network.state.map { ($0.fullName, $0) })
    var gradients: [(parameter: Parameter, ours: [Float], reference: [Float])] = []
    for parameter in network.trainedParameters {
      let part = parts[parameter.name]!
      var reference: [Float] = try trace.file.read("first_gradient/\(parameter.name)", shape: part.shape)
      // A reference may hold the gradients of weights that froze in step 1; here they are not computed.
      if let frozen = parameter.frozen.map(part.export) {
        for index in reference.indices where frozen[index] != 0 { reference[index] = 0 }
      }
      gradients.append((parameter, part.export(parameter.gradient), reference))
    }
    // A gradient that vanishes, as that of a shift which another batch norm takes out again, has rounding alone.
    let largest = gradients.map { Self.norm($0.reference) }.max() ?? 0
    let result = gradients.map { parameter, ours, reference in
      Comparison(
        parameter.name, deviation: Self.relativeError(ours, reference, floor: 3e-4 * largest),
        tolerance: ReplayTolerances.firstGradient(parameter.group))
    }
    return result.sorted { !($0.deviation <= $1.deviation) }
  }

  func compareMasks(_ tolerances: ReplayTolerances) throws -> Comparison {
    var different = 0
    var count = 0
    for part in network.state where part.role == .mask && trace.freezing != nil {
      guard case .bytes(let frozen) = part.values else { preconditionFailure("masks are bytes") }
      let reference: [UInt8] = try trace.file.read("final/\(part.fullName)", shape: part.shape)
      different += zip(part.export(frozen), reference).count { ($0 != 0) != ($1 != 0) }
      count += reference.count
    }
    return Comparison(
      "share of final masks that differs", deviation: Double(different) / Double(max(1, count)),
      tolerance: tolerances.masks)
  }

  func compareFinalTensors(_ tolerances: ReplayTolerances) throws -> [Comparison] {
    var result: [Comparison] = []
    for part in network.state where part.role == .parameter || part.role == .statistic {
      guard case .floats(let values) = part.values else { preconditionFailure("\(part.fullName) is in floats") }
      let reference: [Float] = try trace.file.read("final/\(part.fullName)", shape: part.shape)
      result.append(
        Comparison(
          part.fullName, deviation: Self.relativeError(part.export(values), reference),
          tolerance: tolerances.finalTensors))
    }
    return result.sorted { !($0.deviation <= $1.deviation) }
  }

  func compareChange(
    _ start: [ReplayReport.QuantizerValue], _ end: [ReplayReport.QuantizerValue], _ tolerances: ReplayTolerances
  ) -> Comparison {
    Comparison(
      "change of the quantizers",
      deviation: Self.relativeError(
        zip(start, end).map { $1.value - $0.value }, zip(start, end).map { $1.reference - $0.reference }),
      tolerance: tolerances.quantizerChange)
  }

  func compareEvaluation(_ tolerances: ReplayTolerances) throws -> Comparison {
    feed(batch: 0)
    _ = learner.evaluate(images: trace.imagesPerBatch)
    let reference: [Double] = try trace.file.read(
      "eval/logits", shape: [trace.imagesPerBatch, trace.model.classes])
    let ours = network.loss.logits.values!.array.prefix(reference.count).map(Double.init)
    return Comparison(
      "evaluation logits", deviation: Self.relativeError(ours, reference), tolerance: tolerances.logits)
  }

  /// The quantizer numbers that the network has, and those that the trace has beside them.
  func described(_ values: [Double?], _ reference: ArraySlice<Double>) -> [ReplayReport.QuantizerValue] {
    let places = trace.layers.flatMap { layer in trace.quantizerColumns.map { (layer: layer, column: $0) } }
    return zip(places, zip(values, reference)).compactMap { place, numbers in
      let (value, reference) = numbers
      if value == nil && reference.isNaN { return nil }
      return ReplayReport.QuantizerValue(
        layer: place.layer, column: place.column, value: value ?? .nan, reference: reference)
    }
  }

  /// Largest |value − reference| / max(1, |reference|).
  static func deviation(_ values: [ReplayReport.QuantizerValue]) -> Double {
    var worst = 0.0
    for value in values {
      let deviation = abs(value.value - value.reference) / max(1, abs(value.reference))
      if !(deviation <= worst) { worst = deviation }
      if worst.isNaN { break }
    }
    return worst
  }

  /// ‖ours − reference‖ / max(‖reference‖, floor)
  static func relativeError<Value: BinaryFloatingPoint>(
    _ ours: [Value], _ reference: [Value], floor: Double = 0
  ) -> Double {
    let difference = norm(zip(ours, reference).map { Double($0) - Double($1) })
    return difference == 0 ? 0 : difference / max(norm(reference), floor)
  }

  private static func norm<Value: BinaryFloatingPoint>(_ values: [Value]) -> Double {
    values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
  }
}
