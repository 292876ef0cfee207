import ArgumentParser
import Configuration
import Diagnostics
import Foundation
import Records
import Runs
import Training

struct ValidateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate", abstract: "Check experiment files, in every profile, without training.")

  @Argument(help: ArgumentHelp("Experiment files.", valueName: "file"))
  var files: [String]

  func run() throws {
    var isValid = true
    for file in files {
      do {
        if try Experiment.isSchema(file) {
          print("\(file): the schema of experiments, not one itself")
          continue
        }
        let experiment = try Experiment.load(file: file, profile: nil)
        let profiles =
          experiment.profiles.isEmpty ? "no profiles" : "profiles \(experiment.profiles.joined(separator: ", "))"
        print("\(file): valid, \(profiles)")
        var warnings = experiment.warnings
        for name in experiment.profiles { warnings += try Experiment.load(file: file, profile: name).warnings }
        for warning in Set(warnings).sorted() { printError("warning: \(warning)") }
      } catch {
        printError(oneLine(error))
        isValid = false
      }
    }
    if !isValid { throw ExitCode(2) }
  }
}

/// Names one run's file.
struct RunArgument: ExpressibleByArgument {
  var text: String
  init?(argument: String) { text = argument }

  /// Whether it is a folder and no run.
  var isFolder: Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: text, isDirectory: &isFolder) && isFolder.boolValue
  }

  /// The file: a path, or the beginning of an id among all experiments in `results`.
  func file(in results: String) throws -> String {
    if text.contains("/") || text.hasSuffix(".h5") { return text }
    let experiments = ((try? FileManager.default.contentsOfDirectory(atPath: results)) ?? []).sorted()
    let found = experiments.flatMap { name -> [String] in
      let folder = ResultsDirectory(root: results, name: name)
      return folder.recordedIDs.filter { $0.hasPrefix(text) }.map { folder.runFile($0) }
    }
    guard let first = found.first else {
      throw Diagnostic(
        results, "has no run '\(text)'; give a file, or the beginning of an id that 'spqat status' shows"
      )
    }
    // Experiments share runs: the same id is the same run.
    guard Set(found.map { URL(fileURLWithPath: $0).lastPathComponent }).count == 1 else {
      let ids = Set(found.map { URL(fileURLWithPath: $0).deletingPathExtension().lastPathComponent }).sorted()
      let more = ids.count > 3 ? " and \(ids.count - 3) more" : ""
      throw Diagnostic(
        results,
        "'\(text)' is ambiguous: \(ids.prefix(3).joined(separator: ", "))\(more); give more of the id")
    }
    return first
  }
}

struct ShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show a run's configuration, provenance and outcome, and how to repeat it.")

  @Argument(help: ArgumentHelp("A run's file, or the beginning of its id.", valueName: "run"))
  var target: RunArgument

  @Option(help: ArgumentHelp("Where results are kept.", valueName: "dir"))
  var results = "results"

  @Flag(help: "Print the record as JSON, without tensors.")
  var json = false

  func run() throws {
    let file = try target.file(in: results)
    let record = try RunFile.read(file, includingTensors: false)
    if json { return print(try record.json()) }
    print("\(record.id)  \(record.label)\n\(file)\n")
    print("configuration")
    for line in record.configuration.split(separator: "\n") where line.hasPrefix("  ") {
      print(line.hasSuffix(",") ? line.dropLast() : line)
    }
    print("\nprovenance")
    for (name, value) in record.provenance.facts { print("  \(name): \(value)") }
    print("\noutcome")
    for (name, value) in record.outcome.facts { print("  \(name): \(value)") }
    if !record.epochs.isEmpty {
      print("\nepoch   loss    train     test   frozen  seconds")
      for epoch in record.epochs {
        print(
          String(
            format: "%5d %6.4f %7.2f%% %7.2f%% %7.2f%% %8.1f", epoch.epoch, epoch.trainLoss, 100 * epoch.trainTopOne,
            100 * (epoch.testTopOne ?? .nan), 100 * epoch.frozenShare, epoch.seconds.total))
      }
    }
    print("\nto repeat it exactly")
    let commit = record.provenance.gitCommit
    print("  git checkout \(commit)\(record.provenance.isDirty ? "  # had local changes, which are not recorded" : "")")
    print("  swift build -c release")
    print("  \(record.provenance.commandLine)")
  }
}

extension Provenance {
  fileprivate var facts: [(String, String)] {
    [
      ("commit", gitCommit + (isDirty ? " with local changes" : "")), ("program", "spqat \(spqatVersion)"),
      ("algorithm version", "\(algorithmVersion)"),
      ("libraries", "Swift \(swiftVersion), HDF5 \(hdf5Version), libpng \(libpngVersion)"),
      ("machine", "\(cpuModel), \(cpuCores) cores, \(memory >> 20) MiB, \(operatingSystem)"),
      (
        "computed with",
        "\(instructionSet), \(processes.map { "\($0) processes, each with " } ?? "")\(threads) threads"
          + "\(isExclusive ? "" : ", beside other runs")"
      ),
      ("data", "\(datasetName), SHA-256 \(datasetHash)"),
      ("starts from", parentRunID ?? weightsPath.map { "\($0), SHA-256 \(weightsHash ?? "")" } ?? "random weights"),
      ("seed", "\(seed)"), ("started", started), ("ended", ended ?? "not yet"),
    ]
  }
}

extension RunOutcome {
  fileprivate var facts: [(String, String)] {
    var facts = [("status", status.rawValue + (message.map { ": \($0)" } ?? ""))]
    if let finalTopOne { facts.append(("top-1 after the last epoch", percent(finalTopOne))) }
    if let finalTopFive { facts.append(("top-5 after the last epoch", percent(finalTopFive))) }
    if let bestTopOne, let bestEpoch {
      facts.append(("best top-1 (chosen on test data, no result)", "\(percent(bestTopOne)) in epoch \(bestEpoch)"))
    }
    if let weightUpdatesEliminated { facts.append(("weight updates eliminated", percent(weightUpdatesEliminated))) }
    if let backwardFLOPsEliminated { facts.append(("backward FLOPs eliminated", percent(backwardFLOPsEliminated))) }
    facts.append(("steps", "\(steps) (\(images) images)"))
    facts.append(("seconds", "\(decimal(totalSeconds, 1)), of them \(decimal(backwardSeconds, 1)) in gradients"))
    return facts
  }
}

struct DiffCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Show what differs between two runs: configuration, environment, outcome, weights.",
    discussion: "Exit status 0: nothing differs; 1: something does; 2: a file cannot be read.")

  @Argument(help: "A run's file, or the beginning of its id.")
  var first: RunArgument

  @Argument(help: "The other one.")
  var second: RunArgument

  @Option(help: ArgumentHelp("Where results are kept.", valueName: "dir"))
  var results = "results"

  @Flag(help: "Leave out seconds and provenance: two executions of one run then agree to the bit.")
  var ignoreTimes = false

  @Option(help: "Differences shown of each kind.")
  var limit = 20

  func run() throws {
    let comparison = try RunComparison(
      RunFile.read(first.file(in: results), includingTensors: true, includingObservation: true),
      RunFile.read(second.file(in: results), includingTensors: true, includingObservation: true),
      ignoringTimes: ignoreTimes)
    for section in RunComparison.Section.allCases {
      let differences = comparison.differences.filter { $0.section == section }
      guard !differences.isEmpty else { continue }
      print(section.rawValue)
      for difference in differences.prefix(limit) {
        print("  \(difference.key): \(difference.first) | \(difference.second)")
      }
      if differences.count > limit { print("  and \(differences.count - limit) more") }
    }
    guard comparison.differences.isEmpty else { throw ExitCode(1) }
    print(ignoreTimes ? "no difference but times and provenance" : "no difference")
  }
}
