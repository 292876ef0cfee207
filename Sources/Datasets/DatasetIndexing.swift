import Crypto
public import Diagnostics
public import Foundation
import Synchronization

/// Makes the index of a tree, and checks a tree against it.
public enum DatasetIndexing {
  /// What came of reading every picture of a tree.
  public struct Outcome: Sendable {
    /// Pictures of the tree, sound or not.
    public let imageCount: Int
    /// Of them, those that had to be read.
    public let readCount: Int
    /// Every fault, in the order of the files.
    public let problems: [Diagnostic]
    /// nil where there are problems.
    public let index: DatasetIndex?
  }

  /// Reads what no index knows yet, or what changed since, and writes the index to `file`. What it has read is in
  /// `FILE.partial` at any time, so that one that was ended goes on where it was.
  ///
  /// - Parameters:
  ///   - progress: told of pictures read, of those that have to be.
  /// - Throws: what makes the tree as a whole unreadable, or the index not writable. Pictures that cannot be used (no PNG, 16
  ///   bits a sample) are all named in the outcome, and the index is then not written.
  public static func run(
    root: URL, file: URL, threads: Int = ProcessInfo.processInfo.activeProcessorCount,
    limits: ImageLimits = ImageLimits(),
    progress: ProgressHandler? = nil
  ) throws(Diagnostic) -> Outcome {
    let folder = try ImageFolder(root: root)
    let images = folder.train + folder.test
    let partial = file.deletingLastPathComponent().appendingPathComponent(file.lastPathComponent + ".partial")
    let known = knownEntries(file: file, partial: partial)

    let found = Mutex([DatasetIndex.Entry?](repeating: nil, count: images.count))
    try forEachIndex(below: images.count, threads: threads, progress: nil, state: ()) {
      (_: Void, index: Int) throws(Diagnostic) in
      guard let entry = known[Array(folder.relativePath(images[index]).utf8)] else { return }
      let status = try FileStatus(images[index].path)
      if status.bytes == entry.bytes, status.modified == entry.modified {
        found.withLock { $0[index] = entry }
      }
    }
    let missing = found.withLock { found in found.indices.filter { found[$0] == nil } }
    if !missing.isEmpty {
      let log = try PartialIndex(partial)
      let faults = Mutex<[(index: Int, error: Diagnostic)]>([])
      try forEachIndex(
        below: missing.count, threads: threads, progress: progress, state: ImageFileReader(limits: limits)
      ) { (reader: ImageFileReader, position: Int) throws(Diagnostic) in
        let index = missing[position]
        let entry: DatasetIndex.Entry
        do throws(Diagnostic) {
          entry = try examine(images[index].path, relativePath: folder.relativePath(images[index]), with: reader)
        } catch {
          faults.withLock { $0.append((index, error)) }
          return
        }
        found.withLock { $0[index] = entry }
        try log.append(entry)
      }
      let problems = faults.withLock { $0 }.sorted { $0.index < $1.index }.map(\.error)
      guard problems.isEmpty else {
        return Outcome(imageCount: images.count, readCount: missing.count, problems: problems, index: nil)
      }
    }
    let index = DatasetIndex(folder: folder, entries: found.withLock { $0 }.compactMap(\.self))
    try IndexFile.write(index, to: file)
    unlink(partial.path)
    return Outcome(imageCount: images.count, readCount: missing.count, problems: [], index: index)
  }

  /// Reads and decodes every picture of the tree at `root` and compares it with the index in `file`, collecting all faults.
  public static func verify(
    root: URL, file: URL, threads: Int = ProcessInfo.processInfo.activeProcessorCount,
    limits: ImageLimits = ImageLimits(),
    progress: ProgressHandler? = nil
  ) throws(Diagnostic) -> Outcome {
    let index = try DatasetIndex.load(file, root: root, threads: threads)
    let faults = Mutex<[(index: Int, error: Diagnostic)]>([])
    try forEachIndex(
      below: index.entries.count, threads: threads, progress: progress, state: ImageFileReader(limits: limits)
    ) { (reader: ImageFileReader, position: Int) throws(Diagnostic) in
      let entry = index.entries[position]
      let path = "\(root.path)/\(entry.path)"
      do throws(Diagnostic) {
        let found = try examine(path, relativePath: entry.path, with: reader)
        guard found == entry else {
          throw Diagnostic(
            path, "its contents changed since the index was made, and its size and time did not",
            remedy: "restore it, or run '\(DatasetIndex.command(root: root, file: file))' after removing the index")
        }
        _ = try bytes(count: entry.size.rgbBytes) { (pixels: SharedBytes) throws(Diagnostic) in
          try reader.decode(path, size: entry.size, into: pixels.pointer)
        }
      } catch {
        faults.withLock { $0.append((position, error)) }
      }
    }
    let problems = faults.withLock { $0 }.sorted { $0.index < $1.index }.map(\.error)
    return Outcome(
      imageCount: index.entries.count, readCount: index.entries.count, problems: problems,
      index: problems.isEmpty ? index : nil)
  }

  /// By the bytes of the path: strings are equal where only their spelling in Unicode differs. Later lines of the interrupted
  /// attempt are newer than the index.
  private static func knownEntries(file: URL, partial: URL) -> [[UInt8]: DatasetIndex.Entry] {
    let earlier = (try? IndexFile.read(file))?.entries ?? []
    return Dictionary(
      (earlier + IndexFile.readPartial(partial)).map { (Array($0.path.utf8), $0) },
      uniquingKeysWith: { _, later in later })
  }

  private static func examine(
    _ path: String, relativePath: String, with reader: ImageFileReader
  ) throws(Diagnostic) -> DatasetIndex.Entry {
    guard !relativePath.utf8.contains(UInt8(ascii: "\n")) else {
      throw Diagnostic(path, "its name holds a line break", remedy: "rename it")
    }
    // Before the contents: a file that is written meanwhile is then read again by the next indexing.
    let status = try FileStatus(path)
    let size = try reader.openPicture(path)
    return DatasetIndex.Entry(
      path: relativePath, bytes: status.bytes, modified: status.modified, size: size,
      checksum: DatasetIndex.Checksum(reader.sha256()))
  }
}

/// The lines of an index that is being made, in the order in which files were read.
private final class PartialIndex: Sendable {
  private let path: String
  private let descriptor: Int32

  init(_ file: URL) throws(Diagnostic) {
    path = file.path
    descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      let reason = String(cString: strerror(errno))
      throw Diagnostic(
        path, "cannot be written (\(reason))",
        remedy: "make the folder writable, or keep the index elsewhere with --index FILE")
    }
    // The line that a killed indexing left unfinished ends here.
    if lseek(descriptor, 0, SEEK_END) > 0 { _ = Foundation.write(descriptor, "\n", 1) }
  }

  deinit { close(descriptor) }

  /// One call a line: lines of several threads do not mix.
  func append(_ entry: DatasetIndex.Entry) throws(Diagnostic) {
    let line = IndexFile.line(entry)
    let written = line.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
    guard written == line.count else { throw .system(path, "cannot be written") }
  }
}
