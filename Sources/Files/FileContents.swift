package import Diagnostics
import Foundation

/// A file's bytes, read whole.
package struct FileContents: ~Copyable {
  /// Valid as long as this value.
  package let bytes: UnsafeRawBufferPointer

  /// - Parameter kind: what the file should be, with its article, for the message about a folder.
  package init(of path: String, expecting kind: String) throws(Diagnostic) {
    func failure(_ code: Int32) -> Diagnostic {
      code == ENOENT || code == ENOTDIR
        ? Diagnostic(cause: .absent, path, "no such file")
        : Diagnostic(cause: .system, path, "cannot be read: \(String(cString: strerror(code)))")
    }
    // Non-blocking, so that a named pipe is refused below instead of waiting for a writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw failure(errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw failure(errno) }
    switch status.st_mode & S_IFMT {
    case S_IFREG: break
    case S_IFDIR: throw Diagnostic(cause: .system, path, "is a folder, not \(kind)")
    default: throw Diagnostic(cause: .system, path, "is not a regular file")
    }
    let size = Int(status.st_size)
    guard let memory = malloc(max(1, size)) else {
      throw Diagnostic(cause: .system, path, "cannot be read: its \(size) bytes do not fit into memory")
    }
    var count = 0
    while count < size {
      let got = read(descriptor, memory + count, size - count)
      if got < 0, errno == EINTR { continue }
      if got < 0 {
        let code = errno
        free(memory)
        throw failure(code)
      }
      if got == 0 { break }
      count += got
    }
    bytes = UnsafeRawBufferPointer(start: memory, count: count)
  }

  deinit { free(UnsafeMutableRawPointer(mutating: bytes.baseAddress)) }
}
