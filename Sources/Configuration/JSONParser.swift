/// What is wrong with a JSON text, and where.
package struct JSONSyntaxError: Error, Equatable {
  /// 1-based, as editors count.
  package var line: Int
  package var column: Int
  package var problem: String
}

/// Reads strict JSON (RFC 8259): duplicate keys, comments, trailing commas and anything after the value are refused.
package struct JSONParser {
  private let bytes: [UInt8]
  private var position = 0
  private var depth = 0
  /// Deep enough for any configuration, shallow enough for the stack.
  private static let maximumDepth = 64

  package static func parse(_ text: [UInt8]) throws(JSONSyntaxError) -> JSONValue {
    guard String(validating: text, as: UTF8.self) != nil else {
      throw JSONSyntaxError(line: 1, column: 1, problem: "is not UTF-8 text")
    }
    var parser = JSONParser(text)
    let value = try parser.value()
    parser.skipSpace()
    if parser.position < parser.bytes.count {
      throw parser.error("expected the end of the file after the value, found \(parser.found)")
    }
    return value
  }

  private init(_ bytes: [UInt8]) {
    self.bytes = bytes
    // A byte order mark is legal to ignore and invisible to whoever would have to remove it.
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
  }

  private func error(_ problem: String, at offset: Int? = nil) -> JSONSyntaxError {
    let before = bytes[..<min(offset ?? position, bytes.count)]
    let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    return JSONSyntaxError(
      line: before.count { $0 == UInt8(ascii: "\n") } + 1, column: before.count - lineStart + 1, problem: problem)
  }

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  private var found: String {
    guard let byte = peek else { return "the end of the file" }
    return (0x21..<0x7F).contains(byte) ? "\"\(Character(Unicode.Scalar(byte)))\"" : "an unprintable character"
  }

  private mutating func skipSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private mutating func take(_ character: Character) -> Bool {
    guard peek == character.asciiValue else { return false }
    position += 1
    return true
  }

  private mutating func value() throws(JSONSyntaxError) -> JSONValue {
    skipSpace()
    guard let byte = peek else { throw error("expected a value, found the end of the file") }
    switch byte {
    case UInt8(ascii: "{"): return try nested { parser throws(JSONSyntaxError) in try parser.object() }
    case UInt8(ascii: "["): return try nested { parser throws(JSONSyntaxError) in try parser.array() }
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    default:
      for (word, value) in [("true", JSONValue.bool(true)), ("false", .bool(false)), ("null", .null)]
      where bytes[position...].starts(with: word.utf8) {
        position += word.utf8.count
        return value
      }
      throw error("expected a value, found \(found)")
    }
  }

  private mutating func nested(
    _ body: (inout JSONParser) throws(JSONSyntaxError) -> JSONValue
  ) throws(JSONSyntaxError) -> JSONValue {
    depth += 1
    defer { depth -= 1 }
    if depth > Self.maximumDepth { throw error("is nested more than \(Self.maximumDepth) levels deep") }
    return try body(&self)
  }

  private mutating func object() throws(JSONSyntaxError) -> JSONValue {
    position += 1
    var members: [JSONValue.Member] = []
    var keys: Set<String> = []
    skipSpace()
    if take("}") { return .object([]) }
    repeat {
      skipSpace()
      guard peek == UInt8(ascii: "\"") else { throw error("expected a key in quotation marks, found \(found)") }
      let start = position
      let key = try string()
      if !keys.insert(key).inserted {
        throw error("the key \(JSONValue.quoted(key)) appears twice in one object; keep one", at: start)
      }
      skipSpace()
      guard take(":") else { throw error("expected \":\" after the key \(JSONValue.quoted(key)), found \(found)") }
      members.append(JSONValue.Member(key, try value()))
      skipSpace()
    } while take(",")
    guard take("}") else { throw error("expected \",\" or \"}\", found \(found)") }
    return .object(members)
  }

  private mutating func array() throws(JSONSyntaxError) -> JSONValue {
    position += 1
    var values: [JSONValue] = []
    skipSpace()
    if take("]") { return .array([]) }
    repeat {
      values.append(try value())
      skipSpace()
    } while take(",")
    guard take("]") else { throw error("expected \",\" or \"]\", found \(found)") }
    return .array(values)
  }

  private mutating func digits() -> Bool {
    let start = position
    while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
    return position > start
  }

  private mutating func number() throws(JSONSyntaxError) -> JSONValue {
    let start = position
    _ = take("-")
    let leadingZero = peek == UInt8(ascii: "0")
    let integerStart = position
    var valid = digits() && !(leadingZero && position - integerStart > 1)
    if take(".") { valid = digits() && valid }
    if take("e") || take("E") {
      if !take("+") { _ = take("-") }
      valid = digits() && valid
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    guard valid, let value = Double(text) else { throw error("\(text) is not a JSON number", at: start) }
    guard value.isFinite else { throw error("\(text) is too large a number", at: start) }
    if let integer = Int(text) { return .integer(integer) }
    return .number(value)
  }

  private mutating func string() throws(JSONSyntaxError) -> String {
    let start = position
    position += 1
    var content: [UInt8] = []
    while let byte = peek {
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: content, as: UTF8.self)
      case UInt8(ascii: "\\"): content += String(try escape()).utf8
      case ..<0x20: throw error("a line break or control character inside a string; write it as an escape")
      default: content.append(byte)
      }
    }
    throw error("the string that starts here never ends", at: start)
  }

  private mutating func escape() throws(JSONSyntaxError) -> Unicode.Scalar {
    guard let byte = peek else { throw error("the file ends inside a string") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      let unit = try hexadecimalUnit()
      if let scalar = Unicode.Scalar(unit) { return scalar }
      guard (0xD800..<0xDC00).contains(unit), take("\\"), take("u") else { throw error("half a surrogate pair") }
      let low = try hexadecimalUnit()
      guard (0xDC00..<0xE000).contains(low) else { throw error("half a surrogate pair") }
      return Unicode.Scalar(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))!
    default: throw error("unknown escape in a string", at: position - 2)
    }
  }

  private mutating func hexadecimalUnit() throws(JSONSyntaxError) -> UInt32 {
    let text = String(decoding: bytes[position..<min(position + 4, bytes.count)], as: UTF8.self)
    guard text.utf8.count == 4, text.allSatisfy(\.isHexDigit), let unit = UInt32(text, radix: 16) else {
      throw error("\\u needs four hexadecimal digits")
    }
    position += 4
    return unit
  }
}
