import CHDF5
import Diagnostics

/// The value of a dataset or an attribute: both have a type, a shape, and bytes to read and write.
struct StoredValue: ~Copyable {
  let handle: Handle
  let isAttribute: Bool
  /// The file and the object's path, for messages.
  let file: String
  let object: String

  func error(cause: Diagnostic.Cause = .input, _ problem: String) -> Diagnostic {
    Diagnostic(cause: cause, file, at: object, problem)
  }

  private func own(_ id: hid_t) throws(Diagnostic) -> Handle {
    try Handle(id) { [file, object] in Diagnostic(file, at: object, "HDF5 failed: \($0)") }
  }

  func type() throws(Diagnostic) -> Handle {
    try own(isAttribute ? H5Aget_type(handle.id) : H5Dget_type(handle.id))
  }

  func shape() throws(Diagnostic) -> [Int] {
    let space = try own(isAttribute ? H5Aget_space(handle.id) : H5Dget_space(handle.id))
    guard H5Sget_simple_extent_type(space.id) != H5S_NULL else { return [0] }
    let rank = H5Sget_simple_extent_ndims(space.id)
    guard rank > 0 else { return [] }
    var dimensions = [hsize_t](repeating: 0, count: Int(rank))
    H5Sget_simple_extent_dims(space.id, &dimensions, nil)
    return dimensions.map { Int(clamping: $0) }
  }

  /// The number of elements; throws where a damaged or hostile file claims more than memory could hold.
  func count(of shape: [Int], bytesEach: Int) throws(Diagnostic) -> Int {
    var bytes = bytesEach
    for extent in shape where extent != 0 {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: extent)
      guard !overflow, product <= 1 << 36 else {
        throw error("claims shape \(describe(shape)): more than the 64 GiB that are read at once")
      }
      bytes = product
    }
    // Deflate packs a thousandfold at most; a dataset that holds nothing may claim any shape.
    guard isAttribute || bytes <= 1 << 28 || UInt64(bytes) / 2048 <= H5Dget_storage_size(handle.id) else {
      throw error("claims shape \(describe(shape)): far more than its \(H5Dget_storage_size(handle.id)) bytes can hold")
    }
    return shape.reduce(1, *)
  }

  func read(_ memoryType: hid_t, into destination: UnsafeMutableRawPointer) throws(Diagnostic) {
    let transfer = chdf5_strict_transfer()
    guard transfer >= 0 else { throw error(cause: .system, "cannot be read (\(HDF5Library.errorText))") }
    let status =
      isAttribute
      ? H5Aread(handle.id, memoryType, destination)
      : H5Dread(handle.id, memoryType, 0, 0, transfer, destination)
    guard status < 0 else { return }
    if chdf5_error_is_conversion() != 0 {
      throw error("holds a value that does not fit the type asked for")
    }
    throw error("cannot be read (\(HDF5Library.errorText)): the file may be damaged, copy it again")
  }

  func write(_ memoryType: hid_t, from source: UnsafeRawPointer) throws(Diagnostic) {
    let status =
      isAttribute ? H5Awrite(handle.id, memoryType, source) : H5Dwrite(handle.id, memoryType, 0, 0, 0, source)
    guard status >= 0 else { throw error(cause: .system, "cannot be written (\(HDF5Library.errorText))") }
  }

  // MARK: - Numbers

  /// Checks type and shape, and gives the number of elements.
  func checkNumbers(_ kind: HDF5ScalarKind, shape expected: [Int]?) throws(Diagnostic) -> Int {
    let type = try type()
    let stored = StoredType(of: type.id)
    guard stored.converts(to: kind) else {
      throw error("holds \(stored.name), not \(kind.rawValue)")
    }
    let shape = try shape()
    if let expected, expected != shape {
      throw error("has shape \(describe(shape)), not \(describe(expected))")
    }
    return try count(of: shape, bytesEach: 8)
  }

  func readNumbers<Scalar: HDF5Scalar>(_: Scalar.Type, shape: [Int]?) throws(Diagnostic) -> [Scalar] {
    let count = try checkNumbers(Scalar.hdf5ScalarKind, shape: shape)
    guard count > 0 else { return [] }
    var failed: Diagnostic?
    let values = [Scalar](unsafeUninitializedCapacity: count) { buffer, initialized in
      do throws(Diagnostic) {
        try read(Scalar.hdf5ScalarKind.memoryType, into: UnsafeMutableRawPointer(buffer.baseAddress!))
        initialized = count
      } catch { failed = error }
    }
    if let failed { throw failed }
    return values
  }

  // MARK: - Strings

  func readStrings() throws(Diagnostic) -> [String] {
    let type = try type()
    let stored = StoredType(of: type.id)
    guard stored == .string else { throw error("holds \(stored.name), not string") }
    let width = Int(H5Tget_size(type.id))
    let count = try count(of: try shape(), bytesEach: max(width, 8))
    guard count > 0 else { return [] }
    return H5Tis_variable_str(type.id) > 0
      ? try readVariableStrings(count, type: type) : try readFixedStrings(count, width: width, type: type)
  }

  private func readFixedStrings(_ count: Int, width: Int, type: borrowing Handle) throws(Diagnostic) -> [String] {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: count * width, alignment: 8)
    defer { bytes.deallocate() }
    try read(type.id, into: bytes.baseAddress!)
    let padding = StringPadding(of: type.id)
    return (0..<count).map { padding.decode(bytes[($0 * width)..<(($0 + 1) * width)]) }
  }

  private func readVariableStrings(_ count: Int, type: borrowing Handle) throws(Diagnostic) -> [String] {
    let pointers = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: count)
    pointers.initialize(repeating: nil, count: count)
    defer { pointers.deallocate() }
    try read(type.id, into: pointers)
    let strings = (0..<count).map { pointers[$0].map { String(cString: $0) } ?? "" }
    var extent = hsize_t(count)
    let space = try own(chdf5_simple_space(1, &extent))
    H5Dvlen_reclaim(type.id, space.id, 0, pointers)
    return strings
  }
}

/// How a fixed-length string fills its place.
enum StringPadding {
  case spaces, zeros, terminated

  init(of type: hid_t) {
    switch H5Tget_strpad(type) {
    case H5T_STR_SPACEPAD: self = .spaces
    case H5T_STR_NULLPAD: self = .zeros
    default: self = .terminated
    }
  }

  func decode(_ bytes: Slice<UnsafeMutableRawBufferPointer>) -> String {
    var bytes = bytes
    switch self {
    case .spaces: while bytes.last == UInt8(ascii: " ") { bytes.removeLast() }
    case .zeros: while bytes.last == 0 { bytes.removeLast() }
    case .terminated: bytes = bytes.prefix { $0 != 0 }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// Strings side by side in places of equal width, padded with zeros; the longest decides.
struct FixedStrings {
  let width: Int
  let bytes: [UInt8]

  /// Nil where a string holds a NUL character, which would come back shortened.
  init?(_ strings: [String]) {
    let width = max(1, strings.map(\.utf8.count).max() ?? 0)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(width * strings.count)
    for string in strings {
      guard !string.utf8.contains(0) else { return nil }
      bytes.append(contentsOf: string.utf8)
      bytes.append(contentsOf: repeatElement(0, count: width - string.utf8.count))
    }
    self.width = width
    self.bytes = bytes
  }
}

/// A shape in words: "16x3x3x3", "scalar".
func describe(_ shape: [Int]) -> String {
  shape.isEmpty ? "scalar" : shape.map(String.init).joined(separator: "x")
}
