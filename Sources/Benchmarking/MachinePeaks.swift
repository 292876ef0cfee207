public import Kernels
public import Tables

/// What a machine can do at best, to hold kernels against.
public struct MachinePeaks: Sendable {
  /// Floating-point operations a second of one core, in float32 multiply-adds on registers.
  public var operationsOfOneCore: Double
  /// Bytes a second, read and written together, of all threads copying what no cache holds.
  public var copyBandwidth: Double

  public init(operationsOfOneCore: Double, copyBandwidth: Double) {
    self.operationsOfOneCore = operationsOfOneCore
    self.copyBandwidth = copyBandwidth
  }

  /// Takes about two seconds.
  public init(measuring backend: CPUBackend) {
    self.init(operationsOfOneCore: backend.measurePeak(), copyBandwidth: backend.measureCopyBandwidth())
  }

  /// Operations a second of so many cores.
  public func operations(threads: Int) -> Double { operationsOfOneCore * Double(threads) }

  /// Operations a second that peak and bandwidth allow where each byte serves so many operations (Williams, Waterman and
  /// Patterson, "Roofline: an insightful visual performance model", 2009).
  public func roof(intensity: Double, threads: Int) -> Double {
    min(operations(threads: threads), intensity * copyBandwidth)
  }

  /// One row.
  public func table(threads: Int, instructionSet: InstructionSet) -> Table {
    Table(
      title: "This machine",
      columns: [
        .init("instruction_set", .strings([instructionSet.rawValue])), .init("threads", .integers([threads])),
        .init(
          "fma_peak", unit: "GFLOP/s", description: "Float32 multiply-adds on registers, one core", decimals: 1,
          .doubles([operationsOfOneCore / 1e9])),
        .init(
          "copy_bandwidth", unit: "GB/s", description: "Bytes read and written, all threads", decimals: 1,
          .doubles([copyBandwidth / 1e9])),
      ])
  }
}
