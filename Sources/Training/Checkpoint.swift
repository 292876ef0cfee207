import Diagnostics
import Foundation
import Kernels
import Networks
import Records
import Storage
import Tensor

extension TrainingSession {
  private static let checkpointFormat = FileFormat(name: "spqat-checkpoint", version: 1)

  /// Everything that the next step depends on, and the series so far; replaces the file at `path` as a whole.
  public func writeCheckpoint(to path: String) throws {
    try HDF5File.writeAtomically(to: path) { file in
      try Self.checkpointFormat.stamp(file)
      try file.setAttribute("instruction_set", to: network.backend.arithmeticName)
      try file.setAttribute("step", to: step)
      try file.setAttribute("diverged", to: isDiverged ? 1 : 0)
      try file.setAttribute("message", to: divergence ?? "")
      try file.setAttribute("quantizers_initialized", to: network.areActivationQuantizersInitialized ? 1 : 0)
      try file.write(Series(self).json(), to: "series")
      for (name, values) in checkpointState { try file.write(values, to: name) }
    }
  }

  /// Continues where the checkpoint was written.
  /// - Returns: warnings, such as another instruction set, with which results agree to rounding only.
  public func restoreCheckpoint(from path: String) throws -> [String] {
    let file = try HDF5File.open(path).root
    try Self.checkpointFormat.check(file)
    var warnings: [String] = []
    let instructionSet = try file.stringAttribute("instruction_set")
    if instructionSet != network.backend.arithmeticName {
      warnings.append(
        "\(path): was computed with \(instructionSet), goes on with \(network.backend.arithmeticName); "
          + "the result will equal an uninterrupted run's to rounding only")
    }
    let series = Data(try file.readString("series").utf8)
    let records: EpochSeries
    do {
      records = try JSONDecoder.tolerant.decode(EpochSeries.self, from: series)
      for observer in observers { try observer.restoreSums(from: series) }
    } catch {
      throw Diagnostic(path, "its series are not those of a run")
    }
    for (name, values) in checkpointState { try file.read(name, into: values) }
    network.didRestoreState()
    learner.step = try file.attribute("step")
    if try file.attribute("diverged", as: Int.self) != 0 {
      let message = try file.hasAttribute("message") ? file.stringAttribute("message") : ""
      divergence = message.isEmpty ? "the loss of step \(step) is not finite" : message
    }
    network.areActivationQuantizersInitialized = try file.attribute("quantizers_initialized", as: Int.self) != 0
    epochs = records.epochs
    layerEpochs = records.layerEpochs
    if let flaw = restoredFlaw { throw Diagnostic(path, flaw) }
    return warnings
  }

  /// What no training by this specification leaves behind, of a state that was read from a file; nil: nothing.
  private var restoredFlaw: String? {
    guard (0...spec.totalSteps).contains(step) else { return "its step is \(step); allowed: 0 to \(spec.totalSteps)" }
    let isAtEnd = isDiverged || step == spec.totalSteps
    let (whole, rest) = step.quotientAndRemainder(dividingBy: batchesPerEpoch)
    let evaluated = step == spec.totalSteps && rest > 0 ? whole + 1 : whole
    // A run that diverges at the end of an epoch files nothing of it.
    guard epochs.count == evaluated || isDiverged && epochs.count + 1 == evaluated,
      epochs.map(\.epoch).elementsEqual(1..<epochs.count + 1),
      layerEpochs.count == epochs.count * network.convolutions.count
    else { return "its series have \(epochs.count) epochs where step \(step) ends \(evaluated)" }
    guard observers.allSatisfy({ $0.isPlausible(learner, isMidEpoch: rest > 0 && !isAtEnd) }) else {
      return "its sums are not those of \(step) steps"
    }
    // Training stops with the step that empties a range.
    if !isDiverged, network.areActivationQuantizersInitialized, let fault = network.emptyRange { return fault }
    return nil
  }

  /// All arrays and counts that the next step depends on, by their places in the file.
  private var checkpointState: [(name: String, values: StateValues)] {
    var state = network.state.compactMap { part in part.checkpointName.map { ($0, part.values) } }
    for entry in learner.optimizer.entries {
      if let first = entry.first { state.append(("optimizer/\(entry.parameter.name)/first", .floats(first))) }
      if let second = entry.second { state.append(("optimizer/\(entry.parameter.name)/second", .floats(second))) }
    }
    return state + observers.flatMap(\.state)
  }
}

extension LayerState {
  /// Its place in checkpoints; nil where it follows from the rest.
  fileprivate var checkpointName: String? {
    switch role {
    case .parameter, .quantizer: "parameters/\(fullName)"
    case .statistic: "statistics/\(layer)/\(name)"
    case .mask, .freezing: "freezing/\(layer)/\(name)"
    case .level: nil
    }
  }
}

extension HDF5Group {
  /// As they lie in memory; a counter is an attribute of the group that its name has it in.
  fileprivate func write(_ values: StateValues, to name: String) throws {
    switch values {
    case .floats(let buffer): try write(buffer, to: name)
    case .bytes(let buffer): try write(buffer, to: name)
    case .indices(let buffer): try write(buffer, to: name)
    case .integers(let buffer): try write(buffer, to: name)
    case .steps(let buffer): try write(buffer, to: name)
    case .counter(let get, _):
      let (group, attribute) = Self.split(name)
      try setAttribute(attribute, to: get(), on: group)
    case .derived: preconditionFailure("\(name) follows from other state")
    }
  }

  fileprivate func read(_ name: String, into values: StateValues) throws {
    switch values {
    case .floats(let buffer): try read(name, into: buffer)
    case .bytes(let buffer): try read(name, into: buffer)
    case .indices(let buffer): try read(name, into: buffer)
    case .integers(let buffer): try read(name, into: buffer)
    case .steps(let buffer): try read(name, into: buffer)
    case .counter(_, let set):
      let (group, attribute) = Self.split(name)
      set(try self.attribute(attribute, on: group))
    case .derived: preconditionFailure("\(name) follows from other state")
    }
  }

  private func write<Scalar: HDF5Scalar>(_ buffer: Buffer<Scalar>, to name: String) throws {
    try buffer.withUnsafeBufferPointer { try write($0, to: name, compressed: false) }
  }

  private func read<Scalar: HDF5Scalar>(_ name: String, into buffer: Buffer<Scalar>) throws {
    try buffer.withUnsafeMutableBufferPointer { try read(name, into: $0) }
  }

  private static func split(_ name: String) -> (group: String, attribute: String) {
    let parts = name.split(separator: "/")
    return (parts.dropLast().joined(separator: "/"), String(parts.last!))
  }
}

// MARK: The series as JSON: {"epochs": …, "layerEpochs": …, "progress": every observer's sums}

private struct EpochSeries: Codable {
  var epochs: [EpochRecord]
  var layerEpochs: [LayerEpochRecord]
}

private struct Series: Encodable {
  let session: TrainingSession

  init(_ session: TrainingSession) { self.session = session }

  private enum Key: CodingKey { case progress }

  func encode(to encoder: any Encoder) throws {
    try EpochSeries(epochs: session.epochs, layerEpochs: session.layerEpochs).encode(to: encoder)
    var container = encoder.container(keyedBy: Key.self)
    let progress = container.superEncoder(forKey: .progress)
    for observer in session.observers { try observer.sums.encode(to: progress) }
  }

  func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}

private struct Progress<Sums: Decodable>: Decodable {
  var progress: Sums
}

extension TrainingObserver {
  fileprivate func restoreSums(from series: Data) throws {
    sums = try JSONDecoder.tolerant.decode(Progress<Sums>.self, from: series).progress
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
