import Foundation
import Storage
import Tables
import TestSupport
import Testing

@Suite("Files")
struct FileTests {
  private static func fill(_ root: HDF5Group) throws {
    try root.setAttribute("format", to: "test")
    try root.write((0..<20000).map { Float($0) * 0.5 }, shape: [100, 200], to: "group/tensor")
    try root.write(["a", "bc"], to: "strings")
    try root.write(
      Table(title: "t", columns: [.init("epoch", .integers([1, 2])), .init("loss", .doubles([0.5, .nan]))]),
      to: "table",
      plottedAgainst: "epoch")
  }

  @Test("The same contents give the same bytes")
  func deterministic() throws {
    let folder = try TemporaryFolder()
    try HDF5File.writeAtomically(to: folder.file("a.h5"), Self.fill)
    // A second that passes shows a time stamp; dirty memory shows padding that was never written.
    let dirt = UnsafeMutableRawBufferPointer.allocate(byteCount: 8 << 20, alignment: 64)
    dirt.initializeMemory(as: UInt8.self, repeating: 0xA5)
    dirt.deallocate()
    Thread.sleep(forTimeInterval: 1.1)
    try HDF5File.writeAtomically(to: folder.file("b.h5"), Self.fill)
    let first = try Data(contentsOf: URL(fileURLWithPath: folder.file("a.h5")))
    #expect(first == (try Data(contentsOf: URL(fileURLWithPath: folder.file("b.h5")))))
    #expect(first.prefix(8) == Data([0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]))
    #expect(first[8] == 0, "superblock version 0, which every reader knows")
  }

  @Test("A file is replaced whole, and an error leaves the old one alone")
  func replacement() throws {
    struct Interruption: Error {}
    let folder = try TemporaryFolder()
    let path = folder.file("a.h5")
    try HDF5File.writeAtomically(to: path) { try $0.write([1], to: "x") }
    let reader = try HDF5File.open(path)
    #expect(throws: Interruption.self) {
      try HDF5File.writeAtomically(to: path) { root in
        try root.write([2], to: "x")
        throw Interruption()
      }
    }
    #expect(try HDF5File.open(path).root.read("x") == [1])
    try HDF5File.writeAtomically(to: path) { try $0.write([3], to: "x") }
    #expect(try HDF5File.open(path).root.read("x") == [3])
    #expect(try reader.root.read("x") == [1], "a reader keeps the file that it opened")
    #expect(try folder.contents == ["a.h5"])
  }

  /// What `body` throws, as the line that users see, with the folder's path left out.
  private func message(_ folder: borrowing TemporaryFolder, _ body: () throws -> Void) -> String {
    do {
      try body()
      return "no error"
    } catch {
      return "\(error)".replacingOccurrences(of: folder.path + "/", with: "")
    }
  }

  @Test("What cannot be opened is named in one line with its reason")
  func unreadable() throws {
    let folder = try TemporaryFolder()
    #expect(message(folder) { _ = try HDF5File.open(folder.file("none.h5")) } == "none.h5: no such file")
    try FileManager.default.createDirectory(atPath: folder.file("sub"), withIntermediateDirectories: false)
    #expect(message(folder) { _ = try HDF5File.open(folder.file("sub")) } == "sub: is a folder, not an HDF5 file")
    #expect(mkfifo(folder.file("pipe"), 0o600) == 0)
    #expect(message(folder) { _ = try HDF5File.open(folder.file("pipe")) } == "pipe: is not a regular file")
    for contents in [Data(), Data("hello\n".utf8), Data(repeating: 0, count: 5000)] {
      try contents.write(to: URL(fileURLWithPath: folder.file("text.h5")))
      #expect(message(folder) { _ = try HDF5File.open(folder.file("text.h5")) } == "text.h5: not an HDF5 file")
    }
  }

  @Test("A truncated file is refused at any length", arguments: [100, 1000, 5000, 19000])
  func truncated(length: Int) throws {
    let folder = try TemporaryFolder()
    try HDF5File.writeAtomically(to: folder.file("a.h5"), Self.fill)
    let whole = try Data(contentsOf: URL(fileURLWithPath: folder.file("a.h5")))
    try #require(whole.count > length)
    try whole.prefix(length).write(to: URL(fileURLWithPath: folder.file("a.h5")))
    let text = message(folder) { _ = try HDF5File.open(folder.file("a.h5")) }
    #expect(
      text == "a.h5: truncated HDF5 file: copy it again, or delete it and repeat the run that wrote it")
  }

  @Test("A changed byte is found before HDF5 reads it, wherever it is")
  func changedByte() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.h5")
    let url = URL(fileURLWithPath: path)
    try HDF5File.writeAtomically(to: path, Self.fill)
    let whole = try Data(contentsOf: url)
    let end = whole.count - 16
    #expect(whole[end..<end + 8] == Data("spqatsum".utf8))
    for offset in Array(stride(from: 0, to: end, by: 997)) + [end - 1] + Array(end + 8..<whole.count) {
      var changed = whole
      changed[offset] ^= 0x10
      try changed.write(to: url)
      #expect(
        message(folder) { _ = try HDF5File.open(path) }
          == "a.h5: damaged HDF5 file, its checksum does not match: copy it again, or delete it and repeat the run that "
          + "wrote it", "byte \(offset)")
    }
    // Written by another program, or changed by one since: nothing to compare with.
    try whole.prefix(end).write(to: url)
    #expect(try HDF5File.open(path).root.readStrings("strings") == ["a", "bc"])
  }

  @Test("What is missing, misshapen or of another type is named with what was found")
  func objects() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.h5")
    try HDF5File.writeAtomically(to: path, Self.fill)
    let file = try HDF5File.open(path)
    let root = file.root
    #expect(
      message(folder) { _ = try root.read("tensors", as: Float.self) }
        == "a.h5: /tensors: no such dataset; / has group, strings, table, table_plots")
    #expect(
      message(folder) { _ = try root.read("group/x", as: Float.self) }
        == "a.h5: /group/x: no such dataset; /group has tensor")
    #expect(message(folder) { _ = try root.group("g") }.hasPrefix("a.h5: /g: no such group; / has group"))
    #expect(message(folder) { _ = try root.group("strings") } == "a.h5: /strings: is a dataset, not a group")
    #expect(message(folder) { _ = try root.readStrings("group") } == "a.h5: /group: is a group, not a dataset")
    #expect(
      message(folder) { _ = try root.read("group/tensor", as: Float.self, shape: [100, 201]) }
        == "a.h5: /group/tensor: has shape 100x200, not 100x201")
    #expect(
      message(folder) { _ = try root.readScalar("group/tensor", as: Float.self) }
        == "a.h5: /group/tensor: has shape 100x200, not scalar")
    #expect(
      message(folder) { _ = try root.read("group/tensor", as: Int.self) }
        == "a.h5: /group/tensor: holds float32, not int64")
    #expect(
      message(folder) { _ = try root.read("strings", as: Int.self) } == "a.h5: /strings: holds string, not int64")
    #expect(
      message(folder) { _ = try root.readStrings("table") } == "a.h5: /table: holds a table, not string")
    #expect(
      message(folder) { _ = try root.readTable("strings") } == "a.h5: /strings: holds string, not a table")
    #expect(
      message(folder) { _ = try root.readString("strings") } == "a.h5: /strings: has shape 2, not one string")
    #expect(
      message(folder) { _ = try root.stringAttribute("version") }
        == "a.h5: /@version: no such attribute; there are format")
    #expect(
      message(folder) { _ = try root.attribute("format", as: Int.self) } == "a.h5: /@format: holds string, not int64")
    #expect(
      message(folder) { _ = try root.attributes("x", as: Int.self, on: "strings") }
        == "a.h5: /strings@x: no such attribute; there is none")
    #expect(
      message(folder) {
        var two: [Float] = [0, 0]
        try two.withUnsafeMutableBufferPointer { try root.read("group/tensor", into: $0) }
      } == "a.h5: /group/tensor: has shape 100x200 (20000 elements), not 2 elements")
    file.close()
    #expect(message(folder) { _ = try root.names() } == "a.h5: the file has been closed")
  }

  @Test("A value outside the range of the type asked for is refused, not clamped")
  func overflow() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.h5")
    try HDF5File.writeAtomically(to: path) {
      try $0.write([1, 300], to: "x")
      try $0.write([1, -1], to: "y")
      try $0.write([1e300], to: "z")
    }
    let root = try HDF5File.open(path).root
    let expected = "holds a value that does not fit the type asked for"
    #expect(message(folder) { _ = try root.read("x", as: UInt8.self) } == "a.h5: /x: \(expected)")
    #expect(message(folder) { _ = try root.read("y", as: UInt64.self) } == "a.h5: /y: \(expected)")
    #expect(message(folder) { _ = try root.read("z", as: Float.self) } == "a.h5: /z: \(expected)")
    #expect(try root.read("x", as: Int16.self) == [1, 300])
  }

  @Test("What cannot be written is named with its reason and leaves nothing behind")
  func unwritable() throws {
    let folder = try TemporaryFolder()
    func write(_ name: String, _ body: (HDF5Group) throws -> Void = { try $0.write([1], to: "x") }) -> String {
      message(folder) { try HDF5File.writeAtomically(to: folder.file(name), body) }
    }
    #expect(
      write("none/a.h5")
        == "none/a.h5: cannot create the file: No such file or directory; create the folder none first")
    #expect(write("").hasSuffix("names a folder; give a file's name"))
    try FileManager.default.createDirectory(atPath: folder.file("sub"), withIntermediateDirectories: false)
    #expect(write("sub") == "sub: cannot replace the file: Is a directory")
    #expect(
      write("a.h5") {
        try $0.write([1], to: "x")
        try $0.write([1], to: "x")
      } == "a.h5: /x: the name is already in use in this file")
    for name in ["", "a//b", "a/./b", "/a", "a/", "a\0b"] {
      #expect(
        write("a.h5") { try $0.write([1], to: name) }.contains("the name has an empty part, '.' or a NUL character"))
    }
    #expect(
      write("a.h5") { try $0.write(["a\0b"], to: "x") }
        == "a.h5: /x: a string with a NUL character cannot be stored")
    #expect(
      write("a.h5") {
        try $0.setAttribute("x", to: 1)
        try $0.setAttribute("x", to: 1)
      } == "a.h5: /@x: the attribute is already set")
    #expect(
      write("a.h5") { try $0.setAttribute("x", to: [Double](repeating: 0, count: 9000)) }
        .hasSuffix("attributes hold at most 64 KB"))
    #expect(try folder.contents == ["sub"])
  }

  /// A folder on a small file system (1 MiB is enough), such as one made by `mount -t tmpfs -o size=1m none FOLDER`.
  static let smallDisk = ProcessInfo.processInfo.environment["SPQAT_TEST_SMALL_DISK"]

  @Test(
    "A full disk leaves the old file and no temporary one",
    .enabled(if: smallDisk != nil, "SPQAT_TEST_SMALL_DISK names no small file system"))
  func fullDisk() throws {
    let folder = try #require(Self.smallDisk)
    let path = "\(folder)/a.h5"
    try HDF5File.writeAtomically(to: path) { try $0.write([1], to: "x") }
    #expect {
      try HDF5File.writeAtomically(to: path) {
        try $0.write([Double](repeating: 1, count: 1_000_000), to: "x", compressed: false)
      }
    } throws: {
      "\($0)" == "\(path): cannot write the file: No space left on device; free some space and run again"
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["a.h5"])
    #expect(try HDF5File.open(path).root.read("x") == [1])
  }
}
