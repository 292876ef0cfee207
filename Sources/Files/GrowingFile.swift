public import Diagnostics
public import Foundation

/// A file that others read while it grows: what is in it and stays so is never written again.
public final class GrowingFile {
  private let path: String
  private let descriptor: Int32
  private var length: Int

  /// Makes the file at `path`, in an existing folder, hold `contents` alone. The beginning that it has in common with them stays
  /// as it is.
  /// - Throws: where that cannot be done, and where the path is none of a regular file.
  public init(at path: String, holding contents: Data) throws(Diagnostic) {
    self.path = path
    length = 0
    // Non-blocking, so that a named pipe is refused below instead of waiting for a reader.
    descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o666)
    guard descriptor >= 0 else { throw failure("create", errno) }
    let existing = try FileContents(of: path, expecting: "a file to append to")
    length = zip(existing.bytes, contents).prefix { $0 == $1 }.count
    if length < existing.bytes.count, ftruncate(descriptor, off_t(length)) != 0 { throw failure("write", errno) }
    try append(contents.dropFirst(length))
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Writes `data` behind what is there; where that fails the file is as it was.
  public func append(_ data: Data) throws(Diagnostic) {
    var written = 0
    while written < data.count {
      let count = data.withUnsafeBytes { bytes in
        pwrite(descriptor, bytes.baseAddress! + written, bytes.count - written, off_t(length + written))
      }
      if count > 0 {
        written += count
      } else if count == 0 || errno != EINTR {
        let code = errno
        ftruncate(descriptor, off_t(length))
        throw failure("write", code)
      }
    }
    length += data.count
  }

  private func failure(_ doing: String, _ code: Int32) -> Diagnostic {
    Diagnostic(writing: path, doing, code: code, folder: (path as NSString).deletingLastPathComponent)
  }
}
