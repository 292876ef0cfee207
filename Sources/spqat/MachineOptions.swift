import ArgumentParser
import Foundation
import Kernels

/// What to compute on; for commands whose results do not belong to a run.
struct MachineOptions: ParsableArguments {
  @Option(help: "Threads to compute with.")
  var threads = ProcessInfo.processInfo.activeProcessorCount

  @Option(
    name: .customLong("instruction-set"),
    help: "reference, portable, avx2, avx512 or neon; the best of this machine by default.")
  var instructionSet: InstructionSet = .best

  mutating func validate() throws {
    guard (1...1024).contains(threads) else { throw ValidationError("--threads is \(threads); allowed: 1 to 1024") }
    guard instructionSet.isAvailable else {
      throw ValidationError(
        "--instruction-set \(instructionSet.rawValue) is not available on this machine; "
          + "available: \(InstructionSet.available.map(\.rawValue).joined(separator: ", "))")
    }
  }
}
