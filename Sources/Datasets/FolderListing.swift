import Diagnostics
import Foundation

/// What a folder holds, hidden entries left out, sorted by the bytes of their names, as on every machine and in every
/// locale. Nothing is passed over in silence: a name that is no text and a link that leads nowhere are refused.
struct FolderListing {
  let folder: URL
  /// Names of all entries.
  let names: [String]
  /// Names of those that are folders, or links to folders.
  let folders: [String]

  init(_ folder: URL) throws(Diagnostic) {
    self.folder = folder
    let found = try Self.names(in: folder.path)
    var folders: [String] = []
    for name in found where try Self.isFolder("\(folder.path)/\(name)") { folders.append(name) }
    names = found
    self.folders = folders
  }

  private static func names(in path: String) throws(Diagnostic) -> [String] {
    guard let stream = opendir(path) else { throw .system(path, "cannot be listed") }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        guard errno == 0 else { throw .system(path, "cannot be listed") }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      }
      let bytes = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if bytes.first == UInt8(ascii: ".") { continue }
      guard let name = String(validating: bytes, as: UTF8.self) else {
        throw Diagnostic(
          "\(path)/\(escaped(bytes))", "its name is not UTF-8",
          remedy: "rename it; 'convmv -f latin1 -t utf8 --notest' does so for whole trees")
      }
      names.append(name)
    }
  }

  /// Bytes that are no ASCII as `\xE9`.
  private static func escaped(_ bytes: [UInt8]) -> String {
    bytes.map { byte in
      byte < 0x80
        ? String(UnicodeScalar(byte))
        : "\\x" + String(byte, radix: 16, uppercase: true)
    }.joined()
  }

  /// Whether there is a folder, or a link to one, at `path`; false where nothing is.
  static func isFolder(_ path: String) throws(Diagnostic) -> Bool {
    var status = stat()
    if stat(path, &status) == 0 { return status.st_mode & S_IFMT == S_IFDIR }
    guard errno == ENOENT || errno == ELOOP else { throw .system(path, "cannot be examined") }
    guard lstat(path, &status) == 0 else { return false }
    let target = (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) ?? "itself"
    throw Diagnostic(
      path, "a link that leads nowhere (to \(target))",
      remedy: "mount or restore what it points to, or remove it")
  }
}

/// Whether two names have the same bytes. Swift's `==` also holds where they only look alike.
func isSameName(_ first: String, _ second: String) -> Bool { first.utf8.elementsEqual(second.utf8) }

func isFolder(_ url: URL) -> Bool {
  var isDirectory: ObjCBool = false
  return FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory) && isDirectory.boolValue
}
