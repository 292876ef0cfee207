import Configuration
public import Diagnostics

/// What a safetensors file says about itself: where each tensor lies, its type and shape.
///
/// The rules are those of the format's own reader: the header is JSON, names are unlike, and the tensors' bytes fill the
/// data without a gap and without sharing any (https://huggingface.co/docs/safetensors).
public struct SafetensorsHeader: Equatable, Sendable {
  /// The format's element types.
  public enum ElementType: String, CaseIterable, Sendable {
    case bool = "BOOL"
    case uint8 = "U8"
    case int8 = "I8"
    case float8e5m2 = "F8_E5M2"
    case float8e4m3 = "F8_E4M3"
    case int16 = "I16"
    case uint16 = "U16"
    case float16 = "F16"
    case bfloat16 = "BF16"
    case int32 = "I32"
    case uint32 = "U32"
    case float32 = "F32"
    case int64 = "I64"
    case uint64 = "U64"
    case float64 = "F64"

    /// Bytes of an element.
    public var size: Int {
      switch self {
      case .bool, .uint8, .int8, .float8e5m2, .float8e4m3: 1
      case .int16, .uint16, .float16, .bfloat16: 2
      case .int32, .uint32, .float32: 4
      case .int64, .uint64, .float64: 8
      }
    }
  }

  /// One tensor's place in the file.
  public struct Entry: Equatable, Sendable {
    /// Unlike every other.
    public let name: String
    /// Of every element.
    public let type: ElementType
    /// Extents, outermost first; empty for a scalar.
    public let shape: [Int]
    /// Where its elements lie in the file, row-major and little-endian; as many as type and shape say.
    public let bytes: Range<Int>
  }

  /// Facts beside the tensors.
  public let metadata: [String: String]
  /// In the order of their bytes.
  public let entries: [Entry]

  private static let metadataKey = "__metadata__"
  /// Larger ones are no headers: the format's own reader stops here too.
  private static let maximumLength = 100_000_000

  /// - Parameters:
  ///   - file: the whole file.
  ///   - path: of the file, for messages.
  public init(_ file: UnsafeRawBufferPointer, path: String) throws(Diagnostic) {
    guard file.count >= 8 else {
      throw Diagnostic(path, "is no safetensors file: it has \(file.count) bytes, and the header's length alone has 8")
    }
    let length = file.loadUnaligned(as: UInt64.self).littleEndian
    guard length >= 2, length <= UInt64(Self.maximumLength), length <= UInt64(file.count - 8) else {
      throw Diagnostic(
        path, "is no safetensors file: a header of \(length) bytes does not fit into its \(file.count) bytes")
    }
    let data = 8 + Int(length)
    let header: JSONValue
    do {
      header = try JSONParser.parse(Array(file[8..<data]))
    } catch {
      throw Diagnostic(path, at: "header", "byte \(error.column): \(error.problem)")
    }
    guard case .object(let members) = header else { throw Diagnostic(path, at: "header", "is not a JSON object") }
    var metadata: [String: String] = [:]
    var entries: [Entry] = []
    for member in members {
      if member.key == Self.metadataKey {
        metadata = try Self.metadata(member.value, path)
      } else {
        entries.append(try Self.entry(member, start: data, path))
      }
    }
    entries.sort { ($0.bytes.lowerBound, $0.bytes.upperBound) < ($1.bytes.lowerBound, $1.bytes.upperBound) }
    var end = data
    for entry in entries {
      guard entry.bytes.lowerBound == end else {
        throw Diagnostic(
          path, at: entry.name,
          "begins at byte \(entry.bytes.lowerBound - data) of the data, where the tensor before it ends at byte "
            + "\(end - data)")
      }
      end = entry.bytes.upperBound
    }
    guard end == file.count else {
      throw Diagnostic(
        path, "its tensors need \(end) bytes, the file has \(file.count)",
        remedy: end > file.count ? "it was cut short; copy it again" : "it is no whole safetensors file")
    }
    self.metadata = metadata
    self.entries = entries
  }

  private static func metadata(_ value: JSONValue, _ path: String) throws(Diagnostic) -> [String: String] {
    guard case .object(let members) = value else {
      throw Diagnostic(path, at: metadataKey, "is not an object of texts")
    }
    var metadata: [String: String] = [:]
    for member in members {
      guard case .string(let text) = member.value else {
        throw Diagnostic(path, at: metadataKey, "holds something else than texts under '\(member.key)'")
      }
      metadata[member.key] = text
    }
    return metadata
  }

  private static func entry(_ member: JSONValue.Member, start: Int, _ path: String) throws(Diagnostic) -> Entry {
    func fail(_ problem: String) -> Diagnostic { Diagnostic(path, at: member.key, problem) }
    guard !member.key.isEmpty, !member.key.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F })
    else { throw fail("is no name of a tensor: it is empty or holds control characters") }
    guard case .object(let fields) = member.value, fields.count == 3 else {
      throw fail("is not an object of dtype, shape and data_offsets")
    }
    guard case .string(let typeName)? = member.value["dtype"] else { throw fail("has no dtype") }
    guard let type = ElementType(rawValue: typeName) else {
      throw fail(
        "has dtype \(typeName), which is unknown; known: \(ElementType.allCases.map(\.rawValue).joined(separator: ", "))"
      )
    }
    guard let shape = wholeNumbers(member.value["shape"]) else { throw fail("has no shape of whole numbers") }
    guard let offsets = wholeNumbers(member.value["data_offsets"]), offsets.count == 2, offsets[0] <= offsets[1],
      offsets[1] <= Int.max - start
    else { throw fail("has no data_offsets from a first byte to one behind the last") }
    var size = type.size
    for extent in shape {
      let (product, overflow) = size.multipliedReportingOverflow(by: extent)
      guard !overflow else { throw fail("has a shape too large for any file") }
      size = product
    }
    guard offsets[1] - offsets[0] == size else {
      throw fail("has \(offsets[1] - offsets[0]) bytes; \(typeName) of shape \(shape) needs \(size)")
    }
    return Entry(name: member.key, type: type, shape: shape, bytes: start + offsets[0]..<start + offsets[1])
  }

  private static func wholeNumbers(_ value: JSONValue?) -> [Int]? {
    guard case .array(let elements)? = value else { return nil }
    let numbers = elements.compactMap { element -> Int? in
      guard case .integer(let number) = element, number >= 0 else { return nil }
      return number
    }
    return numbers.count == elements.count ? numbers : nil
  }
}
