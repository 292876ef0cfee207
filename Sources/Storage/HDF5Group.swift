import CHDF5

/// A group of an open file: a place to read and write datasets, tables, attributes and further groups by name.
///
/// A name may be a path ("final/conv1.weight") relative to this group; writing makes the groups on the way.
public struct HDF5Group: Sendable {
  public let file: HDF5File
  /// The path from the root, "/" for the root itself.
  public let path: String

  /// What a name stands for.
  public enum Member: Sendable {
    case group, dataset
  }

  /// The existing group of that name.
  public func group(_ name: String) throws(StorageError) -> HDF5Group {
    try HDF5Library.locked { () throws(StorageError) in
      _ = try open(name, as: .group)
      return HDF5Group(file: file, path: absolute(name))
    }
  }

  /// A new group.
  public func createGroup(_ name: String) throws(StorageError) -> HDF5Group {
    try HDF5Library.locked { () throws(StorageError) in
      try checkIsNew(name)
      let links = try handle(name, chdf5_link_creation())
      let creation = try handle(name, chdf5_group_creation())
      _ = try handle(name, H5Gcreate2(try file.identifier(), absolute(name), links.id, creation.id, 0))
      return HDF5Group(file: file, path: absolute(name))
    }
  }

  /// Whether a dataset or group of that name is there.
  public func contains(_ name: String) throws(StorageError) -> Bool {
    try member(name) != nil
  }

  /// What the name stands for, nil where nothing has it.
  public func member(_ name: String) throws(StorageError) -> Member? {
    try HDF5Library.locked { () throws(StorageError) in
      let id = try file.identifier()
      guard exists(absolute(name), in: id) else { return nil }
      let object = try handle(name, H5Oopen(id, absolute(name), 0))
      return H5Iget_type(object.id) == H5I_GROUP ? .group : .dataset
    }
  }

  /// The names in this group, sorted.
  public func names() throws(StorageError) -> [String] {
    try HDF5Library.locked { () throws(StorageError) in
      let group = try open("", as: .group)
      var information = H5G_info_t()
      guard H5Gget_info(group.id, &information) >= 0 else { throw damaged("") }
      var names: [String] = []
      for index in 0..<information.nlinks {
        let length = H5Lget_name_by_idx(group.id, ".", H5_INDEX_NAME, H5_ITER_INC, index, nil, 0, 0)
        guard length > 0 else { throw damaged("") }
        var bytes = [CChar](repeating: 0, count: length + 1)
        H5Lget_name_by_idx(group.id, ".", H5_INDEX_NAME, H5_ITER_INC, index, &bytes, bytes.count, 0)
        names.append(String(decoding: bytes.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
      }
      return names
    }
  }

  /// The names of the groups in this group, sorted.
  public func groupNames() throws(StorageError) -> [String] {
    var names: [String] = []
    for name in try self.names() where try member(name) == .group { names.append(name) }
    return names
  }

  /// The names of the datasets in this group, sorted.
  public func datasetNames() throws(StorageError) -> [String] {
    var names: [String] = []
    for name in try self.names() where try member(name) == .dataset { names.append(name) }
    return names
  }

  // MARK: - For the other parts of this module; all within HDF5Library.locked

  /// The path from the root; "" names this group.
  func absolute(_ name: String) -> String {
    if name.isEmpty { path } else if path == "/" { "/" + name } else { path + "/" + name }
  }

  /// Opens what `name` stands for; a missing one throws an error that lists what is there.
  func open(_ name: String, as wanted: Member) throws(StorageError) -> Handle {
    let id = try file.identifier()
    let path = absolute(name)
    let kind = wanted == .group ? "group" : "dataset"
    guard exists(path, in: id) else {
      throw StorageError(.missing, file: file.path, object: path, "no such \(kind)\(try neighbours(of: path))")
    }
    let object = try handle(name, H5Oopen(id, path, 0))
    let found = H5Iget_type(object.id)
    guard found == (wanted == .group ? H5I_GROUP : H5I_DATASET) else {
      throw StorageError(
        .wrongType, file: file.path, object: path, "is a \(found == H5I_GROUP ? "group" : "dataset"), not a \(kind)")
    }
    return object
  }

  /// Opens this group itself (name nil), or the dataset or group of that name.
  func openObject(_ name: String?) throws(StorageError) -> Handle {
    let id = try file.identifier()
    let path = absolute(name ?? "")
    guard exists(path, in: id) else {
      throw StorageError(
        .missing, file: file.path, object: path, "no such dataset or group\(try neighbours(of: path))")
    }
    return try handle(name ?? "", H5Oopen(id, path, 0))
  }

  func checkIsNew(_ name: String) throws(StorageError) {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard !name.utf8.contains(0), parts.allSatisfy({ !$0.isEmpty && $0 != "." }) else {
      throw StorageError(
        .badName, file: file.path, object: absolute(name), "the name has an empty part, '.' or a NUL character")
    }
    guard !exists(absolute(name), in: try file.identifier()) else {
      throw StorageError(.badName, file: file.path, object: absolute(name), "the name is already in use in this file")
    }
  }

  /// Wraps a new identifier; a negative one becomes an error with HDF5's reason.
  func handle(_ name: String, _ id: hid_t) throws(StorageError) -> Handle {
    try Handle(id) { StorageError(.damaged, file: file.path, object: absolute(name), "HDF5 failed: \($0)") }
  }

  func damaged(_ name: String) -> StorageError {
    StorageError(.damaged, file: file.path, object: absolute(name), "HDF5 failed: \(HDF5Library.errorText)")
  }

  /// HDF5 asks for one look per part of the path.
  private func exists(_ path: String, in id: hid_t) -> Bool {
    guard !path.utf8.contains(0) else { return false }
    var partial = ""
    for part in path.split(separator: "/") {
      partial += "/" + part
      guard H5Lexists(id, partial, 0) > 0, H5Oexists_by_name(id, partial, 0) > 0 else { return false }
    }
    return true
  }

  private func neighbours(of path: String) throws(StorageError) -> String {
    var parts = path.split(separator: "/").map(String.init)
    let id = try file.identifier()
    repeat { parts.removeLast() } while !exists("/" + parts.joined(separator: "/"), in: id)
    let parent = HDF5Group(file: file, path: "/" + parts.joined(separator: "/"))
    guard try parent.member("") == .group else { return "" }
    let names = try parent.names()
    guard !names.isEmpty else { return "; \(parent.path) is empty" }
    return "; \(parent.path) has \(names.prefix(8).joined(separator: ", "))\(names.count > 8 ? ", …" : "")"
  }
}
