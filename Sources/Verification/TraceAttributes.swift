import Diagnostics
import Networks
import Quantization
import Storage

/// The attributes of a trace's file, each checked against what is allowed.
struct TraceAttributes {
  let path: String
  let file: HDF5Group

  /// - Throws: `Diagnostic` unless the file says that it is a trace of version 1.
  init(path: String, file: HDF5Group) throws {
    self.path = path
    self.file = file
    guard try file.hasAttribute("format") else {
      throw fail("is not a trace: attribute 'format' is missing; expected format 'qat-reference-trace', version 1")
    }
    let format = try file.stringAttribute("format")
    guard format == "qat-reference-trace" else {
      throw fail("is not a trace: format is '\(format)'; expected 'qat-reference-trace'")
    }
    let version: Int = try file.attribute("version")
    guard version == 1 else { throw fail("trace version \(version) is not supported; expected 1") }
  }

  func fail(_ problem: String) -> Diagnostic { Diagnostic(path, problem) }

  func choose<Value>(_ attribute: String, _ values: [(String, Value)]) throws -> Value {
    let found = try file.stringAttribute(attribute)
    guard let value = values.first(where: { $0.0 == found }) else {
      throw fail(
        "attribute '\(attribute)' is '\(found)'; allowed: \(values.map { "'\($0.0)'" }.joined(separator: ", "))")
    }
    return value.1
  }

  func number<Value: Comparable & HDF5Scalar>(_ attribute: String, in range: ClosedRange<Value>) throws -> Value {
    let value: Value = try file.attribute(attribute)
    guard range.contains(value) else {
      throw fail("attribute '\(attribute)' is \(value); allowed: \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  func number<Value: Comparable & HDF5Scalar>(
    _ attribute: String, in range: ClosedRange<Value>, default value: Value
  ) throws -> Value {
    try file.hasAttribute(attribute) ? number(attribute, in: range) : value
  }
}
