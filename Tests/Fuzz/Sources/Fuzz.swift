import Foundation
import Synchronization

/// One input of libFuzzer: given to the reader that the environment names, which may refuse it and has nothing else to do.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  Reader.chosen.read(UnsafeRawBufferPointer(start: bytes, count: count))
  return 0
}

/// libFuzzer's loop over inputs, with its flags (FuzzerDriver).
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ argumentCount: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
  _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// Where this program begins: Swift's package manager looks for a main function of the module, before that of libFuzzer.
@_cdecl("fuzz_main")
public func main(_ argumentCount: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
  var (argumentCount, arguments) = (argumentCount, arguments)
  return runDriver(&argumentCount, &arguments) { fuzz($0, $1) }
}

/// Something of this program that reads bytes from a file.
struct Reader: Sendable {
  let name: String
  /// Reads the bytes; what is wrong with them must be thrown.
  let body: @Sendable (UnsafeRawBufferPointer) throws -> Void

  init(_ name: String, _ body: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void) {
    self.name = name
    self.body = body
  }

  /// A reader of files, given the path of one with the bytes.
  init(file name: String, as fileName: String, _ body: @escaping @Sendable (URL) throws -> Void) {
    let file = Self.folder.appendingPathComponent(fileName)
    self.init(name) { bytes in
      write(bytes, to: file)
      try body(file)
    }
  }

  /// A reader of files that are changed copies of good ones, given such a file's path and which one it is a copy of. What
  /// was read last stays where SPQAT_FUZZ_COPY says.
  init(
    changed name: String, of files: @autoclosure @escaping @Sendable () -> ChangedFiles,
    _ body: @escaping @Sendable (URL, Int) throws -> Void
  ) {
    // Made when the first input comes, in the one process that reads this kind.
    let originals = Mutex<ChangedFiles?>(nil)
    let file = Self.folder.appendingPathComponent("\(name).h5")
    let copy = ProcessInfo.processInfo.environment["SPQAT_FUZZ_COPY"]
    self.init(name) { bytes in
      let changed = originals.withLock { made in
        if made == nil { made = files() }
        return made!
      }
      changed.file(bytes).withUnsafeBytes { contents in
        write(contents, to: file)
        if let copy { write(contents, to: URL(fileURLWithPath: copy)) }
      }
      try body(file, changed.choice(bytes))
    }
  }

  func read(_ bytes: UnsafeRawBufferPointer) { try? body(bytes) }

  /// Of this process alone. Crashes leave it behind; `make fuzz` removes what is below its TMPDIR.
  static let folder: URL = {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("spqat-fuzz-\(getpid())")
    try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    atexit { try? FileManager.default.removeItem(at: Reader.folder) }
    return folder
  }()

  /// The one that SPQAT_FUZZ names.
  static let chosen: Reader = {
    let name = ProcessInfo.processInfo.environment["SPQAT_FUZZ"] ?? ""
    guard let reader = all.first(where: { $0.name == name }) else {
      fatalError("SPQAT_FUZZ is '\(name)'; allowed: \(all.map(\.name).joined(separator: ", "))")
    }
    return reader
  }()
}

/// Replaces the file's contents: less work than `Data.write`, which most inputs would be busy with.
func write(_ bytes: UnsafeRawBufferPointer, to file: URL) {
  let descriptor = open(file.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
  defer { close(descriptor) }
  guard Foundation.write(descriptor, bytes.baseAddress, bytes.count) == bytes.count else {
    fatalError("\(file.path) cannot be written")
  }
}
