import CHDF5
public import Diagnostics

extension HDF5Group {
  /// The extents of a dataset, empty for a scalar.
  public func shape(_ name: String) throws(Diagnostic) -> [Int] {
    try HDF5Library.locked { () throws(Diagnostic) in try dataset(name).shape() }
  }

  /// The number type of a dataset; nil where it holds something else.
  public func scalarKind(_ name: String) throws(Diagnostic) -> HDF5ScalarKind? {
    try HDF5Library.locked { () throws(Diagnostic) in
      let type = try dataset(name).type()
      return HDF5ScalarKind(rawValue: StoredType(of: type.id).name)
    }
  }

  // MARK: - Numbers

  /// The elements of a dataset in row-major order, converted where no information but precision is lost.
  ///
  /// - Parameter shape: The shape it must have; nil takes any.
  /// - Throws: Where it is missing, is not numbers, has another shape, holds fractions and `Scalar` is an integer, or holds a
  ///   value outside the range of `Scalar`.
  public func read<Scalar: HDF5Scalar>(
    _ name: String, as scalar: Scalar.Type = Scalar.self, shape: [Int]? = nil
  ) throws(Diagnostic) -> [Scalar] {
    try HDF5Library.locked { () throws(Diagnostic) in try dataset(name).readNumbers(scalar, shape: shape) }
  }

  /// Reads a dataset straight into a buffer of exactly its number of elements; see `read(_:as:shape:)`.
  public func read<Scalar: HDF5Scalar>(
    _ name: String, into destination: UnsafeMutableBufferPointer<Scalar>, shape: [Int]? = nil
  ) throws(Diagnostic) {
    try HDF5Library.locked { () throws(Diagnostic) in
      let dataset = try dataset(name)
      let count = try dataset.checkNumbers(Scalar.hdf5ScalarKind, shape: shape)
      guard count == destination.count else {
        throw dataset.error(
          "has shape \(describe(try dataset.shape())) (\(count) elements), not \(destination.count) elements")
      }
      guard let start = destination.baseAddress, count > 0 else { return }
      try dataset.read(Scalar.hdf5ScalarKind.memoryType, into: start)
    }
  }

  /// The value of a dataset of one element.
  public func readScalar<Scalar: HDF5Scalar>(
    _ name: String, as scalar: Scalar.Type = Scalar.self
  ) throws(Diagnostic) -> Scalar {
    try HDF5Library.locked { () throws(Diagnostic) in
      let dataset = try dataset(name)
      let values = try dataset.readNumbers(scalar, shape: nil)
      guard values.count == 1 else {
        throw dataset.error("has shape \(describe(try dataset.shape())), not scalar")
      }
      return values[0]
    }
  }

  /// Writes a new dataset.
  ///
  /// - Parameters:
  ///   - shape: Row-major extents whose product is the number of elements; nil for one dimension, [] for a scalar.
  ///   - compressed: Whether a dataset of 16 KiB or more is stored in chunks with shuffle and deflate (level 1
  ///     of floats, else 6).
  public func write<Scalar: HDF5Scalar>(
    _ values: [Scalar], shape: [Int]? = nil, to name: String, compressed: Bool = true
  ) throws(Diagnostic) {
    var failed: Diagnostic?
    values.withUnsafeBufferPointer { buffer in
      do throws(Diagnostic) { try write(buffer, shape: shape, to: name, compressed: compressed) } catch {
        failed = error
      }
    }
    if let failed { throw failed }
  }

  /// Writes a new dataset straight from a buffer; see the version for arrays.
  public func write<Scalar: HDF5Scalar>(
    _ values: UnsafeBufferPointer<Scalar>, shape: [Int]? = nil, to name: String, compressed: Bool = true
  ) throws(Diagnostic) {
    let shape = shape ?? [values.count]
    precondition(shape.reduce(1, *) == values.count, "the shape \(shape) does not have \(values.count) elements")
    try HDF5Library.locked { () throws(Diagnostic) in
      let dataset = try createDataset(
        name, type: Scalar.hdf5ScalarKind.storedType, shape: shape, bytesEach: MemoryLayout<Scalar>.stride,
        compressed: compressed)
      guard let start = values.baseAddress, !values.isEmpty else { return }
      try dataset.write(Scalar.hdf5ScalarKind.memoryType, from: start)
    }
  }

  /// Writes a new dataset of one number.
  public func write<Scalar: HDF5Scalar>(scalar: Scalar, to name: String) throws(Diagnostic) {
    try write([scalar], shape: [], to: name)
  }

  // MARK: - Strings

  /// The strings of a dataset of any shape, in row-major order.
  public func readStrings(_ name: String) throws(Diagnostic) -> [String] {
    try HDF5Library.locked { () throws(Diagnostic) in try dataset(name).readStrings() }
  }

  /// The string of a dataset of one string.
  public func readString(_ name: String) throws(Diagnostic) -> String {
    try HDF5Library.locked { () throws(Diagnostic) in
      let dataset = try dataset(name)
      let strings = try dataset.readStrings()
      guard strings.count == 1 else {
        throw dataset.error("has shape \(describe(try dataset.shape())), not one string")
      }
      return strings[0]
    }
  }

  /// Writes a new one-dimensional dataset of fixed-length UTF-8 strings.
  public func write(_ strings: [String], to name: String) throws(Diagnostic) {
    try writeStrings(strings, shape: [strings.count], to: name)
  }

  /// Writes a new dataset of one UTF-8 string.
  public func write(_ string: String, to name: String) throws(Diagnostic) {
    try writeStrings([string], shape: [], to: name)
  }

  private func writeStrings(_ strings: [String], shape: [Int], to name: String) throws(Diagnostic) {
    guard let fixed = FixedStrings(strings) else {
      throw Diagnostic(file.path, at: absolute(name), "a string with a NUL character cannot be stored")
    }
    try HDF5Library.locked { () throws(Diagnostic) in
      let type = try handle(name, chdf5_fixed_string_type(fixed.width, H5T_CSET_UTF8))
      let dataset = try createDataset(name, type: type.id, shape: shape, bytesEach: fixed.width, compressed: true)
      guard !strings.isEmpty else { return }
      try dataset.write(type.id, from: fixed.bytes)
    }
  }

  // MARK: - For the other parts of this module; all within HDF5Library.locked

  func dataset(_ name: String) throws(Diagnostic) -> StoredValue {
    StoredValue(
      handle: try open(name, as: .dataset), isAttribute: false, file: file.path, object: absolute(name))
  }

  /// Creates a dataset; one that may grow (a table) is always in chunks.
  func createDataset(
    _ name: String, type: hid_t, shape: [Int], bytesEach: Int, compressed: Bool, growing: Bool = false
  ) throws(Diagnostic) -> StoredValue {
    try checkIsNew(name)
    let dimensions = shape.map { hsize_t($0) }
    let space = try handle(
      name,
      growing
        ? chdf5_growing_space(dimensions[0])
        : shape.isEmpty ? chdf5_scalar_space() : chdf5_simple_space(Int32(shape.count), dimensions))
    let creation = try handle(name, chdf5_dataset_creation())
    let chunk = ChunkShape(of: shape, bytesEach: bytesEach, always: growing)
    if growing || compressed, let chunk {
      let extents = chunk.extents.map { hsize_t($0) }
      // Mantissas hardly shrink: of float weights level 6 would save 1 % more in three times the time.
      let level: UInt32 = H5Tget_class(type) == H5T_FLOAT ? 1 : 6
      guard H5Pset_chunk(creation.id, Int32(extents.count), extents) >= 0,
        H5Pset_shuffle(creation.id) >= 0, H5Pset_deflate(creation.id, level) >= 0
      else { throw damaged(name) }
    }
    let links = try handle(name, chdf5_link_creation())
    return StoredValue(
      handle: try handle(
        name, H5Dcreate2(try file.identifier(), absolute(name), type, space.id, links.id, creation.id, 0)),
      isAttribute: false, file: file.path, object: absolute(name))
  }
}

/// How a dataset is cut: whole trailing dimensions where they fit, at most 512 KiB a chunk.
struct ChunkShape {
  let extents: [Int]

  /// Nil for a dataset of less than 16 KiB, which is stored in one piece; with `always` it gets a small chunk.
  init?(of shape: [Int], bytesEach: Int, always: Bool) {
    var bytes = shape.reduce(bytesEach, *)
    if always {
      // Room to grow to 16 KiB, without reserving that for a table of few rows: unused rows compress to nothing.
      let rows = max(1, min(max(shape[0], (1 << 14) / bytesEach), (1 << 19) / bytesEach))
      extents = [rows]
      return
    }
    guard !shape.isEmpty, bytes >= 1 << 14 else { return nil }
    var extents = shape
    for dimension in extents.indices where bytes > 1 << 19 {
      let rest = bytes / extents[dimension]
      extents[dimension] = max(1, (1 << 19) / rest)
      bytes = rest * extents[dimension]
    }
    self.extents = extents
  }
}
