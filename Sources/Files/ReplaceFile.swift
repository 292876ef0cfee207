public import Diagnostics
import Foundation
import Synchronization

private let temporaryFileCount = Atomic<Int>(0)

private let hostName: String = {
  var bytes = [CChar](repeating: 0, count: 256)
  guard gethostname(&bytes, bytes.count - 1) == 0 else { return "localhost" }
  return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}()

extension Diagnostic {
  /// What the operating system refused to do with the file at `path`: to "create", "write" or "replace" it.
  init(writing path: String, _ doing: String, code: Int32, folder: String) {
    let remedy: String? =
      switch code {
      case ENOSPC, EDQUOT: "free some space and run again"
      case EACCES, EPERM, EROFS: "make the folder writable or choose another"
      case ENOENT where doing == "create": "create the folder \(folder) first"
      default: nil
      }
    let cause: Cause =
      switch code {
      case ENOENT: .absent
      case ENOSPC, EDQUOT: .noSpace
      default: .system
      }
    self.init(cause: cause, path, "cannot \(doing) the file: \(String(cString: strerror(code)))", remedy: remedy)
  }
}

/// Removes `PREFIXPID-N.tmp` of processes that are gone.
private func removeAbandonedFiles(in folder: String, prefix: String) {
  for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
  where name.hasPrefix(prefix) && name.hasSuffix(".tmp") {
    guard let process = pid_t(name.dropFirst(prefix.count).prefix { $0 != "-" }) else { continue }
    if kill(process, 0) != 0, errno == ESRCH { unlink("\(folder)/\(name)") }
  }
}

/// Replaces the file at `path` by `contents`, or leaves it as it was: a temporary file in the same folder
/// (`.NAME.HOST-PID-N.tmp`) is written, synchronised and renamed. What killed processes of this machine left of earlier
/// attempts at the same file is removed.
///
/// - Throws: where the file cannot be written; the cause tells a full disk and a missing folder from other reasons.
public func replaceFile(at path: String, with contents: UnsafeRawBufferPointer) throws(Diagnostic) {
  try replaceFile(at: path, with: contents, then: UnsafeRawBufferPointer(start: nil, count: 0))
}

/// Replaces the file by `contents` and what follows them, without a copy of both; see the version without `rest`.
public func replaceFile(
  at path: String, with contents: UnsafeRawBufferPointer, then rest: UnsafeRawBufferPointer
) throws(Diagnostic) {
  let slash = path.lastIndex(of: "/")
  let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
  let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
  guard !name.isEmpty else { throw Diagnostic(path, "names a folder; give a file's name") }
  let number = temporaryFileCount.add(1, ordering: .relaxed).newValue
  let prefix = ".\(name).\(hostName)-"
  let temporary = "\(folder)/\(prefix)\(getpid())-\(number).tmp"

  func failure(_ doing: String) -> Diagnostic { Diagnostic(writing: path, doing, code: errno, folder: folder) }

  let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
  guard descriptor >= 0 else { throw failure("create") }
  var failed: Diagnostic?
  for part in [contents, rest] {
    var left = part
    while failed == nil, !left.isEmpty {
      let written = write(descriptor, left.baseAddress, left.count)
      if written > 0 {
        left = UnsafeRawBufferPointer(rebasing: left[written...])
      } else if written == 0 || errno != EINTR {
        failed = failure("write")
      }
    }
  }
  if failed == nil, fsync(descriptor) != 0 { failed = failure("write") }
  if close(descriptor) != 0, failed == nil { failed = failure("write") }
  if failed == nil, rename(temporary, path) != 0 { failed = failure("replace") }
  if let failed {
    unlink(temporary)
    throw failed
  }
  removeAbandonedFiles(in: folder, prefix: prefix)
  // Without this the rename itself may be lost with the power; a file system that cannot do it has still renamed.
  let folderDescriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  if folderDescriptor >= 0 {
    fsync(folderDescriptor)
    close(folderDescriptor)
  }
}

/// Replaces the file at `path` by the text as UTF-8; see the version for bytes.
public func replaceFile(at path: String, with text: String) throws(Diagnostic) {
  var failed: Diagnostic?
  Array(text.utf8).withUnsafeBytes { bytes in
    do throws(Diagnostic) { try replaceFile(at: path, with: bytes) } catch { failed = error }
  }
  if let failed { throw failed }
}
