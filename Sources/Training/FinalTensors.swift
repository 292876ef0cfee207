import Diagnostics
import Networks
import Records
import Tensor

extension Network {
  /// The state that outlives a run, by PyTorch's names and layouts: all of it but what decides over further freezing.
  func finalTensors() -> [NamedTensor] {
    state.compactMap { part in
      guard part.role != .freezing else { return nil }
      return NamedTensor(name: part.fullName, shape: part.shape, elements: part.elements)
    }
  }

  /// Takes over what `finalTensors` gave of the parts in `roles`.
  /// - Throws: `Diagnostic` that names the tensor that is missing, has another shape, or holds a
  ///   number that is not finite.
  func load(_ tensors: [NamedTensor], roles: Set<LayerState.Role>) throws {
    let byName = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    for part in state where roles.contains(part.role) {
      guard case .floats(let buffer) = part.values else { preconditionFailure("\(part.fullName) is read as floats") }
      guard let tensor = byName[part.fullName], case .float(let values) = tensor.elements else {
        throw Diagnostic(
          "network", "has no tensor '\(part.fullName)'; it was trained with another model")
      }
      guard tensor.shape == part.shape else {
        throw Diagnostic(
          "network",
          "its tensor '\(part.fullName)' has shape \(tensor.shape); expected \(part.shape)")
      }
      guard values.allSatisfy(\.isFinite) else {
        throw Diagnostic(
          "network", "its tensor '\(part.fullName)' holds numbers that are not finite")
      }
      part.restore(values, into: buffer)
    }
    didRestoreState()
  }
}

extension LayerState {
  /// In PyTorch's layout. Whole numbers that fit are bytes.
  fileprivate var elements: NamedTensor.Elements {
    switch values {
    case .floats(let buffer): return .float(export(buffer))
    case .bytes(let buffer): return .uint8(export(buffer))
    case .derived(let compute):
      let levels = export(compute())
      // Eight bits of a learned range exceed a signed byte.
      let fitsByte = levels.allSatisfy { $0 >= -128 && $0 <= 127 }
      return fitsByte ? .int8(levels.map { Int8($0) }) : .float(levels)
    case .indices, .integers, .steps, .counter: preconditionFailure("\(fullName) is no tensor of a finished run")
    }
  }
}
