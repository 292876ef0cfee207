public import Kernels
import Networks
import Quantization
public import Tables
import Tensor

/// How long a training step would take on so many machines with so many cores each: computed from the tasks of a step on this
/// machine and from the sums that would travel.
///
/// Each machine has one process, with its part of the batch's slices and all of the weights. Assumed: cores as fast as this
/// machine's, memory that keeps up with them, images that are ready in time, and sums that are exchanged one after the other,
/// in log2(machines) rounds of latency + bytes / bandwidth each, while nothing is computed.
public struct ScalingEstimate: Sendable {
  /// The step of the whole batch; its threads do not count.
  public var step: StepBenchmark
  /// Of each machine.
  public var cores: Int
  /// Machines: a power of two, at most as many as the batch has slices.
  public var nodes: Int
  /// 10^9 bits a second, in each direction at once.
  public var networkGbps: Double
  /// Of one exchange between two machines.
  public var latencyMicroseconds: Double

  /// Measures nothing until `run`.
  public init(
    step: StepBenchmark, cores: Int, nodes: Int, networkGbps: Double, latencyMicroseconds: Double
  ) {
    self.step = step
    self.cores = cores
    self.nodes = nodes
    self.networkGbps = networkGbps
    self.latencyMicroseconds = latencyMicroseconds
  }

  /// Of one step.
  public struct Result: Codable, Sendable {
    /// Images of the batch that a machine has, at most.
    public var imagesPerNode: Int
    /// Milliseconds of one core for a machine's part: serial work and tasks.
    public var alone: Double
    /// Milliseconds of a machine's cores: as `ScalingBenchmark.Row.atLeast`, times `efficiency`.
    public var compute: Double
    /// What the same images took on this machine's cores, over what their tasks say that they take at least: 1 or more.
    public var efficiency: Double
    /// Exchanges of sums.
    public var exchanges: Int
    /// Bytes that each machine sends in all rounds.
    public var bytes: Int
    /// Milliseconds of the exchanges.
    public var exchange: Double

    /// Milliseconds of the step.
    public var milliseconds: Double { compute + exchange }
  }

  /// The sums that are exchanged once each in a step: bytes of each.
  ///
  /// Batch norm: Σ x and Σ x² of each channel in doubles, then Σ g and Σ g·x with two sums a quantizer; a layer's weight
  /// gradient: a float an unfrozen weight.
  static func exchanges(of network: Network, frozenShare: Double) -> [Int] {
    var exchanges = [8]  // the loss
    for layer in network.layers {
      if let layer = layer as? Convolution {
        let share = layer.freezing == nil || layer.weightQuantizer?.needsDenseGradient == true ? 0 : frozenShare
        let unfrozen = Int((Double(layer.shape.weightCount) * (1 - share)).rounded(.up))
        if unfrozen > 0 { exchanges.append(4 * unfrozen) }
        if let bias = layer.bias { exchanges.append(16 * bias.value.count) }
      }
      if let layer = layer as? BatchNormalization {
        exchanges += [16 * layer.input.channels, 16 * layer.input.channels + 16 * layer.output.copies.count]
      }
    }
    return exchanges
  }

  /// - Throws: `NetworkError` where the network does not take such images.
  public func run(
    steps: Int, onCores available: Int, instructionSet: InstructionSet = .best, progress: (String) -> Void = { _ in }
  ) throws -> Result {
    precondition(nodes >= 1 && nodes.nonzeroBitCount == 1 && nodes <= BatchTree(images: step.batch).leaves)
    var share = step
    share.batch = (step.batch + nodes - 1) / nodes
    func atLeast(_ cores: Int, _ benchmark: StepBenchmark) throws -> (alone: Double, atLeast: Double) {
      var benchmark = benchmark
      benchmark.threads = cores
      let profiles = try benchmark.profile(steps: steps, instructionSet: instructionSet)
      return (
        Spread(profiles.map(\.seconds)).median * 1e3,
        Spread(profiles.map { $0.serial + $0.tasks.seconds(onThreads: cores) }).median * 1e3
      )
    }
    progress("a machine's part on \(cores) cores")
    let (alone, computed) = try atLeast(cores, share)
    progress("this machine's \(available) cores")
    var here = share
    here.threads = available
    let measured = try here.run(steps: steps, instructionSet: instructionSet).milliseconds.median
    let efficiency = max(1, measured / (try atLeast(available, share).atLeast))
    let network = try step.makeNetwork(instructionSet)
    let exchanges = Self.exchanges(of: network, frozenShare: step.method == .freeze ? step.frozenShare : 0)
    let rounds = nodes.trailingZeroBitCount
    let bytes = rounds * exchanges.reduce(0, +)
    let seconds =
      Double(rounds * exchanges.count) * latencyMicroseconds * 1e-6 + Double(bytes) * 8 / (networkGbps * 1e9)
    return Result(
      imagesPerNode: share.batch, alone: alone, compute: computed * efficiency, efficiency: efficiency,
      exchanges: nodes == 1 ? 0 : exchanges.count, bytes: bytes, exchange: seconds * 1e3)
  }

  /// One row for each step, with what a run of so many steps would take.
  public static func table(_ rows: [(estimate: ScalingEstimate, result: Result)], stepsOfRun: Int) -> Table {
    Table(
      title: "Computed, not measured: \(stepsOfRun) steps on other machines",
      columns: [
        .init("model", .strings(rows.map(\.estimate.step.architecture.name))),
        .init("method", .strings(rows.map(\.estimate.step.method.rawValue))),
        .init("frozen_share", decimals: 2, .doubles(rows.map(\.estimate.step.frozenShare))),
        .init("batch", .integers(rows.map(\.estimate.step.batch))),
        .init("nodes", .integers(rows.map(\.estimate.nodes))),
        .init("cores", description: "Of each", .integers(rows.map(\.estimate.cores))),
        .init(
          "ms_one_core", unit: "ms", description: "A machine's part", decimals: 1, .doubles(rows.map(\.result.alone))),
        .init("ms_compute", unit: "ms", description: "On its cores", decimals: 2, .doubles(rows.map(\.result.compute))),
        .init(
          "kib_sent", unit: "KiB", description: "By each machine", decimals: 0,
          .doubles(rows.map { Double($0.result.bytes) / 1024 })),
        .init("ms_exchange", unit: "ms", decimals: 2, .doubles(rows.map(\.result.exchange))),
        .init("ms_step", unit: "ms", decimals: 2, .doubles(rows.map(\.result.milliseconds))),
        .init(
          "images_per_second", decimals: 0,
          .doubles(rows.map { Double($0.estimate.step.batch) / $0.result.milliseconds * 1e3 })),
        .init(
          "hours", unit: "h", description: "Of the run's training steps", decimals: 2,
          .doubles(rows.map { Double(stepsOfRun) * $0.result.milliseconds / 3.6e6 })),
      ])
  }
}
