import Diagnostics
import Foundation
import Interchange
import Records
import TestSupport
import Testing

@Suite("Reading safetensors")
struct SafetensorsReaderTests {
  /// A file put together by hand: the header's length, the header, the data.
  static func file(_ header: String, _ data: [UInt8] = [], length: UInt64? = nil) -> [UInt8] {
    let text = Array(header.utf8)
    return withUnsafeBytes(of: (length ?? UInt64(text.count)).littleEndian) { Array($0) } + text + data
  }

  private func read(_ file: [UInt8]) throws -> SafetensorsHeader {
    try file.withUnsafeBytes { bytes in try SafetensorsHeader(bytes, path: "x") }
  }

  @Test("what is written is read")
  func roundTrip() throws {
    let folder = try TemporaryFolder()
    let file = try Safetensors.file(ExportTests.tensors, metadata: ["label": "é \"x\""])
    try file.write(to: URL(fileURLWithPath: folder.file("a.safetensors")))
    let read = try SafetensorsFile(folder.file("a.safetensors"))
    #expect(read.header.metadata == ["label": "é \"x\""])
    #expect(read.header.entries.map(\.name) == ExportTests.tensors.map(\.name))
    #expect(read.header.entries.map(\.shape) == ExportTests.tensors.map(\.shape))
    #expect(read.header.entries.map(\.type) == [.int8, .uint8, .float32, .float32, .float32])
    #expect(try read.floats(read.header.entries[2]) == [-1.5, 0.25, 1e-30, 3])
    #expect(try read.floats(read.header.entries[3]) == [0.125])
    #expect(
      throws: Diagnostic(
        folder.file("a.safetensors"), at: "conv1.level",
        "has elements of type I8; allowed: F32, F64, F16, BF16", remedy: "convert it to float32")
    ) { try read.floats(read.header.entries[0]) }
  }

  @Test("F64, F16 and BF16 become float32")
  func types() throws {
    // 1/3 and the largest of each type by its bits: IEEE 754's binary64 and binary16, and the upper half of binary32.
    let header = """
      {"d":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},"h":{"dtype":"F16","shape":[3],"data_offsets":[16,22]},\
      "b":{"dtype":"BF16","shape":[2],"data_offsets":[22,26]}}
      """
    let data: [UInt8] =
      [0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xD5, 0x3F, 0, 0, 0, 0, 0, 0, 0, 0xC0] + [
        0x55, 0x35, 0xFF, 0x7B, 0x01, 0x00,
      ]
      + [0xAB, 0x3E, 0x80, 0xBF]
    let folder = try TemporaryFolder()
    try Data(Self.file(header, data)).write(to: URL(fileURLWithPath: folder.file("a")))
    let file = try SafetensorsFile(folder.file("a"))
    #expect(try file.floats(file.header.entries[0]) == [0x1.555556p-2, -2])
    #expect(try file.floats(file.header.entries[1]) == [0.333251953125, 65504, 0x1p-24])
    #expect(try file.floats(file.header.entries[2]) == [0.333984375, -1])
  }

  /// A file, and a part of what is said of it.
  struct Damage: Sendable {
    let file: [UInt8]
    let message: String

    init(_ file: [UInt8], _ message: String) {
      self.file = file
      self.message = message
    }
  }

  static let damages: [Damage] = [
    Damage([], "x: is no safetensors file: it has 0 bytes, and the header's length alone has 8"),
    Damage(file("{}", length: 3), "x: is no safetensors file: a header of 3 bytes does not fit into its 10 bytes"),
    Damage(file("{}", length: .max), "a header of 18446744073709551615 bytes does not fit"),
    Damage(file("[]"), "x: header: is not a JSON object"),
    Damage(file("{\"a\":1"), "x: header: byte 7: "),
    Damage(file("{\"a\":1}"), "x: a: is not an object of dtype, shape and data_offsets"),
    Damage(
      file(#"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4],"x":1}}"#, [0, 0, 0, 0]),
      "x: a: is not an object of dtype, shape and data_offsets"
    ),
    Damage(file("{\"\u{FF}"), "x: header: byte 2: the string that starts here never ends"),
    Damage(
      file(#"{"a\u0000":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#, [0, 0, 0, 0]),
      #"x: a\u{0}: is no name of a tensor: it is empty or holds control characters"#
    ),
    Damage(
      file(
        #"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}"#,
        [UInt8](repeating: 0, count: 8)), "the key \"a\" appears twice"
    ),
    Damage(
      file(#"{"a":{"dtype":"F33","shape":[],"data_offsets":[0,4]}}"#, [0, 0, 0, 0]),
      "x: a: has dtype F33, which is unknown"
    ),
    Damage(
      file(#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, [0, 0, 0, 0]), "x: a: has no shape of whole"),
    Damage(
      file(#"{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}"#, [0, 0, 0, 0]), "x: a: has no shape of whole"
    ),
    Damage(
      file(#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}"#, [0, 0, 0, 0]),
      "x: a: has a shape too large for any file"
    ),
    Damage(
      file(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, [0, 0, 0, 0]),
      "x: a: has 4 bytes; F32 of shape [2] needs 8"
    ),
    Damage(file(#"{"a":{"dtype":"F32","shape":[],"data_offsets":[4,0]}}"#, [0, 0, 0, 0]), "x: a: has no data_offsets"),
    Damage(
      file(#"{"a":{"dtype":"F32","shape":[],"data_offsets":[9223372036854775803,9223372036854775807]}}"#),
      "x: a: has no data_offsets"
    ),
    Damage(
      file(#"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#, [0, 0]), "; it was cut short; copy it again"),
    Damage(
      file(#"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#, [0, 0, 0, 0, 0]),
      "it is no whole safetensors file"
    ),
    Damage(
      file(#"{"a":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}"#, [UInt8](repeating: 0, count: 8)),
      "x: a: begins at byte 4 of the data, where the tensor before it ends at byte 0"
    ),
    Damage(
      file(
        #"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[],"data_offsets":[2,6]}}"#,
        [UInt8](repeating: 0, count: 6)),
      "x: b: begins at byte 2 of the data, where the tensor before it ends at byte 4"
    ),
    Damage(file(#"{"__metadata__":[]}"#), "x: __metadata__: is not an object of texts"),
    Damage(file(#"{"__metadata__":{"a":1}}"#), "x: __metadata__: holds something else than texts under 'a'"),
  ]

  @Test("damaged and hostile files are refused in one line", arguments: damages)
  func refused(damage: Damage) throws {
    let error = #expect(throws: Diagnostic.self) { try read(damage.file) }
    let text = error?.description ?? ""
    #expect(text.contains(damage.message), "\(text)")
    #expect(!text.contains("\n"))
  }

  @Test("no cut and no single changed byte of a file ends the program")
  func damage() throws {
    let whole = Array(try Safetensors.file(ExportTests.tensors, metadata: ["a": "b"]))
    for count in whole.indices { _ = #expect(throws: Diagnostic.self) { try read(Array(whole[..<count])) } }
    for index in whole.indices {
      for change: UInt8 in [1, 0x80, 0xFF] {
        var file = whole
        file[index] ^= change
        _ = try? read(file)
      }
    }
  }

  @Test("no tensors, spaces behind the header and empty tensors are allowed")
  func smallest() throws {
    #expect(try read(Self.file("{}  ")).entries.isEmpty)
    let empty = try read(Self.file(#"{"a":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]}}"#))
    #expect(empty.entries.map(\.bytes.count) == [0])
  }

  @Test("the checksum is of the whole file")
  func checksum() throws {
    let folder = try TemporaryFolder()
    try Data(Self.file("{}")).write(to: URL(fileURLWithPath: folder.file("a")))
    // printf '\x02\0\0\0\0\0\0\0{}' | sha256sum
    #expect(
      try SafetensorsFile(folder.file("a")).sha256 == "411a485216e432ece6b9af94fa32154cf79a2a56d4f81266baa50063f45092bd"
    )
  }

  @Test("a folder and a missing file are named")
  func missing() throws {
    let folder = try TemporaryFolder()
    #expect(throws: Diagnostic(cause: .absent, folder.file("a"), "no such file")) {
      try SafetensorsFile(folder.file("a"))
    }
    let path = folder.file("")
    #expect(throws: Diagnostic(cause: .system, path, "is a folder, not a safetensors file")) {
      try SafetensorsFile(path)
    }
  }
}
