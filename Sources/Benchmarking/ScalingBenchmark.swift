public import Kernels
import Networks
public import Tables
import Tensor

/// How a training step's time divides over cores: measured on those that are there, and computed from the seconds of every task
/// for those that are not.
public struct ScalingBenchmark: Sendable {
  /// The step; its threads do not count.
  public var step: StepBenchmark
  /// Numbers of cores, in the order of the rows.
  public var cores: [Int]
  /// Steps timed for each.
  public var steps: Int

  /// Measures nothing until `run`.
  public init(step: StepBenchmark, cores: [Int], steps: Int) {
    self.step = step
    self.cores = cores
    self.steps = steps
  }

  /// Of a number of cores.
  public struct Row: Codable, Sendable {
    /// For which the work is divided.
    public var cores: Int
    /// Milliseconds of the step as one thread takes it, the work being divided so.
    public var alone: Double
    /// Milliseconds of it outside all parallel sections.
    public var serial: Double
    /// Milliseconds of the longest tasks of all sections together.
    public var longest: Double
    /// Milliseconds that the cores need at least: the serial part, and the sections with every core busy as long as there are
    /// tasks.
    public var atLeast: Double
    /// How much faster than a step divided for one core, at most.
    public var speedUpAtMost: Double
    /// Bytes of weight gradients that are not yet added up, for all cores together.
    public var partialSumBytes: Int
    /// Milliseconds measured with so many threads; nil where the machine has fewer cores.
    public var measured: Double?
    /// How much faster than measured on one thread.
    public var speedUp: Double?
  }

  /// - Throws: `NetworkError` where the network does not take such images.
  public func run(
    onCores available: Int, instructionSet: InstructionSet = .best, progress: (Int) -> Void = { _ in }
  ) throws -> [Row] {
    var rows: [Row] = []
    for cores in cores {
      progress(cores)
      var benchmark = step
      benchmark.threads = cores
      let profiles = try benchmark.profile(steps: steps, instructionSet: instructionSet)
      func median(_ value: (StepBenchmark.Profile) -> Double) -> Double { Spread(profiles.map(value)).median * 1e3 }
      let atLeast = median { $0.serial + $0.tasks.seconds(onThreads: cores) }
      let measured =
        cores <= available
        ? try benchmark.run(steps: steps, instructionSet: instructionSet).milliseconds.median : nil
      rows.append(
        Row(
          cores: cores, alone: median(\.seconds), serial: median(\.serial), longest: median(\.tasks.longest),
          atLeast: atLeast, speedUpAtMost: (rows.first?.alone ?? median(\.seconds)) / atLeast,
          partialSumBytes: profiles[0].partialSumBytes, measured: measured,
          speedUp: measured.flatMap { measured in (rows.first.map(\.measured) ?? measured).map { $0 / measured } }))
    }
    return rows
  }

  /// A row for each number of cores.
  public static func table(_ rows: [Row], of step: StepBenchmark) -> Table {
    Table(
      title: "Scaling of a training step: \(step.architecture.name), \(step.method.rawValue), batch \(step.batch)",
      columns: [
        .init("cores", .integers(rows.map(\.cores))),
        .init(
          "ms_alone", unit: "ms", description: "The work divided for so many cores, on one of them", decimals: 2,
          .doubles(rows.map(\.alone))),
        .init(
          "ms_serial", unit: "ms", description: "Outside parallel sections", decimals: 3, .doubles(rows.map(\.serial))),
        .init(
          "serial_percent", unit: "%", description: "Of the step on one core", decimals: 2,
          .doubles(rows.map { 100 * $0.serial / rows[0].alone })),
        .init(
          "ms_longest", unit: "ms", description: "The longest task of every section", decimals: 2,
          .doubles(rows.map(\.longest))),
        .init(
          "ms_at_least", unit: "ms", description: "Computed from the tasks' times", decimals: 2,
          .doubles(rows.map(\.atLeast))),
        .init("speed_up_at_most", decimals: 2, .doubles(rows.map(\.speedUpAtMost))),
        .init(
          "partial_sums_mib", unit: "MiB", description: "Weight gradients not yet added up, of all cores", decimals: 1,
          .doubles(rows.map { Double($0.partialSumBytes) / 1_048_576 })),
        .init(
          "ms_measured", unit: "ms", description: "With so many threads", decimals: 2,
          .doubles(rows.map { $0.measured ?? .nan })),
        .init("speed_up", description: "Measured", decimals: 2, .doubles(rows.map { $0.speedUp ?? .nan })),
      ])
  }
}
