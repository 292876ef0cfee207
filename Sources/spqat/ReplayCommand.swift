public import ArgumentParser
import Foundation
public import Kernels
import Quantization
import Verification

struct ReplayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Take a reference trace's training steps and compare every number.",
    discussion: """
      Exit status 0: agrees; 1: does not; 2: the file is not a trace.
      """)

  @Argument(help: "A trace in format qat-reference-trace, version 1 (HDF5).")
  var trace: String

  @OptionGroup var machine: MachineOptions

  @Option(help: "Numbers of the weight gradients: float32 or int16.")
  var gradients: GradientArithmetic = .float32

  @Flag(help: "Print one JSON object instead of tables.")
  var json = false

  func run() throws {
    let report: ReplayReport
    do {
      let replay = try TraceReplay(
        trace: Trace(path: trace), gradients: gradients,
        backend: CPUBackend(threads: machine.threads, instructionSet: machine.instructionSet))
      if !json { printStepHeader() }
      report = try replay.run { step in
        if !json { printStep(step) }
      }
    } catch {
      printError("\(error)")
      throw ExitCode(2)
    }
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      encoder.nonConformingFloatEncodingStrategy = .convertToString(
        positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
      struct Verdict: Encodable {
        var agrees: Bool
        var report: ReplayReport
      }
      print(String(decoding: try encoder.encode(Verdict(agrees: report.agrees, report: report)), as: UTF8.self))
    } else {
      printRest(report)
    }
    if !report.agrees { throw ExitCode(1) }
  }

  private func printStepHeader() {
    print(
      "step         loss    reference   deviation  (float32)    allowed      frozen   reference  quantizers    allowed")
  }

  private func printStep(_ step: ReplayReport.Step) {
    print(
      String(
        format: "%4d %12.7f %12.7f   %9.2e  %9.2e  %9.2e  %10d  %10d   %9.2e  %9.2e  %@", step.step, step.loss,
        step.referenceLoss, step.lossDeviation, step.float32Deviation, step.lossTolerance, step.frozen,
        step.referenceFrozen, step.quantizerDeviation, step.quantizerTolerance,
        step.agrees ? "agrees" : "DIFFERS"))
  }

  private func line(_ comparison: ReplayReport.Comparison) -> String {
    let bound = comparison.tolerance.map { String(format: "allowed %.1e  ", $0) } ?? "not judged  "
    let verdict = comparison.agrees ? (comparison.tolerance == nil ? "" : "agrees") : "DIFFERS"
    return "  "
      + comparison.name.padding(toLength: max(34, comparison.name.count), withPad: " ", startingAt: 0)
      + String(format: " %9.2e  ", comparison.deviation) + bound + verdict
  }

  private func printRest(_ report: ReplayReport) {
    print("\nQuantizer values after initialization")
    printQuantizers(report.quantizerStart)
    print(line(report.quantizerStartDeviation))
    print("\nGradients of the first step, relative error")
    for comparison in report.firstGradients { print(line(comparison)) }
    print("\nQuantizer values after the last step")
    printQuantizers(report.finalQuantizers)
    print(line(report.quantizerChange))
    print("\nAt the end")
    print(line(report.finalMasks))
    for comparison in report.finalTensors.prefix(8) { print(line(comparison)) }
    if report.finalTensors.count > 8 {
      print("  (\(report.finalTensors.count - 8) tensors with smaller relative errors)")
    }
    print(line(report.evaluationLogits))
    if let moves = report.levelMoves {
      print(line(moves))
    } else {
      print("  level moves of frozen weights: \(report.levelMovesOfFrozenWeights), not in the trace")
    }
    print(
      "\n\(report.trace): \(report.agrees ? "agrees" : "DOES NOT AGREE") (\(report.instructionSet), \(report.threads) threads)"
    )
  }

  private func printQuantizers(_ values: [ReplayReport.QuantizerValue]) {
    for value in values {
      print(
        "  " + value.layer.padding(toLength: 22, withPad: " ", startingAt: 0)
          + value.column.padding(toLength: 18, withPad: " ", startingAt: 0)
          + String(format: "%14.8f %14.8f  %9.2e", value.value, value.reference, abs(value.value - value.reference)))
    }
  }
}

extension InstructionSet: ExpressibleByArgument {}
