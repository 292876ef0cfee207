import ArgumentParser
import Configuration
import Datasets
import Diagnostics
import Foundation
import Networks
import Records
import Runs
import Training

/// Where runs and data are, and what to compute with.
struct PlaceOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Where results are kept.", valueName: "dir"))
  var results = "results"

  @Option(help: ArgumentHelp("Where imported data sets are.", valueName: "dir"))
  var datasets = "datasets"

  @Option(help: "Threads to compute with (default: all cores; under mpirun each process's part of them).")
  var threads = MPI.threads

  func validate() throws {
    guard (1...1024).contains(threads) else { throw ValidationError("--threads is \(threads); allowed: 1 to 1024") }
  }
}

/// What every command on an experiment takes.
struct ExperimentOptions: ParsableArguments {
  @Argument(help: ArgumentHelp("The experiment, such as configs/table2.json.", valueName: "config"))
  var config: String

  @Option(help: "Which of the file's profiles to use (default: quick, where there is one).")
  var profile: String?

  @Option(name: .customLong("set"), help: ArgumentHelp("Override a value; may be repeated.", valueName: "path=value"))
  var overrides: [String] = []

  @Option(
    help: ArgumentHelp(
      "Only runs whose label contains this (numbers whole), matches it with * and ?, or whose id begins so (four "
        + "characters at least); may be repeated.",
      valueName: "pattern"))
  var only: [String] = []

  @OptionGroup var place: PlaceOptions
  var results: String { place.results }
  var datasets: String { place.datasets }
  var threads: Int { place.threads }

  /// The experiment, its data and its runs.
  func load(quietly: Bool = false) throws -> LoadedExperiment {
    let experiment = try Experiment.load(
      file: config, profile: profile, overrides: overrides.map { try Experiment.Override(argument: $0) })
    let progress = ProgressLine()
    defer { progress.finish() }
    let data = try ExperimentData(
      experiment.dataset, pictures: experiment.pictures, file: config, folder: datasets, threads: threads
    ) { done, total in if !quietly { progress.update("decoding images", done: done, total: total) } }
    let plan = try RunPlan(experiment, data: data.summary).selecting(only)
    guard !plan.runs.isEmpty else {
      let labels = try RunPlan(experiment, data: data.summary).runs.map(\.label)
      throw Diagnostic(
        config,
        "no run matches \(only.joined(separator: ", ")); labels are such as '\(labels.last ?? "")'")
    }
    return LoadedExperiment(
      experiment: experiment, data: data, plan: plan, results: ResultsDirectory(root: results, name: experiment.name))
  }

  /// The arguments that select the same runs in another process, after the command's name.
  var commandArguments: [String] {
    var arguments = [config, "--results", results, "--datasets", datasets]
    if let profile { arguments += ["--profile", profile] }
    for override in overrides { arguments += ["--set", override] }
    return arguments
  }
}

struct LoadedExperiment {
  var experiment: Experiment
  var data: ExperimentData
  var plan: RunPlan
  var results: ResultsDirectory

  /// For tables: what it is, on what data, how much of the authors' schedule.
  var caption: String {
    let name = data.summary.name
    let isSubstitute = experiment.dataset == "default" && name != "cifar10"
    let profile = experiment.profile.map { ", profile \($0)" } ?? ""
    return "\(experiment.title), on \(name)\(isSubstitute ? " (CIFAR-10 is not imported)" : "")\(profile)"
  }

  /// From the planned runs that are finished, here or under another experiment.
  func estimate(threads: Int) -> RunEstimate {
    let rates = plan.runs.compactMap { run -> Double? in
      guard
        let record = (try? results.record(run.id, includingTensors: false))
          ?? results.finishedElsewhere(run.id)?.record,
        record.outcome.status == .finished, record.provenance.threads == threads,
        record.provenance.processes ?? 1 == MPI.launchedProcesses()
      else { return nil }
      let seconds = record.epochs.reduce(0) { $0 + $1.seconds.total - $1.seconds.evaluation }
      return seconds > 0 ? Double(record.outcome.images) / seconds : nil
    }
    let model = plan.runs[0].spec.model
    return RunEstimate(measured: rates, threads: threads, height: model.inputHeight, width: model.inputWidth)
  }
}

/// The command as typed, for provenance and "how to rerun".
var commandLine: String {
  (["spqat"] + CommandLine.arguments.dropFirst()).map(shellQuoted).joined(separator: " ")
}
