import CHDF5
public import Diagnostics

/// Attributes of this group (`on` nil) or of the dataset or group of that name.
extension HDF5Group {
  /// Sorted.
  public func attributeNames(on name: String? = nil) throws(Diagnostic) -> [String] {
    try HDF5Library.locked { () throws(Diagnostic) in
      let object = try openObject(name)
      return try sortedNames(name ?? "") { chdf5_attribute_names(object.id, $0, $1) }
    }
  }

  /// Throws where the object itself is missing.
  public func hasAttribute(_ attribute: String, on name: String? = nil) throws(Diagnostic) -> Bool {
    try HDF5Library.locked { () throws(Diagnostic) in
      let object = try openObject(name)
      return try exists(attribute, of: object, name)
    }
  }

  /// Where an attribute is damaged HDF5 can tell of no other whether it is there, and crashes when it lists them.
  private func exists(
    _ attribute: String, of object: borrowing Handle, _ name: String?
  ) throws(Diagnostic) -> Bool {
    let answer = H5Aexists(object.id, attribute)
    guard answer >= 0 else { throw damaged(name ?? "") }
    return answer > 0
  }

  /// A number; see `read(_:as:shape:)` for the conversions.
  public func attribute<Scalar: HDF5Scalar>(
    _ attribute: String, as scalar: Scalar.Type = Scalar.self, on name: String? = nil
  ) throws(Diagnostic) -> Scalar {
    try withAttribute(attribute, on: name) { value throws(Diagnostic) in
      let numbers = try value.readNumbers(scalar, shape: nil)
      guard numbers.count == 1 else {
        throw value.error("has shape \(describe(try value.shape())), not scalar")
      }
      return numbers[0]
    }
  }

  /// Numbers of any shape.
  public func attributes<Scalar: HDF5Scalar>(
    _ attribute: String, as scalar: Scalar.Type = Scalar.self, on name: String? = nil
  ) throws(Diagnostic) -> [Scalar] {
    try withAttribute(attribute, on: name) { value throws(Diagnostic) in
      try value.readNumbers(scalar, shape: nil)
    }
  }

  /// A string.
  public func stringAttribute(_ attribute: String, on name: String? = nil) throws(Diagnostic) -> String {
    try withAttribute(attribute, on: name) { value throws(Diagnostic) in
      let strings = try value.readStrings()
      guard strings.count == 1 else {
        throw value.error("has shape \(describe(try value.shape())), not one string")
      }
      return strings[0]
    }
  }

  /// Strings of any shape.
  public func stringAttributes(_ attribute: String, on name: String? = nil) throws(Diagnostic) -> [String] {
    try withAttribute(attribute, on: name) { value throws(Diagnostic) in try value.readStrings() }
  }

  /// Writes a new attribute of one number.
  public func setAttribute<Scalar: HDF5Scalar>(
    _ attribute: String, to value: Scalar, on name: String? = nil
  ) throws(Diagnostic) {
    try setNumbers(attribute, [value], scalar: true, on: name)
  }

  /// Writes a new one-dimensional attribute of at most 64 KB.
  public func setAttribute<Scalar: HDF5Scalar>(
    _ attribute: String, to values: [Scalar], on name: String? = nil
  ) throws(Diagnostic) {
    try setNumbers(attribute, values, scalar: false, on: name)
  }

  /// Writes a new attribute of one UTF-8 string.
  public func setAttribute(_ attribute: String, to value: String, on name: String? = nil) throws(Diagnostic) {
    try setStrings(attribute, [value], scalar: true, on: name)
  }

  /// Writes a new one-dimensional attribute of UTF-8 strings.
  public func setAttribute(_ attribute: String, to values: [String], on name: String? = nil) throws(Diagnostic) {
    try setStrings(attribute, values, scalar: false, on: name)
  }

  // MARK: -

  private func objectPath(_ attribute: String, on name: String?) -> String {
    "\(absolute(name ?? ""))@\(attribute)"
  }

  private func withAttribute<Result>(
    _ attribute: String, on name: String?, _ body: (borrowing StoredValue) throws(Diagnostic) -> Result
  ) throws(Diagnostic) -> Result {
    try HDF5Library.locked { () throws(Diagnostic) in
      let object = try openObject(name)
      let path = objectPath(attribute, on: name)
      guard try exists(attribute, of: object, name) else {
        let names = try attributeNames(on: name)
        throw Diagnostic(
          file.path, at: path,
          "no such attribute; \(names.isEmpty ? "there is none" : "there are \(names.joined(separator: ", "))")")
      }
      let handle = try handle(name ?? "", H5Aopen(object.id, attribute, 0))
      return try body(StoredValue(handle: handle, isAttribute: true, file: file.path, object: path))
    }
  }

  private func create(
    _ attribute: String, on name: String?, type: hid_t, count: Int, scalar: Bool
  ) throws(Diagnostic) -> StoredValue {
    let object = try openObject(name)
    let path = objectPath(attribute, on: name)
    guard !attribute.isEmpty, !attribute.utf8.contains(0) else {
      throw Diagnostic(file.path, at: path, "the name is empty or has a NUL character")
    }
    guard try !exists(attribute, of: object, name) else {
      throw Diagnostic(file.path, at: path, "the attribute is already set")
    }
    var extent = hsize_t(count)
    let space = try handle(name ?? "", scalar ? chdf5_scalar_space() : chdf5_simple_space(1, &extent))
    let creation = try handle(name ?? "", chdf5_attribute_creation())
    return StoredValue(
      handle: try Handle(H5Acreate2(object.id, attribute, type, space.id, creation.id, 0)) {
        Diagnostic(cause: .system, file.path, at: path, "cannot be stored (\($0)); attributes hold at most 64 KB")
      },
      isAttribute: true, file: file.path, object: path)
  }

  private func setNumbers<Scalar: HDF5Scalar>(
    _ attribute: String, _ values: [Scalar], scalar: Bool, on name: String?
  ) throws(Diagnostic) {
    try HDF5Library.locked { () throws(Diagnostic) in
      let kind = Scalar.hdf5ScalarKind
      let stored = try create(attribute, on: name, type: kind.storedType, count: values.count, scalar: scalar)
      guard !values.isEmpty else { return }
      try stored.write(kind.memoryType, from: values)
    }
  }

  /// Variable-length strings: Python sees `str`, where fixed-length ones would be `bytes`.
  private func setStrings(
    _ attribute: String, _ strings: [String], scalar: Bool, on name: String?
  ) throws(Diagnostic) {
    guard !strings.contains(where: { $0.utf8.contains(0) }) else {
      throw Diagnostic(
        file.path, at: objectPath(attribute, on: name),
        "a string with a NUL character cannot be stored")
    }
    try HDF5Library.locked { () throws(Diagnostic) in
      let type = try handle(name ?? "", chdf5_variable_string_type())
      let stored = try create(attribute, on: name, type: type.id, count: strings.count, scalar: scalar)
      guard !strings.isEmpty else { return }
      let copies = strings.map { $0.utf8CString }
      var pointers = copies.map { copy in
        let pointer = UnsafeMutablePointer<CChar>.allocate(capacity: copy.count)
        pointer.initialize(from: Array(copy), count: copy.count)
        return pointer
      }
      defer { for pointer in pointers { pointer.deallocate() } }
      try stored.write(type.id, from: &pointers)
    }
  }
}
