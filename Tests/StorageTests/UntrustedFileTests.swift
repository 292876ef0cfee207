import CHDF5
import Diagnostics
import Foundation
import Storage
import TestSupport
import Testing

/// Files made with HDF5 itself, to hold what this program never writes.
@Suite("Files that reach beyond themselves", .serialized)
struct UntrustedFileTests {
  private func message(
    _ make: (_ file: hid_t, _ creation: hid_t, _ space: hid_t) -> Void, read name: String = "x"
  ) throws -> String {
    let folder = try TemporaryFolder()
    let path = folder.file("a.h5")
    // Opens the library and keeps its errors from being printed.
    try HDF5File.writeAtomically(to: folder.file("other.h5")) { try $0.write([1.0, 2, 3, 4], to: "x") }
    let file = H5Fcreate(path, UInt32(2), 0, 0)
    try #require(file >= 0)
    var extent: hsize_t = 4
    let (creation, space) = (chdf5_dataset_creation(), chdf5_simple_space(1, &extent))
    make(file, creation, space)
    H5Sclose(space)
    H5Pclose(creation)
    H5Fclose(file)
    do {
      _ = try HDF5File.open(path).root.read(name, as: Double.self)
      return "no error"
    } catch {
      return "\(error)".replacingOccurrences(of: folder.path + "/", with: "")
    }
  }

  private func makeDataset(_ file: hid_t, _ creation: hid_t, _ space: hid_t) {
    H5Dclose(H5Dcreate2(file, "x", chdf5_stored_type(CHDF5_FLOAT64), space, 0, creation, 0))
  }

  @Test("External links are not followed, nor looked through")
  func links() throws {
    let expected = "links to another file, which is not followed; copy what it links to into this file"
    #expect(
      try message { file, _, _ in H5Lcreate_external("other.h5", "/x", file, "x", 0, 0) } == "a.h5: /x: \(expected)")
    #expect(
      try message({ file, _, _ in H5Lcreate_external("other.h5", "/", file, "group", 0, 0) }, read: "group/x")
        == "a.h5: /group: \(expected)")
    let around = try message { file, _, _ in
      H5Lcreate_external("other.h5", "/", file, "group", 0, 0)
      H5Lcreate_soft("/group/x", file, "x", 0, 0)
    }
    #expect(around == "a.h5: /x: no such dataset; / has group, x")
  }

  @Test(
    "a file on which HDF5 crashes ends the program in one line with status 2",
    .disabled(if: isSanitized, "crashes are a sanitizer's (crash.c)"))
  func crashInside() async throws {
    let result = await #expect(
      processExitsWith: .exitCode(2), observing: [\.standardErrorContent]
    ) {
      let folder = try TemporaryFolder()
      let path = folder.file("a.h5")
      try HDF5File.writeAtomically(to: folder.file("other.h5")) { try $0.setAttribute("x", to: 1) }
      let file = H5Fcreate(path, UInt32(2), 0, 0)
      let (type, space) = (chdf5_variable_string_type(), chdf5_scalar_space())
      let attribute = H5Acreate2(file, "format", type, space, 0, 0)
      "text".withCString {
        var text: UnsafePointer<CChar>? = $0
        _ = H5Awrite(attribute, type, &text)
      }
      H5Aclose(attribute)
      H5Tclose(type)
      H5Sclose(space)
      H5Fclose(file)
      // A reference to a string: its heap's address, and its index there, which is made one that the heap has not.
      var bytes = try Array(Data(contentsOf: URL(fileURLWithPath: path)))
      let heap = try #require(bytes.indices.first { bytes[$0...].starts(with: "GCOL\u{1}".utf8) })
      let address = withUnsafeBytes(of: UInt64(heap).littleEndian) { Array($0) }
      let reference = try #require(bytes.indices.first { bytes[$0...].starts(with: address + [1, 0, 0, 0]) })
      bytes[reference + 10] = 255
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      _ = try HDF5File.open(path).root.stringAttribute("format")
      exit(77)
    }
    let lines = String(decoding: try #require(result).standardErrorContent, as: UTF8.self).split(separator: "\n")
    #expect(lines.count == 1)
    let line = try #require(lines.first)
    #expect(line.hasPrefix("spqat: ") && line.contains("a.h5: damaged HDF5 file (HDF5 \(hdf5Version) crashed on it): "))
  }

  @Test("Data of other files and through loaded filters are refused")
  func layouts() throws {
    let remedy = "store its values in this file, plain or with deflate"
    let virtual = try message { file, creation, space in
      H5Pset_virtual(creation, space, "other.h5", "/x", space)
      makeDataset(file, creation, space)
    }
    #expect(virtual == "a.h5: /x: is a virtual dataset, put together from others; \(remedy)")
    let external = try message { file, creation, space in
      H5Pset_external(creation, "/etc/hostname", 0, 32)
      makeDataset(file, creation, space)
    }
    #expect(external == "a.h5: /x: has its data in another file; \(remedy)")
    let filtered = try message { file, creation, space in
      var chunk: hsize_t = 4
      H5Pset_chunk(creation, 1, &chunk)
      // An optional filter of a number for experiments: nobody has a library for it.
      H5Pset_filter(creation, 300, 1, 0, nil)
      makeDataset(file, creation, space)
    }
    #expect(filtered == "a.h5: /x: is compressed by a filter other than deflate; \(remedy)")
  }

  @Test("A shape that the file's bytes cannot hold is refused before memory is taken")
  func claims() throws {
    let claimed = try message { file, creation, _ in
      var (extent, chunk): (hsize_t, hsize_t) = (1 << 32, 1024)
      H5Pset_chunk(creation, 1, &chunk)
      let space = chdf5_simple_space(1, &extent)
      makeDataset(file, creation, space)
      H5Sclose(space)
    }
    #expect(claimed == "a.h5: /x: claims shape 4294967296: far more than its 0 bytes can hold")
  }

  @Test("A file that another program writes is busy, not damaged")
  func busy() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.h5")
    try HDF5File.writeAtomically(to: path) { try $0.write([1], to: "x") }
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: URL(fileURLWithPath: path))
    func message() -> String {
      do {
        _ = try HDF5File.open(path)
        return "no error"
      } catch {
        return "\(error)".replacingOccurrences(of: folder.path + "/", with: "")
      }
    }
    #expect(message().contains("damaged HDF5 file"))
    let descriptor = open(path, O_RDWR)
    #expect(flock(descriptor, LOCK_EX) == 0)
    #expect(message() == "a.h5: is open for writing in another program; close it there, then try again")
    close(descriptor)
    #expect(message().contains("damaged HDF5 file"))
  }

  @Test("where an attribute is damaged, asking for another one ends in one line")
  func damagedAttribute() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.h5")
    try HDF5File.writeAtomically(to: path) { root in
      try root.setAttribute("first", to: 1)
      try root.setAttribute("second", to: 2)
    }
    // Without the checksum; the version of an attribute's message stands 9 bytes before its name.
    var bytes = try Array(Data(contentsOf: URL(fileURLWithPath: path)).dropLast(16))
    let name = try #require(bytes.indices.first { bytes[$0...].starts(with: "second\0".utf8) })
    #expect(bytes[name - 9] == 3)
    bytes[name - 9] = 77
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let root = try HDF5File.open(path).root
    #expect(try root.attribute("first", as: Int.self) == 1)
    for read in [
      { _ = try root.attribute("third", as: Int.self) }, { _ = try root.hasAttribute("third") },
    ] as [() throws -> Void] {
      let error = #expect(throws: Diagnostic.self) { try read() }
      #expect(error?.description.hasPrefix("\(path): ") == true && error?.description.contains("HDF5 failed") == true)
    }
  }

  @Test("where a large group is damaged, asking for its names ends in one line")
  func damagedNames() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.h5")
    let names = (10..<40).map { "tensor-\($0)" }
    try HDF5File.writeAtomically(to: path) { root in
      for name in names.shuffled() { try root.write([1], to: name) }
    }
    #expect(try HDF5File.open(path).root.names() == names)
    // Without the checksum; each link begins with its version, 4 bytes before its name.
    var bytes = try Array(Data(contentsOf: URL(fileURLWithPath: path)).dropLast(16))
    let name = try #require(bytes.indices.first { bytes[$0...].starts(with: "tensor-25".utf8) })
    #expect(bytes[name - 4] == 1)
    bytes[name - 4] = 77
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let root = try HDF5File.open(path).root
    for read in [{ _ = try root.names() }, { _ = try root.group("absent") }] as [() throws -> Void] {
      let error = #expect(throws: Diagnostic.self) { try read() }
      #expect(error?.description.hasPrefix("\(path): ") == true && error?.description.contains("HDF5 failed") == true)
    }
  }

  /// Wrong sizes by their offsets in a heap: its own, at 8, and that of its first string.
  private static let wrongSizes: [[Int]] = [
    [8, 0], [8, 4095], [8, .max], [8, -1], [24, 5000], [24, .max], [24, -8],
  ]

  @Test(
    "strings whose heap has wrong sizes are refused: HDF5 would read outside its memory, or for ever",
    arguments: wrongSizes)
  func heap(wrong: [Int]) throws {
    let text = try refusal(ofHeap: [(wrong[0], wrong[1])])
    #expect(text.hasPrefix("a.h5: damaged HDF5 file (its strings): copy it again"), "\(text)")
  }

  @Test("and so is free space of no size, in place of a string")
  func endlessHeap() throws {
    #expect(try refusal(ofHeap: [(16, 0), (16 + 8, 0)]).hasPrefix("a.h5: damaged HDF5 file (its strings): copy it"))
  }

  @Test("other strings change nothing, and lengths of 4 bytes are not read")
  func strings() throws {
    #expect(try refusal(ofHeap: []) == "no error")
    #expect(try refusal(ofHeap: [(16 + 16, 0x4142_4344_4546_4748)]) == "no error")
    #expect(try refusal(ofHeap: [], sizeOfLengths: 4).contains("damaged HDF5 file (its strings)"))
  }

  /// What is said of a file with two strings of variable length, once numbers of 8 bytes are changed in their heap.
  private func refusal(ofHeap changes: [(offset: Int, value: Int)], sizeOfLengths: UInt8 = 8) throws -> String {
    let folder = try TemporaryFolder()
    let path = folder.file("a.h5")
    try HDF5File.writeAtomically(to: path) { root in
      try root.setAttribute("one", to: "a string of variable length")
      try root.setAttribute("two", to: "another one")
    }
    var bytes = try Array(Data(contentsOf: URL(fileURLWithPath: path)).dropLast(16))
    let heap = try #require(bytes.indices.first { bytes[$0...].starts(with: "GCOL".utf8) })
    for (offset, value) in changes {
      withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(heap + offset..<heap + offset + 8, with: $0) }
    }
    #expect(bytes[14] == 8)
    bytes[14] = sizeOfLengths
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    do {
      _ = try HDF5File.open(path).root.stringAttribute("one")
      return "no error"
    } catch {
      return "\(error)".replacingOccurrences(of: folder.path + "/", with: "")
    }
  }
}
