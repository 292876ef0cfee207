import CHDF5
public import Diagnostics

/// A group of an open file: a place to read and write datasets, tables, attributes and further groups by name.
///
/// A name may be a path ("final/conv1.weight") relative to this group; writing makes the groups on the way.
public struct HDF5Group: Sendable {
  /// The open file that it is part of, and keeps open.
  public let file: HDF5File
  /// The path from the root, "/" for the root itself.
  public let path: String

  /// What a name stands for.
  public enum Member: Sendable {
    case group, dataset
  }

  /// The existing group of that name.
  public func group(_ name: String) throws(Diagnostic) -> HDF5Group {
    try HDF5Library.locked { () throws(Diagnostic) in
      _ = try open(name, as: .group)
      return HDF5Group(file: file, path: absolute(name))
    }
  }

  /// A new group.
  public func createGroup(_ name: String) throws(Diagnostic) -> HDF5Group {
    try HDF5Library.locked { () throws(Diagnostic) in
      try checkIsNew(name)
      let links = try handle(name, chdf5_link_creation())
      let creation = try handle(name, chdf5_group_creation())
      _ = try handle(name, H5Gcreate2(try file.identifier(), absolute(name), links.id, creation.id, 0))
      return HDF5Group(file: file, path: absolute(name))
    }
  }

  /// Whether a dataset or group of that name is there.
  public func contains(_ name: String) throws(Diagnostic) -> Bool {
    try member(name) != nil
  }

  /// What the name stands for, nil where nothing has it.
  public func member(_ name: String) throws(Diagnostic) -> Member? {
    try HDF5Library.locked { () throws(Diagnostic) in
      let id = try file.identifier()
      guard try exists(absolute(name), in: id) else { return nil }
      let object = try openObject(at: absolute(name), in: id)
      return H5Iget_type(object.id) == H5I_GROUP ? .group : .dataset
    }
  }

  /// The names in this group, sorted.
  public func names() throws(Diagnostic) -> [String] {
    try HDF5Library.locked { () throws(Diagnostic) in
      let group = try open("", as: .group)
      return try sortedNames("") { chdf5_link_names(group.id, $0, $1) }
    }
  }

  /// The names of the datasets in this group, sorted.
  public func datasetNames() throws(Diagnostic) -> [String] {
    var names: [String] = []
    for name in try self.names() where try member(name) == .dataset { names.append(name) }
    return names
  }

  // MARK: - For the other parts of this module; all within HDF5Library.locked

  /// What one of `chdf5_link_names` and `chdf5_attribute_names` finds of `name`, sorted by bytes.
  func sortedNames(
    _ name: String, _ list: (chdf5_name_body, UnsafeMutableRawPointer) -> herr_t
  ) throws(Diagnostic) -> [String] {
    var names: [String] = []
    let status = withUnsafeMutablePointer(to: &names) { names in
      list({ $1!.assumingMemoryBound(to: [String].self).pointee.append(String(cString: $0!)) }, names)
    }
    guard status >= 0, !names.contains("") else { throw damaged(name) }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// The path from the root; "" names this group.
  func absolute(_ name: String) -> String {
    if name.isEmpty { path } else if path == "/" { "/" + name } else { path + "/" + name }
  }

  /// Opens what `name` stands for; a missing one throws an error that lists what is there.
  func open(_ name: String, as wanted: Member) throws(Diagnostic) -> Handle {
    let id = try file.identifier()
    let path = absolute(name)
    let kind = wanted == .group ? "group" : "dataset"
    guard try exists(path, in: id) else {
      throw Diagnostic(file.path, at: path, "no such \(kind)\(try neighbours(of: path))")
    }
    let object = try openObject(at: path, in: id)
    let found = H5Iget_type(object.id)
    guard found == (wanted == .group ? H5I_GROUP : H5I_DATASET) else {
      throw Diagnostic(file.path, at: path, "is a \(found == H5I_GROUP ? "group" : "dataset"), not a \(kind)")
    }
    return object
  }

  /// Opens this group itself (name nil), or the dataset or group of that name.
  func openObject(_ name: String?) throws(Diagnostic) -> Handle {
    let id = try file.identifier()
    let path = absolute(name ?? "")
    guard try exists(path, in: id) else {
      throw Diagnostic(file.path, at: path, "no such dataset or group\(try neighbours(of: path))")
    }
    return try openObject(at: path, in: id)
  }

  func checkIsNew(_ name: String) throws(Diagnostic) {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard !name.utf8.contains(0), parts.allSatisfy({ !$0.isEmpty && $0 != "." }) else {
      throw Diagnostic(file.path, at: absolute(name), "the name has an empty part, '.' or a NUL character")
    }
    guard try !exists(absolute(name), in: try file.identifier()) else {
      throw Diagnostic(file.path, at: absolute(name), "the name is already in use in this file")
    }
  }

  /// Wraps a new identifier; a negative one becomes an error with HDF5's reason.
  func handle(_ name: String, _ id: hid_t) throws(Diagnostic) -> Handle {
    try Handle(id) { Diagnostic(file.path, at: absolute(name), "HDF5 failed: \($0)") }
  }

  func damaged(_ name: String) -> Diagnostic {
    Diagnostic(file.path, at: absolute(name), "HDF5 failed: \(HDF5Library.errorText)")
  }

  /// Opens the object at a path that exists.
  private func openObject(at path: String, in id: hid_t) throws(Diagnostic) -> Handle {
    let object = try Handle(H5Oopen(id, path, 0)) { Diagnostic(file.path, at: path, "HDF5 failed: \($0)") }
    guard H5Iget_type(object.id) == H5I_DATASET else { return object }
    let problem: String? =
      switch chdf5_dataset_layout(object.id) {
      case CHDF5_LAYOUT_OWN: nil
      case CHDF5_LAYOUT_VIRTUAL: "is a virtual dataset, put together from others"
      case CHDF5_LAYOUT_EXTERNAL: "has its data in another file"
      case CHDF5_LAYOUT_FILTERED: "is compressed by a filter other than deflate"
      default: "HDF5 failed: \(HDF5Library.errorText)"
      }
    if let problem {
      throw Diagnostic(file.path, at: path, problem, remedy: "store its values in this file, plain or with deflate")
    }
    return object
  }

  /// Refuses to leave the file for it. HDF5 asks for one look per part of the path.
  private func exists(_ path: String, in id: hid_t) throws(Diagnostic) -> Bool {
    guard !path.utf8.contains(0) else { return false }
    var partial = ""
    for part in path.split(separator: "/") {
      partial += "/" + part
      switch chdf5_follow(id, partial) {
      case CHDF5_LINK_INSIDE: continue
      case CHDF5_LINK_OUTSIDE:
        throw Diagnostic(
          file.path, at: partial, "links to another file, which is not followed",
          remedy: "copy what it links to into this file")
      default: return false
      }
    }
    return true
  }

  private func neighbours(of path: String) throws(Diagnostic) -> String {
    var parts = path.split(separator: "/").map(String.init)
    let id = try file.identifier()
    repeat { parts.removeLast() } while try !exists("/" + parts.joined(separator: "/"), in: id)
    let parent = HDF5Group(file: file, path: "/" + parts.joined(separator: "/"))
    guard try parent.member("") == .group else { return "" }
    let names = try parent.names()
    guard !names.isEmpty else { return "; \(parent.path) is empty" }
    return "; \(parent.path) has \(names.prefix(8).joined(separator: ", "))\(names.count > 8 ? ", …" : "")"
  }
}
