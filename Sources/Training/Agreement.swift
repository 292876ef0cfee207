import Diagnostics
public import Foundation
public import Kernels
import Networks
import Quantization
import Tensor

/// What processes that train together have to know of each other beside the sums: they go the same way in every step, or wait for
/// each other without end.
extension Communicator {
  /// Does what may fail on one process alone. Where it does, all processes throw the error of the first one that it failed on.
  public func together<Result>(_ body: () throws -> Result) throws -> Result {
    guard size > 1 else { return try body() }
    let result = Swift.Result(catching: body)
    let failed = first { if case .failure = result { true } else { false } }
    guard let failed else { return try result.get() }
    var message = Data()
    if failed == rank, case .failure(let error) = result {
      let fault = error as? Diagnostic ?? Diagnostic("process \(rank)", "\(error)")
      message = try JSONEncoder().encode(fault)
    }
    throw try JSONDecoder().decode(Diagnostic.self, from: broadcast(message, from: failed))
  }

  /// Gives all processes what one of them has.
  public func broadcast(_ data: Data, from root: Int = 0) -> Data {
    guard size > 1 else { return data }
    var count = data.count
    withUnsafeMutableBytes(of: &count) { broadcast($0, from: root) }
    var bytes = [UInt8](repeating: 0, count: count)
    if rank == root { bytes = Array(data) }
    bytes.withUnsafeMutableBytes { broadcast($0, from: root) }
    return Data(bytes)
  }

  /// The first process for which something is so; nil: it is for none.
  private func first(where condition: () -> Bool) -> Int? {
    var found = condition() ? rank : size
    var distance = 1
    while distance < size {
      var other = 0
      withUnsafeBytes(of: &found) { found in
        withUnsafeMutableBytes(of: &other) { exchange(found, receiving: $0, with: rank ^ distance) }
      }
      found = min(found, other)
      distance *= 2
    }
    return found < size ? found : nil
  }
}

extension TrainingSession {
  /// Those that train together; `NoMPI`: this process alone.
  public var processes: any Communicator { network.backend.processes }

  /// Whether the same weights are frozen on all processes, and the same steps done.
  /// - Throws: `Diagnostic` where they are not, on all of them.
  public func checkAgreement() throws {
    guard processes.size > 1 else { return }
    let own = stateHash
    var hash = own
    withUnsafeMutableBytes(of: &hash) { processes.broadcast($0, from: 0) }
    try processes.together {
      if hash != own {
        throw Diagnostic(
          "process \(processes.rank)", "other weights are frozen after step \(step) than on process 0",
          remedy: "start all processes with the same program on the same kind of processor")
      }
    }
  }

  /// FNV-1a of the step and the masks.
  private var stateHash: UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    withUnsafeBytes(of: step) { for byte in $0 { add(byte) } }
    for layer in network.convolutions {
      layer.freezing?.frozen.withUnsafeBufferPointer { for byte in $0 { add(byte) } }
    }
    return hash
  }
}
