import Diagnostics
public import Foundation
public import Records

/// The safetensors format: the header's length as 8 little-endian bytes, the header (JSON: for each name dtype, shape and the
/// range of its bytes in the data), and the data, row-major and little-endian.
/// (https://huggingface.co/docs/safetensors, version 0.x: the only one.)
public enum Safetensors {
  /// - Parameters:
  ///   - tensors: with different names.
  ///   - metadata: facts beside the tensors.
  /// - Throws: where a name occurs twice, or is that of the metadata.
  public static func file(_ tensors: [NamedTensor], metadata: [String: String]) throws -> Data {
    struct Entry: Encodable {
      let dtype: String
      let shape: [Int]
      let offsets: [Int]

      enum CodingKeys: String, CodingKey {
        case dtype, shape
        case offsets = "data_offsets"
      }
    }
    enum Value: Encodable {
      case tensor(Entry)
      case metadata([String: String])

      func encode(to encoder: any Encoder) throws {
        switch self {
        case .tensor(let entry): try entry.encode(to: encoder)
        case .metadata(let metadata): try metadata.encode(to: encoder)
        }
      }
    }
    var header: [String: Value] = metadata.isEmpty ? [:] : ["__metadata__": .metadata(metadata)]
    var data = Data()
    for tensor in tensors {
      guard header[tensor.name] == nil else {
        throw Diagnostic("tensor \(tensor.name)", "has the name of another, or of the metadata", remedy: "rename it")
      }
      let start = data.count
      let dtype: String
      switch tensor.elements {
      case .float(let values):
        dtype = "F32"
        values.map(\.bitPattern.littleEndian).withUnsafeBytes { data.append(contentsOf: $0) }
      case .uint8(let values):
        dtype = "U8"
        data.append(contentsOf: values)
      case .int8(let values):
        dtype = "I8"
        data.append(contentsOf: values.map(UInt8.init(bitPattern:)))
      }
      header[tensor.name] = .tensor(Entry(dtype: dtype, shape: tensor.shape, offsets: [start, data.count]))
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    var json = try encoder.encode(header)
    // Spaces at the end align the data to 8 bytes.
    json.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - json.count % 8) % 8))
    var file = Data()
    withUnsafeBytes(of: UInt64(json.count).littleEndian) { file.append(contentsOf: $0) }
    return file + json + data
  }
}
