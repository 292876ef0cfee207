import Foundation

/// An input that is a list of changes to a good file: of a file with addresses in it hardly a byte can be put in or taken
/// out, and short inputs are what libFuzzer is good at.
///
/// The first byte chooses the file. Each change has four: where (22 bits, modulo the file's size, lowest byte first), what
/// to do (2 bits), and a value.
struct ChangedFiles: Sendable {
  private let originals: [[UInt8]]

  init(_ originals: [[UInt8]]) { self.originals = originals }

  /// The files of a folder of the repository, in which `make fuzz` runs, by name.
  init(folder: String) {
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    originals = names.map { name in
      let data = FileManager.default.contents(atPath: "\(folder)/\(name)") ?? Data()
      return ChangedFiles.withoutChecksum(Array(data))
    }
    guard !originals.isEmpty else { fatalError("\(folder) is empty, or not below the working folder") }
  }

  /// A file without the checksum at its end is as good as one whose checksum is right.
  static func withoutChecksum(_ file: [UInt8]) -> [UInt8] {
    file.suffix(16).starts(with: "spqatsum".utf8) ? file.dropLast(16) : file
  }

  /// Which file the input changes.
  func choice(_ input: UnsafeRawBufferPointer) -> Int { Int(input.first ?? 0) % originals.count }

  /// The changed file.
  func file(_ input: UnsafeRawBufferPointer) -> [UInt8] {
    var file = originals[choice(input)]
    guard input.count > 4 else { return file }
    for start in stride(from: 1, to: input.count - 3, by: 4) {
      let place = (Int(input[start]) | Int(input[start + 1]) << 8 | Int(input[start + 2] & 63) << 16) % file.count
      let value = input[start + 3]
      switch input[start + 2] >> 6 {
      case 0: file[place] = value
      case 1: file[place] &+= value
      // A number of eight bytes, such as an address or a size.
      case 2: for byte in 0..<min(8, file.count - place) { file[place + byte] = byte == 0 || value > 127 ? value : 0 }
      default: file.removeSubrange(max(1, place)...)
      }
    }
    return file
  }
}
