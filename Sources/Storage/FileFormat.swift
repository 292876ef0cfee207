public import Diagnostics

/// A kind of file and its version, kept in the root attributes `format` and `version`.
public struct FileFormat: Sendable {
  /// Such as "spqat-run".
  public let name: String
  /// Rises with every change that older readers would misread.
  public let version: Int

  /// A kind of file, and the last version of it that this program knows.
  public init(name: String, version: Int) {
    self.name = name
    self.version = version
  }

  /// Writes name and version; to be called once, before anything else is written.
  public func stamp(_ root: HDF5Group) throws(Diagnostic) {
    try root.setAttribute("format", to: name)
    try root.setAttribute("version", to: version)
  }

  /// Refuses files of other programs, of other kinds and of newer versions, and gives the file's version.
  @discardableResult
  public func check(_ root: HDF5Group) throws(Diagnostic) -> Int {
    let file = root.file.path
    guard try root.hasAttribute("format"), try root.hasAttribute("version") else {
      throw Diagnostic(file, "an HDF5 file of another program: expected format '\(name)', found none")
    }
    let found = try root.stringAttribute("format")
    guard found == name else {
      throw Diagnostic(file, "an HDF5 file of format '\(found)', expected '\(name)'")
    }
    let version = try root.attribute("version", as: Int.self)
    guard version <= self.version else {
      throw Diagnostic(
        file,
        "format '\(name)' version \(version), newer than version \(self.version), the last that this program knows: "
          + "use a newer program")
    }
    return version
  }
}
