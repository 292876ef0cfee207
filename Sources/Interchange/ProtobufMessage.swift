import Foundation

/// A message in the wire format of protocol buffers, written field by field.
///
/// ONNX and TensorBoard need a dozen messages each, of a few kinds of fields, and nothing is read, which these few lines do;
/// generated code and a run-time library would be some ten thousand. (https://protobuf.dev/programming-guides/encoding)
struct ProtobufMessage {
  /// The message so far.
  private(set) var bytes = Data()

  /// Wire types of fields.
  private enum Wire: UInt64 {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case fixed32 = 5
  }

  private mutating func append(varint value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private mutating func append(tag field: Int, _ wire: Wire) { append(varint: UInt64(field) << 3 | wire.rawValue) }

  /// An int64, int32 or enumeration.
  mutating func add(_ field: Int, _ value: Int) {
    append(tag: field, .varint)
    append(varint: UInt64(bitPattern: Int64(value)))
  }

  /// A float.
  mutating func add(_ field: Int, _ value: Float) {
    append(tag: field, .fixed32)
    bytes.append(littleEndian: value.bitPattern)
  }

  /// A double.
  mutating func add(_ field: Int, double value: Double) {
    append(tag: field, .fixed64)
    bytes.append(littleEndian: value.bitPattern)
  }

  /// Doubles, packed.
  mutating func add(_ field: Int, doubles values: [Double]) {
    var packed = Data()
    for value in values { packed.append(littleEndian: value.bitPattern) }
    add(field, packed)
  }

  /// A string.
  mutating func add(_ field: Int, _ text: String) { add(field, Data(text.utf8)) }

  /// Bytes.
  mutating func add(_ field: Int, _ data: Data) {
    append(tag: field, .lengthDelimited)
    append(varint: UInt64(data.count))
    bytes.append(data)
  }

  /// A message within this one.
  mutating func add(_ field: Int, _ message: ProtobufMessage) { add(field, message.bytes) }

  /// A message within this one, of a few fields.
  mutating func add(_ field: Int, _ build: (inout ProtobufMessage) -> Void) {
    var message = ProtobufMessage()
    build(&message)
    add(field, message)
  }
}

extension Data {
  /// Appends the bytes of a number, the lowest first.
  mutating func append(littleEndian value: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }
}
