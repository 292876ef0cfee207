import Foundation

/// The global heaps of a file, in which HDF5 keeps strings of variable length (HDF5 File Format Specification 3.0, III.E):
/// HDF5 1.10 trusts the sizes in them and reads outside its memory, or for ever, where one is wrong.
enum GlobalHeaps {
  /// A heap's first bytes: its signature and version. HDF5 reads no heap that begins otherwise.
  private static let start = Array("GCOL\u{1}".utf8)
  /// Index, references, four unused bytes and size of an object.
  private static let headerSize = 16
  private static let smallestHeap = 4096

  /// Whether all heaps, wherever they stand, consist of objects that lie in them.
  /// - Parameter signature: where the file's HDF5 signature stands.
  static func areSound(in file: UnsafeRawBufferPointer, signature: Int) -> Bool {
    guard hasLongLengths(file, signature) else { return false }
    var place = 0
    while let distance = next(in: file[place...]) {
      place += distance
      guard isSound(UnsafeRawBufferPointer(rebasing: file[place...])) else { return false }
      place += start.count
    }
    return true
  }

  /// Addresses and lengths of 8 bytes, which all programs write that were not told otherwise.
  private static func hasLongLengths(_ file: UnsafeRawBufferPointer, _ signature: Int) -> Bool {
    guard file.count >= signature + 16 else { return false }
    let sizes = file[signature + 8] < 2 ? 13 : 9
    return file[signature + sizes] == 8 && file[signature + sizes + 1] == 8
  }

  private static func next(in bytes: Slice<UnsafeRawBufferPointer>) -> Int? {
    let bytes = UnsafeRawBufferPointer(rebasing: bytes)
    guard let first = bytes.baseAddress else { return nil }
    var place = 0
    while let found = memchr(first + place, Int32(start[0]), bytes.count - place) {
      place = UnsafeRawPointer(found) - first
      if bytes[place...].starts(with: start) { return place }
      place += 1
    }
    return nil
  }

  /// - Parameter bytes: from the heap's start to the file's end.
  private static func isSound(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let size = number(bytes, at: 8), size >= smallestHeap, size <= bytes.count else { return false }
    var place = headerSize
    while size - place >= headerSize {
      let left = size - place
      guard let length = number(bytes, at: place + 8), length <= left else { return false }
      if bytes.loadUnaligned(fromByteOffset: place, as: UInt16.self) == 0 {
        // Free space, whose size counts its header.
        guard length > 0 else { return false }
        place += length
      } else {
        let stored = headerSize + (length + 7) / 8 * 8
        guard stored <= left else { return false }
        place += stored
      }
    }
    return true
  }

  /// nil where it is too large for any file.
  private static func number(_ bytes: UnsafeRawBufferPointer, at place: Int) -> Int? {
    guard bytes.count >= place + 8 else { return nil }
    return Int(exactly: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)))
  }
}
