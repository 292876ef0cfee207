import ArgumentParser
import Benchmarking
import Configuration
import Datasets
import Diagnostics
import Foundation
import Kernels
import Networks
import Quantization
import Tables
import Training

/// What a run of an experiment would take on machines that are not here.
struct EstimateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "estimate",
    abstract: "Compute how long an experiment's runs would take on other machines, from a step on this one.",
    discussion: """
      Times every task of the step here, divides them over the cores, and adds the sums that machines would exchange. Assumes \
      cores as fast as these, memory that keeps up with them and images that are ready in time: a lower bound more than a \
      forecast where cores are many. Let nothing else run meanwhile.
      """)

  @Argument(help: ArgumentHelp("The experiment, such as configs/imagenet-resnet18.json.", valueName: "config"))
  var config: String
  @Option(help: "Which of the file's profiles to use (default: quick, where there is one).") var profile: String?
  @Option(name: .customLong("set"), help: ArgumentHelp("Override a value; may be repeated.", valueName: "path=value"))
  var overrides: [String] = []
  @Option(help: "Cores of each machine.") var cores = ProcessInfo.processInfo.activeProcessorCount
  @Option(help: "Machines: a power of two.") var nodes = 1
  @Option(name: .customLong("network-gbps"), help: "Of the network, each way, in 10^9 bits a second.")
  var networkGbps = 100.0
  @Option(name: .customLong("latency-us"), help: "Of one exchange between two machines, in microseconds.")
  var latency = 5.0
  @Option(help: "Training images (default: those of CIFAR-10 or ImageNet, or the file's subset).") var images: Int?
  @Option(name: .customLong("frozen"), help: "Share of frozen weights for the runs that freeze.") var frozenShare = 0.6
  @Option(help: "Steps to time, after some to warm up.") var steps = 5
  @OptionGroup var machine: MachineOptions
  @OptionGroup var output: BenchCommand.Output

  mutating func validate() throws {
    guard (1...1024).contains(cores) else { throw ValidationError("--cores is \(cores); allowed: 1 to 1024") }
    guard nodes >= 1, nodes.nonzeroBitCount == 1, nodes <= 64 else {
      throw ValidationError("--nodes is \(nodes); allowed: 1, 2, 4, 8, 16, 32 or 64")
    }
    guard networkGbps > 0, networkGbps.isFinite else {
      throw ValidationError("--network-gbps is \(networkGbps); allowed: above 0")
    }
    guard latency >= 0, latency.isFinite else {
      throw ValidationError("--latency-us is \(latency); allowed: 0 or more")
    }
    if let images, images < 1 { throw ValidationError("--images is \(images); allowed: 1 or more") }
    guard (0...1).contains(frozenShare) else { throw ValidationError("--frozen is \(frozenShare); allowed: 0 to 1") }
    guard steps >= 1 else { throw ValidationError("--steps is \(steps); allowed: 1 or more") }
  }

  func run() throws {
    let experiment = try Experiment.load(
      file: config, profile: profile, overrides: overrides.map { try Experiment.Override(argument: $0) })
    let settings = experiment.points[0].settings
    let architecture = settings.architecture
    let count = images ?? settings.subset ?? (architecture.imageSide > 32 ? 1_281_167 : 50_000)
    let batch = min(settings.training.spec.batchSize, count)
    let slices = BatchTree(images: batch).leaves
    guard nodes <= slices else {
      throw Diagnostic(
        config, at: "batchSize",
        "a batch of \(batch) has \(slices) slices, which \(nodes) machines cannot share; --nodes \(slices) at most")
    }
    let dropsLast = settings.training.spec.dropLastPartialBatch
    let stepsPerEpoch = max(1, dropsLast ? count / batch : (count + batch - 1) / batch)
    let stepsOfRun = settings.training.duration.steps(stepsPerEpoch: stepsPerEpoch, of: 0)
    let side = settings.training.spec.images?.side
    let methods: [StepBenchmark.Method] = [.fullPrecision, .fullQAT, .freeze]
    let progress = ProgressLine()
    defer { progress.finish() }
    var rows: [(ScalingEstimate, ScalingEstimate.Result)] = []
    for (number, method) in methods.enumerated() {
      let step = StepBenchmark(
        recipe: settings.recipe, method: method, bits: settings.weightBits, batch: batch, threads: 1,
        frozenShare: method == .freeze ? frozenShare : 0, rangeGradient: settings.rangeGradient,
        gradients: settings.gradients, architecture: architecture, imageSide: side, classes: nil)
      let estimate = ScalingEstimate(
        step: step, cores: cores, nodes: nodes, networkGbps: networkGbps, latencyMicroseconds: latency)
      progress.update("timing steps", done: number, total: methods.count)
      do {
        rows.append(
          (estimate, try estimate.run(steps: steps, onCores: machine.threads, instructionSet: machine.instructionSet)))
      } catch let error as NetworkError {
        throw Diagnostic(config, "\(error)")
      }
    }
    progress.finish()
    let table = ScalingEstimate.table(rows, stepsOfRun: stepsOfRun)
    if !output.json {
      print(table.markdown())
      print(
        "\nFrom \(machine.threads) core\(machine.threads == 1 ? "" : "s") of this machine (\(machine.instructionSet.rawValue)), whose steps took "
          + "\(rows.map { String(format: "%.2f", $0.1.efficiency) }.joined(separator: ", ")) times what their tasks need at least. "
          + "Assumed: \(count) training images, \(stepsPerEpoch) steps an epoch; machines with cores and memory like these; images ready "
          + "in time; \(networkGbps) Gbit/s, \(latency) µs an exchange, nothing computed meanwhile.")
    }
    try BenchCommand.finish([("estimate", table)], output)
  }
}
