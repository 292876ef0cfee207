import Crypto
public import Diagnostics
import Files

/// A safetensors file, read whole.
public final class SafetensorsFile {
  /// As it was given.
  public let path: String
  /// What lies where.
  public let header: SafetensorsHeader
  /// Of the whole file, 64 hexadecimal digits.
  public let sha256: String
  private let contents: FileContents

  /// - Throws: where there is no such file, or it is not one whole safetensors file.
  public init(_ path: String) throws(Diagnostic) {
    self.path = path
    contents = try FileContents(of: path, expecting: "a safetensors file")
    header = try SafetensorsHeader(contents.bytes, path: path)
    var hash = SHA256()
    hash.update(bufferPointer: contents.bytes)
    sha256 = hash.finalize().map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
  }

  /// A tensor's elements: F32 as they are, F64 rounded to the nearest, F16 and BF16 exactly.
  /// - Throws: for any other type.
  public func floats(_ entry: SafetensorsHeader.Entry) throws(Diagnostic) -> [Float] {
    let bytes = UnsafeRawBufferPointer(rebasing: contents.bytes[entry.bytes])
    func elements<Bits: FixedWidthInteger>(_ type: Bits.Type, _ convert: (Bits) -> Float) -> [Float] {
      let size = MemoryLayout<Bits>.size
      return (0..<bytes.count / size).map { index in
        convert(Bits(littleEndian: bytes.loadUnaligned(fromByteOffset: index * size, as: Bits.self)))
      }
    }
    switch entry.type {
    case .float32: return elements(UInt32.self) { Float(bitPattern: $0) }
    case .float64: return elements(UInt64.self) { Float(Double(bitPattern: $0)) }
    case .float16: return elements(UInt16.self) { Float(Float16(bitPattern: $0)) }
    case .bfloat16: return elements(UInt16.self) { Float(bitPattern: UInt32($0) << 16) }
    default:
      throw Diagnostic(
        path, at: entry.name, "has elements of type \(entry.type.rawValue); allowed: F32, F64, F16, BF16",
        remedy: "convert it to float32")
    }
  }
}
