/// Checksums that a mutated file would never have right by chance: without them nothing but they would be tried.
enum Checksums {
  /// Writes the right CRC behind every chunk that is whole.
  static func mend(png file: inout [UInt8]) {
    var start = 8
    while start + 12 <= file.count {
      let length = file[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
      let end = start + 8 + length
      guard end + 4 <= file.count else { return }
      let sum = crc32(file[start + 4..<end])
      for byte in 0..<4 { file[end + byte] = UInt8(truncatingIfNeeded: sum >> (24 - 8 * UInt32(byte))) }
      start = end + 4
    }
  }

  /// Writes the right sum into every header, as six octal digits, NUL and a blank.
  static func mend(tar file: inout [UInt8]) {
    var start = 0
    while start + 512 <= file.count, file[start..<start + 512].contains(where: { $0 != 0 }) {
      for byte in start + 148..<start + 156 { file[byte] = 32 }
      var sum = file[start..<start + 512].reduce(0) { $0 + Int($1) }
      for byte in (start + 148..<start + 154).reversed() {
        file[byte] = 48 + UInt8(sum & 7)
        sum >>= 3
      }
      file[start + 154] = 0
      let digits = file[start + 124..<start + 136].filter { (48...55).contains($0) }
      let size = digits.reduce(0) { min($0 << 3, file.count) | Int($1 - 48) }
      start += 512 + (size + 511) / 512 * 512
    }
  }

  /// A gzip file with these contents, in blocks that are not compressed (RFC 1951, 3.2.4).
  static func gzip(_ contents: [UInt8]) -> [UInt8] {
    func littleEndian(_ number: Int, bytes: Int) -> [UInt8] {
      (0..<bytes).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }
    var file: [UInt8] = [31, 139, 8, 0, 0, 0, 0, 0, 0, 255]
    var start = 0
    repeat {
      let count = min(65_535, contents.count - start)
      file += [start + count == contents.count ? 1 : 0]
      file += littleEndian(count, bytes: 2) + littleEndian(~count, bytes: 2) + contents[start..<start + count]
      start += count
    } while start < contents.count
    return file + littleEndian(Int(crc32(contents[...])), bytes: 4) + littleEndian(contents.count, bytes: 4)
  }

  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { sum, _ in sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
  }

  private static func crc32(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    ~bytes.reduce(0xFFFF_FFFF) { $0 >> 8 ^ table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] }
  }
}
