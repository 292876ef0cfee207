import Diagnostics
import Foundation

/// The checksum that follows the HDF5 data of every file that this program writes.
///
/// HDF5 has none over most of its metadata, and a changed byte there can end the process that reads it. Readers of HDF5 do not
/// look beyond the end that the file's superblock names; a program that changes the file cuts the checksum off, so files
/// without one are as good as before.
enum FileChecksum {
  private static let mark = Array("spqatsum".utf8)
  /// The mark, and eight bytes of checksum with the lowest first.
  static let size = 16

  /// Calls `body` with what is to follow these bytes in the file.
  static func withTrailer(
    of bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws(Diagnostic) -> Void
  ) throws(Diagnostic) {
    let trailer = trailer(of: bytes)
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: trailer)
    try body(UnsafeRawBufferPointer(copy))
  }

  private static func trailer(of bytes: UnsafeRawBufferPointer) -> [UInt8] {
    let sum = hash(bytes)
    return mark + (0..<8).map { UInt8(truncatingIfNeeded: sum >> (8 * UInt64($0))) }
  }

  /// False where a file's contents end in the checksum of others; true where they end in none.
  static func matches(_ contents: UnsafeRawBufferPointer) -> Bool {
    guard contents.count >= size else { return true }
    let end = contents.count - size
    guard contents[end...].starts(with: mark) else { return true }
    return trailer(of: UnsafeRawBufferPointer(rebasing: contents[..<end])).elementsEqual(contents[end...])
  }

  /// FNV-1a with 64 bits: every step is a bijection, so no single changed byte goes unnoticed.
  private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }
}
