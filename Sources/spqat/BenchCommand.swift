public import ArgumentParser
public import Benchmarking
import Foundation
import Kernels
public import Quantization

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure this machine, the kernels and the training step.",
    subcommands: [StepBench.self])
}

struct StepBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "step", abstract: "Time the training step of ResNet-20 on random images.")

  @Option var recipe: Recipe = .spqat
  @Option var method: StepBenchmark.Method = .fullQAT
  @Option var bits = 2
  @Option var batch = 128
  @Option var threads = ProcessInfo.processInfo.activeProcessorCount
  @Option(name: .customLong("frozen")) var frozenShare = 0.6
  @Option var steps = 12
  @Option(name: .customLong("instruction-set")) var instructionSet: InstructionSet = .best

  func run() throws {
    let result = StepBenchmark(
      recipe: recipe, method: method, bits: bits, batch: batch, threads: threads, frozenShare: frozenShare
    ).run(steps: steps, instructionSet: instructionSet)
    print(
      String(
        format: "%.1f ms a step (%.1f to %.1f), %.0f images/s", result.milliseconds.median,
        result.milliseconds.lowerQuartile, result.milliseconds.upperQuartile, result.imagesPerSecond))
    for (part, milliseconds) in result.parts { print(String(format: "  %@ %.2f ms", "\(part)", milliseconds)) }
    for (layer, milliseconds) in result.weightGradientByLayer { print(String(format: "    %@ %.2f ms", layer, milliseconds)) }
  }
}

extension Recipe: ExpressibleByArgument {}
extension StepBenchmark.Method: ExpressibleByArgument {}
