public import ArgumentParser
public import Benchmarking
import Foundation
import Host
import Kernels
import Networks
public import Quantization
public import Recipes
import Reporting
import Storage
import Tables

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure this machine, the kernels and the training step.",
    discussion: """
      Let nothing else run meanwhile. Ratios within one run hold; absolute figures move with the machine.
      """,
    subcommands: [Everything.self, Kernels.self, Step.self, Scaling.self, Thresholds.self, Gradients.self],
    defaultSubcommand: Everything.self)

  struct Output: ParsableArguments {
    @Flag(help: "Print one JSON object instead of tables.")
    var json = false

    @Option(help: "Also write the tables to this HDF5 file.")
    var output: String?
  }
}

// MARK: The whole benchmark

extension BenchCommand {
  struct Everything: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "all", abstract: "Machine, kernels of three networks, and the training step in many settings.")

    @OptionGroup var machine: MachineOptions
    @OptionGroup var output: Output
    @Option(help: "Repetitions of every measurement.") var repetitions = 9

    func run() throws {
      let peaks = MachinePeaks(measuring: machine)
      let machineTable = peaks.table(threads: machine.threads, instructionSet: machine.instructionSet)
      var tables = [("machine", machineTable)]
      if !output.json { print(machineTable.markdown()) }
      for network in KernelBenchmark.Network.allCases {
        let table = KernelBenchmark(
          network: network, threads: machine.threads, repetitions: repetitions, instructionSet: machine.instructionSet
        ).run(on: peaks)
        tables.append(("kernels_\(network.rawValue)", table))
        if !output.json { print(table.markdown()) }
      }
      let steps = try measureSteps()
      tables.append(("steps", steps))
      if !output.json { print(steps.markdown()) }
      try BenchCommand.finish(tables, output)
    }

    /// One process a setting, so that its peak of resident memory is its own.
    private func measureSteps() throws -> Table {
      var results: [StepReport] = []
      for recipe in Recipe.all {
        var settings: [(StepBenchmark.Method, Int, Double)] = [(.fullPrecision, 2, 0)]
        for bits in [2, 4] { settings.append((.fullQAT, bits, 0)) }
        for share in [0, 0.3, 0.6, 0.9] { settings.append((.freeze, 2, share)) }
        for (method, bits, share) in settings {
          for batch in method == .fullQAT && bits == 2 ? [128, 256] : [128] {
            results.append(try runStep(recipe, method, bits, share, batch))
          }
        }
      }
      return StepReport.table(results)
    }

    private func runStep(
      _ recipe: Recipe, _ method: StepBenchmark.Method, _ bits: Int, _ share: Double, _ batch: Int
    ) throws -> StepReport {
      let arguments = [
        "bench", "step", "--recipe", recipe.name, "--method", method.rawValue, "--bits", "\(bits)", "--frozen",
        "\(share)", "--batch", "\(batch)", "--steps", "\(repetitions)", "--threads", "\(machine.threads)",
        "--instruction-set", machine.instructionSet.rawValue, "--json",
      ]
      let result = try Subprocess.run(Subprocess.itself, arguments)
      guard result.succeeded else {
        throw Subprocess.StartError(
          description: "'bench step' failed: \(result.errors.isEmpty ? result.ending.description : result.errors)")
      }
      return try JSONDecoder().decode(StepReport.self, from: result.output)
    }
  }

  /// Writes what `--json` and `--output` ask for.
  static func finish(_ tables: [(String, Table)], _ output: Output) throws {
    if output.json {
      var object: [String: Any] = [:]
      for (name, table) in tables { object[name] = table.rows }
      let data = try JSONSerialization.data(withJSONObject: object, options: [.prettyPrinted, .sortedKeys])
      print(String(decoding: data, as: UTF8.self))
    }
    if let path = output.output {
      do {
        try HDF5File.writeAtomically(to: path) { file in
          for (name, table) in tables { try file.write(table, to: name) }
        }
      } catch {
        printError("\(error)")
        throw ExitCode(2)
      }
    }
  }
}

// MARK: Kernels

extension BenchCommand {
  struct Kernels: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Time every convolution kernel on a network's shapes, against peak, reference and dense kernel.")

    @OptionGroup var machine: MachineOptions
    @OptionGroup var output: Output
    @Option(help: "resnet20 (batch 128), resnet18 or mobilenetv2 (batch 8).") var network: KernelBenchmark.Network =
      .resnet20
    @Option(help: "Repetitions of every measurement.") var repetitions = 15

    @Option(help: "Also draw each kernel below this machine's roofs, in this folder.") var roofline: String?

    func run() throws {
      let peaks = MachinePeaks(measuring: machine)
      let machineTable = peaks.table(threads: machine.threads, instructionSet: machine.instructionSet)
      let table = KernelBenchmark(
        network: network, threads: machine.threads, repetitions: repetitions, instructionSet: machine.instructionSet
      ).run(on: peaks)
      if !output.json { print(machineTable.markdown(), table.markdown(), separator: "\n") }
      try BenchCommand.finish([("machine", machineTable), ("kernels_\(network.rawValue)", table)], output)
      guard let roofline else { return }
      do {
        try Roofline(
          kernels: table, operations: peaks.operations(threads: machine.threads), bandwidth: peaks.copyBandwidth,
          name: "roofline-\(network.rawValue)"
        ).write(to: roofline)
      } catch {
        printError("\(error)")
        throw ExitCode(2)
      }
    }
  }
}

extension MachinePeaks {
  fileprivate init(measuring machine: MachineOptions) {
    self.init(measuring: CPUBackend(threads: machine.threads, instructionSet: machine.instructionSet))
  }
}

// MARK: Thresholds

extension BenchCommand {
  struct Thresholds: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Find the frozen share from which the sparse weight gradient beats the dense one, by shape.")

    @OptionGroup var machine: MachineOptions
    @OptionGroup var output: Output
    @Option(help: "Numbers of the weight gradients: float32 or int16.")
    var gradients: GradientArithmetic = .float32
    @Option(help: "Repetitions of every measurement.") var repetitions = 9

    func run() throws {
      var tables: [(String, Table)] = []
      for network in KernelBenchmark.Network.allCases {
        let table = KernelBenchmark(
          network: network, threads: machine.threads, repetitions: repetitions, instructionSet: machine.instructionSet
        ).breakEven(gradients: gradients)
        tables.append(("thresholds_\(network.rawValue)", table))
        if !output.json { print(table.markdown()) }
      }
      try BenchCommand.finish(tables, output)
    }
  }
}

// MARK: Scaling

extension BenchCommand {
  struct Scaling: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Find how much faster more cores make a training step: measured, and computed from its tasks.",
      discussion: """
        Every task of the step is timed on one thread, with the work divided for each number of cores. What lies outside tasks, \
        and a section's longest task, bound the speed-up; passing work on is not counted.
        """)

    @OptionGroup var machine: MachineOptions
    @OptionGroup var setting: StepOptions
    @OptionGroup var output: Output
    @Option(parsing: .upToNextOption, help: "Numbers of cores.") var cores = [1, 2, 4, 16, 64]
    @Option(help: "Steps to time for each, after some to warm up.") var steps = 15

    mutating func validate() throws {
      guard steps >= 1 else { throw ValidationError("--steps is \(steps); allowed: 1 or more") }
      for count in cores where !(1...256).contains(count) {
        throw ValidationError("--cores has \(count); allowed: 1 to 256")
      }
      guard cores.first == 1 else {
        throw ValidationError("--cores begins with \(cores.first.map(String.init) ?? "nothing"); the first has to be 1")
      }
    }

    func run() throws {
      let step = setting.benchmark(threads: 1)
      do {
        let rows = try ScalingBenchmark(step: step, cores: cores, steps: steps).run(
          onCores: machine.threads, instructionSet: machine.instructionSet)
        let table = ScalingBenchmark.table(rows, of: step)
        if !output.json { print(table.markdown()) }
        try BenchCommand.finish([("scaling", table)], output)
      } catch let error as NetworkError {
        printError("\(error)")
        throw ExitCode(2)
      }
    }
  }
}

// MARK: Training step

extension BenchCommand {
  struct Step: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Time the training step of a network on random images.")

    @OptionGroup var machine: MachineOptions
    @OptionGroup var setting: StepOptions
    @Option(help: "Steps to time, after three to warm up.") var steps = 15
    @Flag(help: "Print one JSON object.") var json = false
    @Flag(help: "Also print the weight gradient by layer.") var layers = false

    mutating func validate() throws {
      guard steps >= 1 else { throw ValidationError("--steps is \(steps); allowed: 1 or more") }
    }

    func run() throws {
      let benchmark = setting.benchmark(threads: machine.threads)
      let result: StepBenchmark.Result
      do {
        result = try benchmark.run(steps: steps, instructionSet: machine.instructionSet)
      } catch {
        printError("\(error)")
        throw ExitCode(2)
      }
      let report = StepReport(
        model: benchmark.architecture.name, size: benchmark.imageSide, recipe: benchmark.recipe.name,
        method: benchmark.method.rawValue, bits: benchmark.method == .fullPrecision ? 32 : benchmark.bits,
        batch: benchmark.batch, threads: machine.threads, instructionSet: machine.instructionSet.rawValue,
        frozenShare: benchmark.frozenShare, milliseconds: result.milliseconds.median,
        minimum: result.milliseconds.minimum,
        lowerQuartile: result.milliseconds.lowerQuartile, upperQuartile: result.milliseconds.upperQuartile,
        imagesPerSecond: result.imagesPerSecond,
        parts: Dictionary(uniqueKeysWithValues: result.parts.map { ("\($0.part)", $0.milliseconds) }),
        peakMiB: StepReport.peakResidentMiB())
      if json {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        print(String(decoding: try encoder.encode(report), as: UTF8.self))
      } else {
        print(StepReport.table([report]).markdown())
        if layers {
          for (layer, milliseconds) in result.weightGradientByLayer {
            print(layer.padding(toLength: 24, withPad: " ", startingAt: 0) + String(format: "%8.2f ms", milliseconds))
          }
        }
      }
    }
  }

  /// What step is measured.
  struct StepOptions: ParsableArguments {
    @Option(help: "\(Recipe.names.joined(separator: " or ")).") var recipe = Recipe.all[0]
    @Option(help: "fullPrecision, fullQAT or freeze.") var method: StepBenchmark.Method = .fullQAT
    @Option(help: "Bits of weights and activations, 2 to 8.") var bits = 2
    @Option(help: "The network, such as resnet18.") var model: ModelSpec.Architecture = .resnet20
    @Option(help: "Side of an image in pixels (default: 32, or 224 of networks for ImageNet).") var size: Int?
    @Option(help: "Classes to tell apart (default: 10, or 1000 of networks for ImageNet).") var classes: Int?
    @Option(help: "Images a step (default: 128, or 32 of networks for ImageNet).") var batch: Int?
    @Option(name: .customLong("frozen"), help: "Share of every layer frozen at random, for --method freeze.")
    var frozenShare = 0.6
    @Option(name: .customLong("range-gradient"), help: "dense or unfrozen, for recipes that learn weight ranges.")
    var rangeGradient: RangeGradient = .unfrozen
    @Option(help: "Numbers of the weight gradients: float32 or int16.")
    var gradients: GradientArithmetic = .float32

    mutating func validate() throws {
      guard (2...8).contains(bits) else { throw ValidationError("--bits is \(bits); allowed: 2 to 8") }
      if let size, !(4...4096).contains(size) { throw ValidationError("--size is \(size); allowed: 4 to 4096") }
      if let classes, !(2...1_000_000).contains(classes) {
        throw ValidationError("--classes is \(classes); allowed: 2 to 1000000")
      }
      if let batch, !(1...65_536).contains(batch) { throw ValidationError("--batch is \(batch); allowed: 1 to 65536") }
      guard (0...1).contains(frozenShare) else { throw ValidationError("--frozen is \(frozenShare); allowed: 0 to 1") }
    }

    func benchmark(threads: Int) -> StepBenchmark {
      StepBenchmark(
        recipe: recipe, method: method, bits: bits, batch: batch ?? (model.imageSide > 32 ? 32 : 128),
        threads: threads, frozenShare: method == .freeze ? frozenShare : 0, rangeGradient: rangeGradient,
        gradients: gradients, architecture: model, imageSide: size, classes: classes)
    }
  }

  /// One setting of the training step, as `bench step --json` prints it.
  struct StepReport: Codable {
    var model: String
    /// Side of an image in pixels.
    var size: Int
    var recipe: String
    var method: String
    var bits: Int
    var batch: Int
    var threads: Int
    var instructionSet: String
    var frozenShare: Double
    var milliseconds: Double
    var minimum: Double
    var lowerQuartile: Double
    var upperQuartile: Double
    var imagesPerSecond: Double
    /// Milliseconds by part of the step.
    var parts: [String: Double]
    var peakMiB: Double

    static func peakResidentMiB() -> Double {
      var usage = rusage()
      #if canImport(Darwin)
        getrusage(RUSAGE_SELF, &usage)
        return Double(usage.ru_maxrss) / 1_048_576
      #else
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Double(usage.ru_maxrss) / 1024
      #endif
    }

    static func table(_ reports: [StepReport]) -> Table {
      func part(_ name: String, _ heading: String, _ description: String) -> Table.Column {
        .init(
          "ms_\(heading)", unit: "ms", description: description, decimals: 1,
          .doubles(reports.map { $0.parts[name] ?? .nan }))
      }
      return Table(
        title: "Training step on random images",
        columns: [
          .init("model", .strings(reports.map(\.model))), .init("size", unit: "px", .integers(reports.map(\.size))),
          .init("recipe", .strings(reports.map(\.recipe))), .init("method", .strings(reports.map(\.method))),
          .init("bits", .integers(reports.map(\.bits))), .init("batch", .integers(reports.map(\.batch))),
          .init("frozen_share", decimals: 2, .doubles(reports.map(\.frozenShare))),
          .init("ms_step", unit: "ms", description: "Median", decimals: 1, .doubles(reports.map(\.milliseconds))),
          .init("ms_minimum", unit: "ms", decimals: 1, .doubles(reports.map(\.minimum))),
          .init("ms_lower_quartile", unit: "ms", decimals: 1, .doubles(reports.map(\.lowerQuartile))),
          .init("ms_upper_quartile", unit: "ms", decimals: 1, .doubles(reports.map(\.upperQuartile))),
          .init("images_per_second", decimals: 0, .doubles(reports.map(\.imagesPerSecond))),
          part("forward", "forward", "Convolutions, forward"),
          part("inputGradient", "input_gradient", "Gradients of inputs"),
          part("weightGradient", "weight_gradient", "Gradients of weights"),
          part("normalizationAndQuantization", "normalization", "Batch norm, ReLU, quantization, pooling, freezing"),
          part("optimizer", "optimizer", "Updates"),
          .init(
            "peak_mib", unit: "MiB", description: "Peak resident memory", decimals: 0, .doubles(reports.map(\.peakMiB))),
        ])
    }
  }
}

extension Table {
  /// One dictionary a row, for JSON; what is not finite becomes null.
  fileprivate var rows: [[String: Any]] {
    (0..<rowCount).map { row in
      var result: [String: Any] = [:]
      for column in columns {
        switch column.values {
        case .integers(let values): result[column.name] = values[row]
        case .doubles(let values): result[column.name] = values[row].isFinite ? values[row] : NSNull()
        case .floats(let values): result[column.name] = values[row].isFinite ? Double(values[row]) : NSNull()
        case .booleans(let values): result[column.name] = values[row]
        case .strings(let values): result[column.name] = values[row]
        }
      }
      return result
    }
  }
}

extension Recipe: ExpressibleByArgument {
  /// nil where no recipe has this name, spelled exactly so.
  public init?(argument: String) { self.init(named: argument) }
  /// As help shows a default: the name that the command line takes.
  public var defaultValueDescription: String { name }
  /// Every recipe's name, for help, completion and errors; the default comes first.
  public static var allValueStrings: [String] { names }
}
extension RangeGradient: ExpressibleByArgument {}
extension GradientArithmetic: ExpressibleByArgument {}
extension StepBenchmark.Method: ExpressibleByArgument {}
extension KernelBenchmark.Network: ExpressibleByArgument {}
