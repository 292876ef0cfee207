public import ArgumentParser
import Datasets
import Diagnostics
import Foundation

struct DatasetCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dataset", abstract: "Import, index and check data sets.",
    subcommands: [Import.self, Shapes.self, Index.self, Verify.self])

  struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write a data set as a tree of PNG files, {train,test}/CLASS/00001.png.",
      discussion: """
        CIFAR comes from the official binary archive, checked by its MD5, from its extracted folder, or from a folder
        with one of these in it. Without --from, the archive is taken from beside the tree, or downloaded there.
        Fashion-MNIST comes from its four IDX files, plain or gzipped; without --from, from where Debian's package
        dataset-fashion-mnist installs them.
        """)

    @Argument(help: "The data set: \(DatasetImporter.Name.allCases.map(\.rawValue).joined(separator: ", ")).")
    var name: DatasetImporter.Name

    @Option(help: ArgumentHelp("The archive or folder to read.", valueName: "archive-or-dir"))
    var from: String?

    @Option(help: ArgumentHelp("The tree to write (default: datasets/<name>).", valueName: "dir"))
    var to: String?

    @Flag(help: "Use an archive whose MD5 is not the official one; the manifest records it.")
    var acceptOtherChecksum = false

    @Option(help: "Threads to encode and decode with.")
    var threads = ProcessInfo.processInfo.activeProcessorCount

    func validate() throws { try validateThreads(threads) }

    func run() throws {
      let destination = URL(fileURLWithPath: to ?? "datasets/\(name.rawValue)")
      let progress = ProgressLine()
      let outcome = try reportingDatasetErrors(progress) { () throws(Diagnostic) in
        try DatasetImporter(name).run(
          from: from.map { URL(fileURLWithPath: $0) }, to: destination, acceptOtherChecksum: acceptOtherChecksum,
          threads: threads
        ) { stage, done, total in
          switch stage {
          case .downloading: progress.update("downloading", done: done >> 20, total: total, note: "MiB")
          case .reading, .writing, .checking: progress.update(stage.rawValue, done: done, total: total)
          }
        }
      }
      switch outcome {
      case .imported(let manifest): print("\(destination.relativePath): \(manifest.summary)")
      case .present(let manifest):
        print("\(destination.relativePath): already there, \(manifest.summary); remove it to import again")
      }
    }
  }

  struct Shapes: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract:
        "Write generated pictures of many sizes, with their index: \(ShapePictures.classes.joined(separator: ", ")).")

    @Option(help: ArgumentHelp("The tree to write.", valueName: "dir"))
    var to = "datasets/shapes"

    @Option(help: "Threads to write with.")
    var threads = ProcessInfo.processInfo.activeProcessorCount

    func validate() throws { try validateThreads(threads) }

    func run() throws {
      let index = try reportingDatasetErrors(ProgressLine()) { () throws(Diagnostic) in
        try ShapePictures().write(to: URL(fileURLWithPath: to), threads: threads)
      }
      print("\(to): \(index.summary)")
    }
  }

  struct Index: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List a tree of pictures of any size with sizes, times and checksums: the data's identity.",
      discussion: """
        Experiments with "images" need it. Reads every file once; after an interruption, or where the tree changed, only what
        is not known yet.
        """)

    @Argument(help: "The tree, {train,test}/CLASS/*.png.")
    var path: String

    @Option(
      help: ArgumentHelp("Where the index is kept (default: \(DatasetIndex.fileName) in the tree).", valueName: "file"))
    var index: String?

    @Option(help: "Threads to read with.")
    var threads = ProcessInfo.processInfo.activeProcessorCount

    func validate() throws { try validateThreads(threads) }

    func run() throws {
      let progress = ProgressLine()
      let outcome = try reportingDatasetErrors(progress) { () throws(Diagnostic) in
        try DatasetIndexing.run(
          root: URL(fileURLWithPath: path), file: indexFile(index, of: path), threads: threads
        ) { progress.update("indexing", done: $0, total: $1) }
      }
      let made = try soundIndex(outcome, path)
      print("\(path): \(made.summary); \(outcome.readCount) files read")
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Decode every image of a tree and report what is wrong with which file.",
      discussion:
        "A tree with an index is compared with it, file by file; any other with its manifest, where it has one.")

    @Argument(help: "The tree, {train,test}/CLASS/*.png.")
    var path: String

    @Option(help: ArgumentHelp("The tree's index (default: \(DatasetIndex.fileName) in the tree).", valueName: "file"))
    var index: String?

    @Flag(help: "Where a sound tree has no manifest, write one, so that later changes to the images are noticed.")
    var writeManifest = false

    @Option(help: "Threads to decode with.")
    var threads = ProcessInfo.processInfo.activeProcessorCount

    func validate() throws { try validateThreads(threads) }

    func run() throws {
      let file = indexFile(index, of: path)
      if index != nil || FileManager.default.fileExists(atPath: file.path) {
        try verify(against: file)
      } else {
        try verifyManifest()
      }
    }

    private func verify(against file: URL) throws {
      guard !writeManifest else {
        throw ValidationError("--write-manifest is for trees without an index, whose images are of one size")
      }
      let progress = ProgressLine()
      let outcome = try reportingDatasetErrors(progress) { () throws(Diagnostic) in
        try DatasetIndexing.verify(root: URL(fileURLWithPath: path), file: file, threads: threads) {
          progress.update("verifying", done: $0, total: $1)
        }
      }
      print("\(path): \(try soundIndex(outcome, path).summary); all readable")
    }

    private func verifyManifest() throws {
      let progress = ProgressLine()
      let result = try reportingDatasetErrors(progress) { () throws(Diagnostic) in
        try DatasetVerification.run(root: URL(fileURLWithPath: path), threads: threads) {
          progress.update("verifying", done: $0, total: $1)
        }
      }
      try refuse(result.problems, path, images: result.imageCount)
      var manifest = result.manifest
      if manifest == nil && writeManifest {
        manifest = try reportingDatasetErrors(progress) { () throws(Diagnostic) in
          let root = URL(fileURLWithPath: path)
          let computed = try ImageDataset.load(root: root, threads: threads).manifest
          try computed.write(root: root)
          return computed
        }
      }
      print("\(path): \(manifest?.summary ?? "\(result.imageCount) images, all readable; no manifest")")
    }
  }
}

private func validateThreads(_ threads: Int) throws {
  guard threads >= 1 else { throw ValidationError("--threads is \(threads), at least 1 is needed") }
}

private func indexFile(_ given: String?, of path: String) -> URL {
  given.map { URL(fileURLWithPath: $0) } ?? DatasetIndex.file(of: URL(fileURLWithPath: path))
}

/// Ends the program with every problem in a line, where there are any.
private func refuse(_ problems: [Diagnostic], _ path: String, images: Int) throws {
  guard !problems.isEmpty else { return }
  for problem in problems { printError("\(problem)") }
  printError("\(path): \(problems.count) problem(s) among \(images) images")
  throw ExitCode(2)
}

private func soundIndex(_ outcome: DatasetIndexing.Outcome, _ path: String) throws -> DatasetIndex {
  try refuse(outcome.problems, path, images: outcome.imageCount)
  guard let index = outcome.index else { preconditionFailure("an index where there are no problems") }
  return index
}

extension DatasetIndex {
  fileprivate var summary: String {
    "\(trainCount) training and \(testCount) test pictures in \(classes.count) classes, "
      + "\((decodedBytes + (1 << 20) - 1) >> 20) MiB decoded, SHA-256 \(contentHash)"
  }
}

extension DatasetImporter.Name: ExpressibleByArgument {}

extension DatasetManifest {
  fileprivate var summary: String {
    let train = trainCounts.reduce(0, +)
    let test = testCounts.reduce(0, +)
    let checksum = source.official == false ? " (not the official archive)" : ""
    return "\(train) training and \(test) test images of \(width)x\(height) in \(classes.count) classes, "
      + "from \(source.origin)\(checksum), SHA-256 \(contentHash)"
  }
}

/// Ends the progress line; an error becomes one line on standard error and exit status 2.
private func reportingDatasetErrors<Result>(
  _ progress: ProgressLine, _ work: () throws(Diagnostic) -> Result
) throws -> Result {
  defer { progress.finish() }
  do throws(Diagnostic) {
    return try work()
  } catch {
    progress.finish()
    printError("\(error)")
    throw ExitCode(2)
  }
}
