import ArgumentParser
import Diagnostics
import Foundation
import Quantization
import Runs
import Tables
import Training

extension BenchCommand {
  struct Gradients: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Compare weight gradients in 16-bit integers with float32's, on the batches of an experiment's runs.",
      discussion: """
        Trains the quantized runs of the first seed with gradients in float32, without filing them. At some moments of each, both \
        gradients are formed from the run's weights and its next batch; the relative error of a layer is the Euclidean norm of \
        their difference over that of float32's. The full-precision runs that these start from have to be finished.
        """)

    @OptionGroup var options: ExperimentOptions
    @OptionGroup var output: Output
    @Option(help: "Comparisons in each run, evenly spread.") var moments = 20

    func validate() throws {
      guard (1...10_000).contains(moments) else {
        throw ValidationError("--moments is \(moments); allowed: 1 to 10000")
      }
    }

    func run() throws {
      Interruption.listen(endsAtSecond: true)
      let loaded = try options.load()
      let quantized = loaded.plan.runs.filter { $0.spec.quantization?.gradients == .float32 && $0.pair == nil }
      guard let seed = quantized.map(\.spec.seed).min() else {
        throw Diagnostic(options.config, "has no quantized run with gradients in float32 that pairs with no other")
      }
      let runs = quantized.filter { $0.spec.seed == seed }
      let check = GradientCheck(
        results: loaded.results, data: loaded.data, threads: options.threads, moments: moments)
      let progress = ProgressLine()
      defer { progress.finish() }
      var rows: [(label: String, layer: String, deviations: [GradientComparison.Deviation])] = []
      for run in runs where !Interruption.isRequested {
        let deviations = try check.deviations(
          in: run, onStep: { progress.update(run.label, done: $0.step, total: $0.totalSteps) },
          shouldStop: { Interruption.isRequested })
        var layers: [String] = []
        for deviation in deviations where !layers.contains(deviation.layer) { layers.append(deviation.layer) }
        rows += layers.map { layer in (run.label, layer, deviations.filter { $0.layer == layer }) }
      }
      progress.finish()
      let table = Self.table(rows)
      if !output.json {
        print(table.markdown())
        if let worst = rows.flatMap({ row in row.deviations.map { (row.label, $0) } })
          .max(by: { $0.1.relative < $1.1.relative })
        {
          let error = String(format: "%.2e", worst.1.relative)
          print("\nLargest relative error: \(error), \(worst.1.layer) after step \(worst.1.step) of \(worst.0)")
        }
      }
      try BenchCommand.finish([("gradients", table)], output)
      if let status = Interruption.exitStatus { throw ExitCode(status) }
    }

    private static func table(
      _ rows: [(label: String, layer: String, deviations: [GradientComparison.Deviation])]
    ) -> Table {
      let errors = rows.map { row in row.deviations.map { 1e6 * $0.relative }.sorted() }
      let medians = errors.map { $0[$0.count / 2] }
      let largest = errors.map { $0.last ?? .nan }
      let steps = rows.map { row in row.deviations.max { $0.relative < $1.relative }?.step ?? 0 }
      let elements = rows.map { row in 1e6 * (row.deviations.map(\.largest).max() ?? .nan) }
      return Table(
        title: "Weight gradients in 16-bit integers, relative to float32's",
        columns: [
          .init("run", .strings(rows.map(\.label))), .init("layer", .strings(rows.map(\.layer))),
          .init("moments", .integers(rows.map(\.deviations.count))),
          .init(
            "relative_error_median", unit: "1e-6", description: "Of the Euclidean norm", decimals: 1, .doubles(medians)),
          .init("relative_error_largest", unit: "1e-6", decimals: 1, .doubles(largest)),
          .init("step_of_largest", .integers(steps)),
          .init(
            "element_error_largest", unit: "1e-6", description: "Largest difference over largest gradient", decimals: 1,
            .doubles(elements)),
        ])
    }
  }
}
