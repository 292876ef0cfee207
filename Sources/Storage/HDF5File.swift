import CHDF5
public import Diagnostics
import Files
import Foundation

/// An open HDF5 file. Everything in it is reached through `root`; it closes when the last group of it is gone, or by `close`.
///
/// Files are only ever replaced whole (`writeAtomically`), so that readers never meet a half-written one.
public final class HDF5File: @unchecked Sendable {
  /// The path as the caller gave it, for messages.
  public let path: String
  // Read and written within HDF5Library.locked only; negative once closed.
  private var id: hid_t
  /// What the program's last words are where HDF5 crashes on this file; empty of one that is written.
  private let lastWords: String

  private init(path: String, id: hid_t, lastWords: String = "") {
    self.path = path
    self.id = id
    self.lastWords = lastWords
  }

  deinit { close() }

  /// The root group.
  public var root: HDF5Group { HDF5Group(file: self, path: "/") }

  /// Opens a file for reading. It is read whole, and HDF5 gets a copy in memory: the library can crash where its own
  /// system calls fail, and what was checked is what is read.
  ///
  /// - Throws: where it is missing, no HDF5 file, damaged (its checksum does not match), or open for writing elsewhere.
  public static func open(_ path: String) throws(Diagnostic) -> HDF5File {
    let contents = try FileContents(of: path, expecting: "an HDF5 file")
    guard FileChecksum.matches(contents.bytes) else {
      throw unusable(path, "damaged HDF5 file, its checksum does not match")
    }
    guard let signature = signature(in: contents.bytes) else {
      throw isOpenForWriting(path) ? busy(path) : Diagnostic(path, "not an HDF5 file")
    }
    let lastWords = "spqat: \(damaged(path, "damaged HDF5 file (HDF5 \(hdf5Version) crashed on it)"))\n"
    let file = try HDF5Library.locked { () throws(Diagnostic) in
      chdf5_on_crash(lastWords)
      let id = chdf5_open_in_memory(contents.bytes.baseAddress, contents.bytes.count)
      guard id >= 0 else {
        throw unusable(
          path,
          chdf5_error_is_truncation() != 0
            ? "truncated HDF5 file" : "damaged HDF5 file (\(HDF5Library.errorText))")
      }
      return HDF5File(path: path, id: id, lastWords: lastWords)
    }
    // Opening a file reads no strings.
    guard GlobalHeaps.areSound(in: contents.bytes, signature: signature) else {
      throw unusable(path, "damaged HDF5 file (its strings)")
    }
    return file
  }

  /// At the start, or after a block of another program's of 512, 1024, ... bytes.
  private static func signature(in contents: UnsafeRawBufferPointer) -> Int? {
    let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
    var start = 0
    while start + signature.count <= contents.count {
      if contents[start...].starts(with: signature) { return start }
      start = max(512, 2 * start)
    }
    return nil
  }

  /// A file that cannot be read: because a program is changing it, or for good.
  private static func unusable(_ path: String, _ problem: String) -> Diagnostic {
    isOpenForWriting(path) ? busy(path) : damaged(path, problem)
  }

  private static func damaged(_ path: String, _ problem: String) -> Diagnostic {
    Diagnostic(path, "\(problem): copy it again, or delete it and repeat the run that wrote it")
  }

  private static func busy(_ path: String) -> Diagnostic {
    Diagnostic(
      cause: .busy, path, "is open for writing in another program", remedy: "close it there, then try again")
  }

  /// Programs that write HDF5 hold a lock meanwhile. False where locks are not to be had.
  private static func isOpenForWriting(_ path: String) -> Bool {
    let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { Foundation.close(descriptor) }
    return flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
  }

  /// Writes a whole file: `body` fills it, then it replaces whatever was at `path`, or, on any error, leaves that as it was.
  ///
  /// The file is built in memory, written under a temporary name in the same folder, synchronised and renamed
  /// (`replaceFile`), with a checksum after it that `open` verifies. The same contents give the same bytes.
  /// - Parameter path: In an existing folder.
  public static func writeAtomically(to path: String, _ body: (HDF5Group) throws -> Void) throws {
    let file = try HDF5Library.locked { () throws(Diagnostic) in
      let id = chdf5_create_in_memory()
      guard id >= 0 else {
        throw Diagnostic(cause: .system, path, "cannot be made in memory (\(HDF5Library.errorText))")
      }
      return HDF5File(path: path, id: id)
    }
    defer { file.close() }
    try body(file.root)
    try file.withImage { image throws(Diagnostic) in
      try FileChecksum.withTrailer(of: image) { trailer throws(Diagnostic) in
        try replaceFile(at: path, with: image, then: trailer)
      }
    }
  }

  /// Closes the file; later use of its groups throws.
  public func close() {
    HDF5Library.locked {
      guard id >= 0 else { return }
      H5Fclose(id)
      id = -1
    }
  }

  /// The identifier of the open file. Only within `HDF5Library.locked`.
  func identifier() throws(Diagnostic) -> hid_t {
    guard id >= 0 else { throw Diagnostic(path, "the file has been closed") }
    chdf5_on_crash(lastWords)
    return id
  }

  private func withImage(_ body: (UnsafeRawBufferPointer) throws(Diagnostic) -> Void) throws(Diagnostic) {
    // The lock is not held while the bytes go to disk: nobody else has this file.
    let image = try HDF5Library.locked { () throws(Diagnostic) in
      var size = 0
      guard let start = chdf5_image(try identifier(), &size) else {
        throw Diagnostic(cause: .system, path, "cannot be completed in memory (\(HDF5Library.errorText))")
      }
      return UnsafeRawBufferPointer(start: start, count: size)
    }
    try body(image)
  }
}
