public import Diagnostics
public import Foundation
import Host

/// What an importer has read: two splits and the publisher's class names, in the order of its labels.
package struct ImportedImages: Sendable {
  var train: RawImages
  var test: RawImages
  var classes: [String]
  var source: DatasetManifest.Source
}

/// A data set that can be imported into a PNG tree.
public struct DatasetImporter: Sendable {
  /// The data sets known by name.
  public enum Name: String, CaseIterable, Sendable {
    case fashionMNIST = "fashion-mnist"
    case cifar10
    case cifar100
  }

  /// What an import is busy with; its progress counts bytes while downloading (total 0: unknown) and images otherwise.
  public enum Stage: String, Sendable {
    case downloading
    case reading
    case writing
    case checking
  }

  /// Told of work done; called from one thread at a time, not always the caller's. Totals of 0 are unknown.
  public typealias Progress = @Sendable (_ stage: Stage, _ done: Int, _ total: Int) -> Void

  /// What came of an import.
  public enum Outcome: Sendable {
    case imported(DatasetManifest)
    /// The tree was there already, whole.
    case present(DatasetManifest)
  }

  package enum Files: Sendable {
    case cifar(CIFARFiles)
    case fashionMNIST(FashionMNISTFiles)
  }

  let name: String
  let files: Files

  /// The importer of one of the data sets known by name; reads nothing before `run`.
  public init(_ name: Name) {
    switch name {
    case .fashionMNIST: self.init(name: name.rawValue, files: .fashionMNIST(FashionMNISTFiles()))
    case .cifar10: self.init(name: name.rawValue, files: .cifar(.cifar10))
    case .cifar100: self.init(name: name.rawValue, files: .cifar(.cifar100))
    }
  }

  package init(name: String, files: Files) {
    self.name = name
    self.files = files
  }

  /// Imports into a PNG tree `{train,test}/CLASS/00001.png` at `destination`, numbered as the publisher's records are,
  /// with a manifest.
  ///
  /// The tree is made beside its destination, as `NAME.partial`, read back and renamed when whole; what an interrupted
  /// import left there is thrown away by the next.
  ///
  /// - Parameters:
  ///   - source: an archive or folder; nil takes the archive beside the destination or downloads it there.
  ///   - acceptOtherChecksum: lets an archive through whose MD5 is not the publisher's; the manifest says so.
  public func run(
    from source: URL?, to destination: URL, acceptOtherChecksum: Bool = false,
    threads: Int = ProcessInfo.processInfo.activeProcessorCount, progress: Progress? = nil
  ) throws(Diagnostic) -> Outcome {
    if let present = try existing(destination, sourceGiven: source != nil) { return .present(present) }
    let partial = try PartialTree(for: destination)
    let images = try read(
      source, beside: destination.deletingLastPathComponent(), acceptOtherChecksum: acceptOtherChecksum,
      progress: progress)
    try write(images.train, classes: images.classes, to: partial.root.appendingPathComponent("train"), threads: threads)
    {
      progress?(.writing, $0, images.train.labels.count + images.test.labels.count)
    }
    try write(images.test, classes: images.classes, to: partial.root.appendingPathComponent("test"), threads: threads) {
      progress?(.writing, images.train.labels.count + $0, images.train.labels.count + images.test.labels.count)
    }
    var manifest = try ImageDataset.load(
      root: partial.root, threads: threads, progress: { progress?(.checking, $0, $1) }
    ).manifest
    manifest.name = name
    manifest.source = images.source
    try manifest.write(root: partial.root)
    try partial.finish()
    return .imported(manifest)
  }

  /// The manifest of a whole tree at the destination, or nil when nothing is there.
  private func existing(_ destination: URL, sourceGiven: Bool) throws(Diagnostic) -> DatasetManifest? {
    guard FileManager.default.fileExists(atPath: destination.path) else { return nil }
    let manifest = isFolder(destination) ? try DatasetManifest.read(root: destination) : nil
    guard let manifest, manifest.name == name else {
      throw Diagnostic(
        destination.path, "something else than an import of \(name) is there",
        remedy: "remove it or choose another place with --to")
    }
    guard !sourceGiven else {
      throw Diagnostic(
        destination.path, "already imported from \(manifest.source.origin)",
        remedy: "remove it to import again, or choose another place with --to")
    }
    try manifest.checkFiles(of: ImageFolder(root: destination))
    return manifest
  }

  private func read(
    _ source: URL?, beside folder: URL, acceptOtherChecksum: Bool, progress: Progress?
  ) throws(Diagnostic) -> ImportedImages {
    switch files {
    case .fashionMNIST(let files):
      progress?(.reading, 0, 0)
      return try files.read(source ?? FashionMNISTFiles.systemFolder)
    case .cifar(let files):
      let archive: URL
      if let source {
        archive = source
      } else {
        archive = folder.appendingPathComponent(files.archive)
        if !FileManager.default.fileExists(atPath: archive.path) {
          try download(files.address, to: archive) { progress?(.downloading, $0, 0) }
        }
      }
      progress?(.reading, 0, 0)
      return try files.read(archive, acceptOtherChecksum: acceptOtherChecksum)
    }
  }

  private func write(
    _ images: RawImages, classes: [String], to folder: URL, threads: Int, progress: @escaping @Sendable (Int) -> Void
  ) throws(Diagnostic) {
    for name in classes { try makeFolder(folder.appendingPathComponent(name)) }
    let report: ProgressHandler = { done, _ in progress(done) }
    try forEachIndex(
      below: images.labels.count, threads: threads, progress: report, state: ()
    ) { (_: Void, index: Int) throws(Diagnostic) in
      let number = String(index + 1)
      let file = folder.appendingPathComponent(classes[Int(images.labels[index])])
        .appendingPathComponent(String(repeating: "0", count: max(0, 5 - number.count)) + number + ".png")
      let png: [UInt8]
      do {
        png = try images.pixels.withUnsafeBufferPointer {
          try PNG.encode(
            $0.baseAddress! + index * images.imageBytes, size: images.size, channels: images.channels)
        }
      } catch {
        throw Diagnostic(file.path, "cannot be encoded", remedy: "free some memory and import again")
      }
      try writeFile(Data(png), to: file)
    }
  }
}

/// A tree under construction: `NAME.partial` beside its destination, locked against a second import.
final class PartialTree {
  let root: URL
  private let destination: URL
  private let lock: Int32
  private var isFinished = false

  init(for destination: URL) throws(Diagnostic) {
    self.destination = destination
    root = destination.deletingLastPathComponent()
      .appendingPathComponent(destination.lastPathComponent + ".partial")
    try makeFolder(root)
    lock = open(root.path, O_RDONLY | O_CLOEXEC)
    guard lock >= 0 else { throw .system(root.path, "cannot be opened") }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      close(lock)
      errno = code
      guard code == EWOULDBLOCK else { throw .system(root.path, "cannot be locked") }
      throw Diagnostic(
        root.path, "another import is writing it", remedy: "wait for it, or stop it and import again")
    }
    do {
      for name in try FileManager.default.contentsOfDirectory(atPath: root.path) {
        try FileManager.default.removeItem(at: root.appendingPathComponent(name))
      }
    } catch {
      throw Diagnostic(
        root.path, "the rest of an interrupted import cannot be removed", remedy: "remove it by hand")
    }
  }

  /// Gives the tree its name, after its contents have reached the disk.
  func finish() throws(Diagnostic) {
    sync()
    guard rename(root.path, destination.path) == 0 else {
      throw .system(destination.path, "cannot be put in place")
    }
    isFinished = true
  }

  deinit {
    if !isFinished { try? FileManager.default.removeItem(at: root) }
    close(lock)
  }
}

func makeFolder(_ url: URL) throws(Diagnostic) {
  do {
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  } catch {
    throw Diagnostic(url.path, "cannot be made", remedy: "check the path and its permissions")
  }
}

func writeFile(_ data: Data, to url: URL) throws(Diagnostic) {
  do {
    try data.write(to: url)
  } catch {
    throw Diagnostic(
      url.path, "cannot be written", remedy: "check its permissions and the space on the disk")
  }
}

/// Fetches `address` with curl, continuing what an interrupted download left beside `file`.
private func download(_ address: String, to file: URL, progress: (Int) -> Void) throws(Diagnostic) {
  let part = file.deletingLastPathComponent().appendingPathComponent(file.lastPathComponent + ".download")
  let arguments = [
    "--fail", "--location", "--silent", "--show-error", "--connect-timeout", "20", "--continue-at", "-",
    "--output", part.path, address,
  ]
  let reason: String
  do {
    let result = try Subprocess.run("curl", arguments) {
      let size = try? FileManager.default.attributesOfItem(atPath: part.path)[.size] as? NSNumber
      progress(size?.intValue ?? 0)
    }
    if result.succeeded, rename(part.path, file.path) == 0 { return }
    reason = result.errors.split(whereSeparator: \.isNewline).last.map(String.init) ?? "curl failed"
  } catch {
    reason = error.description
  }
  throw Diagnostic(
    file.path, "not there, and \(address) cannot be downloaded (\(reason))",
    remedy: "put the file there, or pass it with --from")
}
