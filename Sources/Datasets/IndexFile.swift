import Diagnostics
import Foundation

/// An index as text: a head, a line a picture (SHA-256, bytes, time, size, path), and the hash over all, without which it is
/// not whole.
enum IndexFile {
  private static let head = "spqat-index 1"
  private static let last = "contentHash "

  struct Contents {
    var entries: [DatasetIndex.Entry]
    var contentHash: String
  }

  /// Writes the index as a whole, in place of what was there.
  static func write(_ index: DatasetIndex, to file: URL) throws(Diagnostic) {
    var text = Data((head + "\n").utf8)
    for entry in index.entries { text += line(entry) }
    text += Data("\(last)\(index.contentHash)\n".utf8)
    let temporary = file.deletingLastPathComponent().appendingPathComponent(".\(file.lastPathComponent).tmp")
    try writeFile(text, to: temporary)
    guard rename(temporary.path, file.path) == 0 else { throw .system(file.path, "cannot be replaced") }
  }

  static func line(_ entry: DatasetIndex.Entry) -> Data {
    let fields = [
      entry.checksum.bytes.hexadecimal, "\(entry.bytes)", "\(entry.modified)", "\(entry.size)", entry.path,
    ]
    return Data((fields.joined(separator: "\t") + "\n").utf8)
  }

  /// - Throws: where it is no whole index; the line that is none.
  static func read(_ file: URL) throws(Diagnostic) -> Contents {
    func fail(_ reason: String) -> Diagnostic {
      Diagnostic(file.path, reason, remedy: "remove it and run 'spqat dataset index' again")
    }
    guard let text = try? Data(contentsOf: file, options: .mappedIfSafe) else {
      throw Diagnostic(file.path, "cannot be read", remedy: "check its permissions")
    }
    var lines = Lines(text)
    guard lines.next()?.elementsEqual(head.utf8) == true else { throw fail("not an index of pictures") }
    var entries: [DatasetIndex.Entry] = []
    while let line = lines.next() {
      if line.starts(with: last.utf8) {
        let hash = String(decoding: line.dropFirst(last.utf8.count), as: UTF8.self)
        return Contents(entries: entries, contentHash: hash)
      }
      guard let entry = entry(line) else { throw fail("line \(entries.count + 2) describes no picture") }
      entries.append(entry)
    }
    throw fail("the index is truncated")
  }

  /// The whole lines of what an interrupted indexing left; none where there is no such file.
  static func readPartial(_ file: URL) -> [DatasetIndex.Entry] {
    guard let text = try? Data(contentsOf: file) else { return [] }
    var lines = Lines(text)
    var entries: [DatasetIndex.Entry] = []
    while let line = lines.next() {
      if let entry = entry(line) { entries.append(entry) }
    }
    return entries
  }

  private static func entry(_ line: Data.SubSequence) -> DatasetIndex.Entry? {
    let fields = line.split(separator: UInt8(ascii: "\t"), maxSplits: 4, omittingEmptySubsequences: false)
    guard fields.count == 5, let checksum = DatasetIndex.Checksum(hexadecimal: fields[0]),
      let bytes = Int(String(decoding: fields[1], as: UTF8.self)), bytes >= 0,
      let modified = Int(String(decoding: fields[2], as: UTF8.self))
    else { return nil }
    let sides = fields[3].split(separator: UInt8(ascii: "x"), omittingEmptySubsequences: false)
      .compactMap { Int(String(decoding: $0, as: UTF8.self)) }
    let limits = ImageLimits()
    guard sides.count == 2, sides.allSatisfy({ (1...limits.side).contains($0) }), !fields[4].isEmpty,
      let path = String(validating: fields[4], as: UTF8.self)
    else { return nil }
    return DatasetIndex.Entry(
      path: path, bytes: bytes, modified: modified, size: PixelSize(width: sides[0], height: sides[1]),
      checksum: checksum)
  }

  /// Lines that end in a line feed; an unfinished last one is left out.
  private struct Lines {
    private let text: Data
    private var start: Data.Index

    init(_ text: Data) {
      self.text = text
      start = text.startIndex
    }

    mutating func next() -> Data.SubSequence? {
      guard let end = text[start...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
      defer { start = end + 1 }
      return text[start..<end]
    }
  }
}
