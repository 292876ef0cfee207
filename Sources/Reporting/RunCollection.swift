public import Diagnostics
import Files
import Foundation
public import Records
import Tables

/// The runs of one experiment, read from its folder of results.
public struct RunCollection: Sendable {
  /// Without their tensors, in the order of their files.
  public var runs: [RunRecord]
  /// A line for each file that is not among them, and why.
  public var problems: [String]
  /// The experiment's name: that of its folder.
  public var name: String
  /// The folder as given, without a slash at the end.
  public var folder: String

  /// Of the runs that were read from files of their own: where each one lies, by id.
  public internal(set) var files: [String: String] = [:]

  /// Runs that are in memory already.
  public init(runs: [RunRecord], problems: [String], name: String, folder: String) {
    self.runs = runs
    self.problems = problems
    self.name = name
    self.folder = folder
  }

  /// Reads `PATH/runs/*.h5`, or `PATH/*.h5` where there is no folder `runs`.
  ///
  /// Files of other programs and damaged ones are left out and named in `problems`; of runs that were trained by several
  /// versions of the algorithm, those of the latest are kept.
  /// - Throws: where there is no such folder, or not one usable run in it.
  public static func load(_ path: String) throws(Diagnostic) -> RunCollection {
    var folder = path
    while folder.count > 1, folder.hasSuffix("/") { folder.removeLast() }
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder) else {
      throw Diagnostic(
        cause: .absent, folder, "no such folder", remedy: "give a folder of results such as results/table2")
    }
    guard isFolder.boolValue else {
      throw Diagnostic(
        folder, "is a file", remedy: "give the folder of results that it lies in, such as results/table2")
    }
    let runsFolder = FileManager.default.fileExists(atPath: folder + "/runs") ? folder + "/runs" : folder
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: runsFolder)
    } catch {
      throw Diagnostic(cause: .system, runsFolder, "cannot be read", remedy: "check its permissions")
    }
    var runs: [RunRecord] = []
    var problems: [String] = []
    var files: [String: String] = [:]
    for name in names.filter({ $0.hasSuffix(".h5") && !$0.hasPrefix(".") }).sorted() {
      do throws(Diagnostic) {
        let run = try RunFile.read("\(runsFolder)/\(name)", includingTensors: false)
        runs.append(run)
        files[run.id] = "\(runsFolder)/\(name)"
      } catch {
        problems.append("\(error)")
      }
    }
    let latest = runs.map(\.provenance.algorithmVersion).max() ?? 0
    for run in runs where run.provenance.algorithmVersion < latest {
      problems.append(
        "\(runsFolder)/\(run.id).h5: made by version \(run.provenance.algorithmVersion) of the algorithm, others by "
          + "\(latest): left out; run the sweep again to replace it")
    }
    runs.removeAll { $0.provenance.algorithmVersion < latest }
    guard !runs.isEmpty else {
      let others = problems.isEmpty ? "" : " (\(problems.count) file(s) cannot be used: \(problems[0]))"
      throw Diagnostic(
        runsFolder, "no runs here\(others)", remedy: "train some with 'spqat sweep', or give another folder")
    }
    let name = URL(fileURLWithPath: folder).standardizedFileURL.lastPathComponent
    var collection = RunCollection(runs: runs, problems: problems, name: name, folder: folder)
    collection.files = files
    return collection
  }
}

extension RunCollection {
  /// Whether some setting could be compared with this baseline.
  public func has(_ baseline: Baseline) -> Bool {
    switch baseline {
    case .fullQAT: runs.contains { $0.kind == .fullQAT }
    case .fullPrecision: runs.contains { $0.kind == .fullPrecision }
    case .axes(let values): Setting.settings(of: runs).contains { $0.kind == .freeze && $0.has(values) }
    }
  }

  /// The baselines that there are, for messages.
  public var baselines: String {
    var names: [String] = []
    if has(.fullQAT) { names.append("fullQAT") }
    if has(.fullPrecision) { names.append("fullPrecision") }
    let axes = Setting.settings(of: runs).filter { $0.kind == .freeze && !$0.axes.isEmpty }.map { setting in
      setting.axes.map { "\($0.name)=\($0.value)" }.joined(separator: ",")
    }
    for name in axes where !names.contains(name) { names.append(name) }
    return names.isEmpty ? "none" : names.joined(separator: "; ")
  }
}

extension RunCollection {
  /// Writes `PREFIX-epochs.csv`: a row for each run and epoch.
  ///
  /// - Parameter output: the prefix; an ending ".csv" is no part of it.
  /// - Returns: the path written.
  public func writeEpochs(to output: String) throws -> String {
    let path = "\(output.hasSuffix(".csv") ? String(output.dropLast(4)) : output)-epochs.csv"
    try replaceFile(at: path, with: EpochTable.table(of: runs).csv())
    return path
  }

  /// A caption for the collection's table: name, networks and data.
  public var caption: String {
    let names: [String: String] = ["resnet20": "ResNet-20"]
    let models = runs.compactMap { $0.settings.text("model.architecture") }.map { names[$0] ?? $0 }
    let recipes = Set(runs.map(\.recipe.freezingName)).sorted()
    let freezing = recipes.joined(separator: " and ")
    let title =
      switch name {
      case "table2": "Table 2: full QAT beside \(freezing) by bit width"
      default: "\(name): full QAT beside \(freezing)"
      }
    return "\(title), \(models.isEmpty ? "" : list(models) + " on ")\(list(runs.map(\.provenance.datasetName)))"
  }
}
