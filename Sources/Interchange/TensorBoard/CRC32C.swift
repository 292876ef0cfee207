package import Foundation

/// The cyclic redundancy check of 32 bits by Castagnoli's polynomial (RFC 3720, appendix B.4), which TFRecords carry.
package enum CRC32C {
  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { sum, _ in sum >> 1 ^ (sum & 1 == 1 ? 0x82F6_3B78 : 0) }
  }

  /// Of all bytes; 0 of none.
  package static func checksum(_ data: Data) -> UInt32 {
    ~data.reduce(~0) { sum, byte in sum >> 8 ^ table[Int(UInt8(truncatingIfNeeded: sum) ^ byte)] }
  }

  /// As TFRecords hold it: rotated and shifted, so that a checksum of data with checksums in them is as good.
  static func masked(_ data: Data) -> UInt32 {
    let sum = checksum(data)
    return (sum >> 15 | sum << 17) &+ 0xA282_EAD8
  }
}
