import Crypto
import Diagnostics
import Foundation

/// Reads image files one after another into a buffer of its own; one per thread.
final class ImageFileReader {
  private let limits: ImageLimits
  private var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
  private var count = 0

  init(limits: ImageLimits) {
    self.limits = limits
  }

  deinit { buffer.deallocate() }

  /// Reads the file at `path` and returns its image's size, within the limits. Only `decode` may follow.
  func open(_ path: String) throws(Diagnostic) -> PixelSize {
    try read(path)
    let size: PixelSize
    do throws(PNG.Failure) {
      size = try PNG.size(of: file)
    } catch {
      throw .unreadable(path, error)
    }
    guard size.width <= limits.side, size.height <= limits.side, size.width * size.height <= limits.pixels else {
      throw Diagnostic(
        path,
        "the image is \(size), more than \(limits.side) pixels a side or \(limits.pixels) pixels in all",
        remedy: "scale it down or remove it")
    }
    return size
  }

  /// The same of a picture of an indexed tree, whose samples have 8 bits at most.
  func openPicture(_ path: String) throws(Diagnostic) -> PixelSize {
    let size = try open(path)
    guard !PNG.isDeep(file) else {
      throw Diagnostic(
        path, "has 16 bits a sample, allowed: 8 and fewer", remedy: "convert it to 8 bits or remove it")
    }
    return size
  }

  /// Decodes the file read by `open` to RGB bytes; `rows` as of `PNG.decode`.
  func decode(
    _ path: String, size: PixelSize, rows: Int? = nil, into pixels: UnsafeMutablePointer<UInt8>
  ) throws(Diagnostic) {
    do throws(PNG.Failure) {
      try PNG.decode(file, size: size, rows: rows, into: pixels)
    } catch {
      throw .unreadable(path, error)
    }
  }

  /// Of the file read by `open`.
  func sha256() -> SHA256.Digest {
    var hash = SHA256()
    hash.update(bufferPointer: file)
    return hash.finalize()
  }

  private var file: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer[..<count]) }

  private func read(_ path: String) throws(Diagnostic) {
    // Non-blocking, so that a named pipe is reported below instead of waiting for a writer.
    let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw .system(path, "cannot be opened") }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system(path, "cannot be examined") }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw Diagnostic(
        path, "not a regular file", remedy: "a class folder holds PNG files only; remove it")
    }
    let size = Int(status.st_size)
    guard size <= limits.fileBytes else {
      throw Diagnostic(
        path, "the file has \(size) bytes, more than \(limits.fileBytes)",
        remedy: "scale it down or remove it")
    }
    if size > buffer.count {
      buffer.deallocate()
      buffer = .allocate(byteCount: size, alignment: 16)
    }
    count = 0
    while count < size {
      let got = Foundation.read(descriptor, buffer.baseAddress! + count, size - count)
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else { throw .system(path, "cannot be read") }
      if got == 0 { break }
      count += got
    }
  }
}

extension Diagnostic {
  static func unreadable(_ path: String, _ failure: PNG.Failure) -> Diagnostic {
    Diagnostic(path, failure.reason, remedy: "replace it with a whole PNG file or remove it")
  }

  /// A failed system call, explained by `errno`.
  static func system(_ path: String, _ what: String) -> Diagnostic {
    let code = errno
    return Diagnostic(
      path, "\(what) (\(String(cString: strerror(code))))", remedy: "check the path and its permissions")
  }
}
