import Crypto
public import Diagnostics
public import Foundation
import Synchronization

/// What a tree of pictures of any size holds, without their pixels: every file with its size, time and checksum. Written once
/// by `spqat dataset index`, so that a run knows its data's identity in seconds.
public struct DatasetIndex: Sendable {
  /// One picture's file.
  public struct Entry: Equatable, Sendable {
    /// From the tree's root, such as "train/CLASS/NAME.png".
    public var path: String
    /// Of the file.
    public var bytes: Int
    /// When the file was last written, nanoseconds since 1970.
    public var modified: Int
    /// Of the picture, as its header says.
    public var size: PixelSize
    /// SHA-256 of the file.
    public var checksum: Checksum
  }

  /// 32 bytes of SHA-256, in four words without a heap block of their own: there may be millions of them.
  public struct Checksum: Hashable, Sendable {
    private var words: SIMD4<UInt64>

    init(_ bytes: some Sequence<UInt8>) {
      var words = SIMD4<UInt64>()
      for (index, byte) in bytes.enumerated() { words[index / 8] = words[index / 8] << 8 | UInt64(byte) }
      self.words = words
    }

    init?(hexadecimal: some Collection<UInt8>) {
      guard hexadecimal.count == 64 else { return nil }
      var words = SIMD4<UInt64>()
      for (index, digit) in hexadecimal.enumerated() {
        guard let value = Self.value(digit) else { return nil }
        words[index / 16] = words[index / 16] << 4 | value
      }
      self.words = words
    }

    private static func value(_ digit: UInt8) -> UInt64? {
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(digit - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(digit - UInt8(ascii: "a") + 10)
      default: nil
      }
    }

    var bytes: [UInt8] {
      (0..<32).map { UInt8(truncatingIfNeeded: words[$0 / 8] >> UInt64(56 - $0 % 8 * 8)) }
    }
  }

  /// The training pictures, then those of the test split, each in the order of classes and names.
  public let entries: [Entry]
  /// How many of them are for training.
  public let trainCount: Int
  /// Class names in label order.
  public let classes: [String]
  /// Class of each picture.
  public let labels: [Int32]
  /// SHA-256 over the files' checksums and labels, split by split, in hexadecimal: no name, time or place is part of it.
  public let contentHash: String

  /// Pictures of the split that is evaluated.
  public var testCount: Int { entries.count - trainCount }
  /// Bytes of all pictures once decoded.
  public var decodedBytes: Int { entries.reduce(0) { $0 + $1.size.rgbBytes } }

  /// The index's name in a tree.
  public static let fileName = "index.tsv"

  /// Where the index of the tree at `root` is, unless it is kept elsewhere.
  public static func file(of root: URL) -> URL { root.appendingPathComponent(fileName) }

  /// - Precondition: an entry for each image of `folder`, in its order.
  init(folder: ImageFolder, entries: [Entry]) {
    precondition(entries.count == folder.train.count + folder.test.count, "an entry an image")
    self.entries = entries
    trainCount = folder.train.count
    classes = folder.classes
    labels = (folder.train + folder.test).map(\.label)
    var hash = SHA256()
    hash.update(data: Data("spqat-index 1\n".utf8))
    for split in [0..<trainCount, trainCount..<entries.count] {
      withUnsafeBytes(of: UInt64(split.count).littleEndian) { hash.update(bufferPointer: $0) }
      for index in split {
        withUnsafeBytes(of: labels[index].littleEndian) { hash.update(bufferPointer: $0) }
        hash.update(data: entries[index].checksum.bytes)
      }
    }
    contentHash = hash.finalize().hexadecimal
  }

  // MARK: In a run

  /// The index in `file` of the tree at `root`, after a look at the size and time of every picture.
  ///
  /// - Throws: where there is no index, or the tree is not as it was: what changed first, and how much did.
  public static func load(
    _ file: URL, root: URL, threads: Int = ProcessInfo.processInfo.activeProcessorCount
  ) throws(Diagnostic) -> DatasetIndex {
    let remedy = "run '\(command(root: root, file: file))'"
    guard FileManager.default.fileExists(atPath: file.path) else {
      throw Diagnostic(file.path, "no index of the pictures there", remedy: remedy + " once")
    }
    let stored = try IndexFile.read(file)
    let folder = try ImageFolder(root: root)
    let images = folder.train + folder.test
    let paths = images.map { folder.relativePath($0) }
    try compare(stored.entries.map(\.path), in: file, with: paths, in: root, remedy: remedy)
    let changed = Mutex<(count: Int, first: Int)>((0, Int.max))
    try forEachIndex(below: images.count, threads: threads, progress: nil, state: ()) {
      (_: Void, index: Int) throws(Diagnostic) in
      let status = try FileStatus(images[index].path)
      guard status.bytes == stored.entries[index].bytes, status.modified == stored.entries[index].modified else {
        changed.withLock { $0 = ($0.count + 1, min($0.first, index)) }
        return
      }
    }
    let (count, first) = changed.withLock { $0 }
    guard count == 0 else {
      throw Diagnostic(
        images[first].path,
        "was written after the index \(file.path) was made\(count > 1 ? ", as \(count - 1) others were" : "")",
        remedy: remedy + ", which reads what changed")
    }
    let index = DatasetIndex(folder: folder, entries: stored.entries)
    guard index.contentHash == stored.contentHash else {
      throw Diagnostic(file.path, "the index is damaged: its hash is another", remedy: remedy)
    }
    return index
  }

  /// Names are told apart by their bytes: strings are equal where only their spelling in Unicode differs.
  /// - Throws: where the index does not name the pictures of the tree, each once and in their order.
  private static func compare(
    _ indexed: [String], in file: URL, with paths: [String], in root: URL, remedy: String
  ) throws(Diagnostic) {
    guard !indexed.elementsEqual(paths, by: { $0.utf8.elementsEqual($1.utf8) }) else { return }
    let (lines, pictures) = (indexed.map { Array($0.utf8) }, paths.map { Array($0.utf8) })
    let known = Set(lines)
    if let added = pictures.firstIndex(where: { !known.contains($0) }) {
      throw Diagnostic("\(root.path)/\(paths[added])", "is not in the index \(file.path)", remedy: remedy)
    }
    let found = Set(pictures)
    if let missing = lines.firstIndex(where: { !found.contains($0) }) {
      throw Diagnostic(
        "\(root.path)/\(indexed[missing])", "is in the index \(file.path) and not in the tree",
        remedy: "restore it, or \(remedy)")
    }
    // The same pictures, so that there are at least as many lines.
    let place = zip(lines, pictures).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? pictures.count
    let earlier = lines[..<place].firstIndex(of: lines[place])
    // The head is line 1.
    throw Diagnostic(
      file.path,
      "line \(place + 2) \(earlier.map { "repeats line \($0 + 2)" } ?? "is out of order"): \(indexed[place])",
      remedy: remedy)
  }

  static func command(root: URL, file: URL) -> String {
    "spqat dataset index \(root.relativePath)" + (file == Self.file(of: root) ? "" : " --index \(file.relativePath)")
  }
}

extension ImageFolder {
  /// The path of one of its images from the root.
  func relativePath(_ image: Image) -> String { String(image.path.dropFirst(root.path.count + 1)) }
}

/// Size and time of a file.
struct FileStatus {
  var bytes: Int
  /// Nanoseconds since 1970.
  var modified: Int

  init(_ path: String) throws(Diagnostic) {
    var status = stat()
    guard stat(path, &status) == 0 else { throw .system(path, "cannot be examined") }
    bytes = Int(status.st_size)
    #if canImport(Darwin)
      let time = status.st_mtimespec
    #else
      let time = status.st_mtim
    #endif
    // It is compared and never computed with; times after 2262 wrap around.
    modified = time.tv_sec &* 1_000_000_000 &+ time.tv_nsec
  }
}
