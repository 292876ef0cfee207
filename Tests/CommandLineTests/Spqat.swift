import Foundation
import Testing

/// The built program, as a user runs it.
enum Spqat {
  struct Output {
    var status: Int32
    var standardOutput: String
    var standardError: String
    var errorLines: [Substring] { standardError.split(separator: "\n") }
  }

  /// Beside the test bundle, whatever configuration it was built in.
  static let program: URL = {
    let bundle = Bundle.main.executableURL ?? URL(fileURLWithPath: CommandLine.arguments[0])
    return bundle.resolvingSymlinksInPath().deletingLastPathComponent().appendingPathComponent("spqat")
  }()

  static let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  static func start(_ arguments: [String], output: URL, error: URL, through shell: String? = nil) throws -> Process {
    let process = Process()
    if let shell {
      process.executableURL = URL(fileURLWithPath: "/bin/sh")
      process.arguments = ["-c", "\(shell); exec \"$0\" \"$@\"", program.path] + arguments
    } else {
      process.executableURL = program
      process.arguments = arguments
    }
    process.standardInput = FileHandle.nullDevice
    for file in [output, error] { try Data().write(to: file) }
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: error)
    try process.run()
    return process
  }
}

/// A folder with an experiment and its results, removed with the value.
final class Workplace {
  let folder: URL
  let experiment: String
  var results: String { folder.appendingPathComponent("results").path }
  var runs: URL { folder.appendingPathComponent("results/tiny/runs") }
  private var calls = 0
  private let datasets: URL
  /// Images of the training subset, as a member of the experiment.
  private let subset: String

  /// A few steps on a few of the committed images; `members` are added to the experiment.
  /// - Parameter imagesPerClass: of either split, copied from the committed ones; nil: all of those, and a subset.
  init(_ members: String = #""axes": [{"method": ["fullQAT", "freeze"]}]"#, imagesPerClass: Int? = nil) throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("spqat-cli-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    experiment = folder.appendingPathComponent("tiny.json").path
    let committed = Spqat.repository.appendingPathComponent("datasets")
    datasets = imagesPerClass == nil ? committed : folder.appendingPathComponent("datasets")
    subset = imagesPerClass == nil ? #""subset": 40, "# : ""
    try write("tiny", members)
    if let imagesPerClass {
      for split in ["train", "test"] {
        try copy(imagesPerClass, from: committed.appendingPathComponent("sample/\(split)"), to: "sample/\(split)")
      }
    }
  }

  private func copy(_ images: Int, from split: URL, to place: String) throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: split.path) {
      let source = split.appendingPathComponent(name)
      let target = datasets.appendingPathComponent("\(place)/\(name)")
      try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
      for image in try FileManager.default.contentsOfDirectory(atPath: source.path).sorted().prefix(images) {
        try FileManager.default.copyItem(
          at: source.appendingPathComponent(image), to: target.appendingPathComponent(image))
      }
    }
  }

  /// Writes another experiment beside the first.
  @discardableResult
  func write(_ name: String, _ members: String) throws -> String {
    let file = folder.appendingPathComponent("\(name).json")
    let text = """
      {"name": "\(name)", "dataset": "sample", "model": "resnet8", \(subset)"batchSize": 8, "duration": "8it",
       "bits": {"weights": 2, "activations": 2}, "freezing": {"threshold": "linear", "start": "25%"},
       "pretraining": {"duration": "8it", "batchSize": 8}, \(members)}
      """
    try Data(text.utf8).write(to: file)
    return file.path
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  /// The arguments that every command on the experiment needs.
  func arguments(
    _ command: String, _ more: [String] = [], experiment: String? = nil, results: String? = nil
  ) -> [String] {
    [
      command, experiment ?? self.experiment, "--results", results ?? self.results, "--datasets", datasets.path,
      "--threads", "2",
    ] + more
  }

  func start(_ arguments: [String], through shell: String? = nil) throws -> (
    process: Process, read: () throws -> Spqat.Output
  ) {
    calls += 1
    let output = folder.appendingPathComponent("output-\(calls)")
    let error = folder.appendingPathComponent("error-\(calls)")
    let process = try Spqat.start(arguments, output: output, error: error, through: shell)
    return (
      process,
      {
        process.waitUntilExit()
        return Spqat.Output(
          status: process.terminationStatus, standardOutput: try String(contentsOf: output, encoding: .utf8),
          standardError: try String(contentsOf: error, encoding: .utf8))
      }
    )
  }

  @discardableResult
  func run(_ arguments: [String], through shell: String? = nil) throws -> Spqat.Output {
    try start(arguments, through: shell).read()
  }

  func sweep(_ more: [String] = [], results: String? = nil) throws -> Spqat.Output {
    try run(arguments("sweep", more, results: results))
  }

  /// Names of the runs' files, sorted.
  func runFiles(results: String? = nil) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "\(results ?? self.results)/tiny/runs").filter {
      $0.hasSuffix(".h5")
    }
    .sorted()
  }
}
