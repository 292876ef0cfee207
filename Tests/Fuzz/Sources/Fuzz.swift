import Foundation

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
    self.init(name) { bytes in
      let file = Self.folder.appendingPathComponent(fileName)
      try Data(bytes).write(to: file)
      try body(file)
    }
  }

  func read(_ bytes: UnsafeRawBufferPointer) { try? body(bytes) }

  /// In memory, where there is such a file system, and of this process alone.
  static let folder: URL = {
    let memory = URL(fileURLWithPath: "/dev/shm")
    let place =
      FileManager.default.isWritableFile(atPath: memory.path) ? memory : FileManager.default.temporaryDirectory
    let folder = place.appendingPathComponent("spqat-fuzz-\(getpid())")
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
