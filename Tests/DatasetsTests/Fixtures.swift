import Datasets
import Diagnostics
import Foundation

/// A folder of a test's own, removed with the test.
final class ScratchFolder {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("spqat-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  subscript(_ path: String) -> URL { url.appendingPathComponent(path) }

  @discardableResult
  func write(_ bytes: [UInt8], to path: String) throws -> URL {
    let file = self[path]
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: file)
    return file
  }
}

/// An RGB PNG of one size whose pixels depend on `variant`.
func rgbPNG(width: Int = 4, height: Int = 3, variant: Int) throws -> [UInt8] {
  let pixels = rgbPixels(width: width, height: height, variant: variant)
  return try PNG.encode(pixels, size: PixelSize(width: width, height: height), channels: 3)
}

func rgbPixels(width: Int = 4, height: Int = 3, variant: Int) -> [UInt8] {
  (0..<width * height * 3).map { UInt8(($0 * 37 + variant * 101) % 256) }
}

/// A sound tree of two classes: 5 + 3 training and 2 + 1 test images of 4x3.
func writeTree(in folder: ScratchFolder, split: String = "test") throws {
  var variant = 0
  for (path, count) in [("train/cat", 5), ("train/dog", 3), ("\(split)/cat", 2), ("\(split)/dog", 1)] {
    for number in 1...count {
      try folder.write(rgbPNG(variant: variant), to: "\(path)/0000\(number).png")
      variant += 1
    }
  }
}

func gzip(_ data: [UInt8]) -> [UInt8] {
  let littleEndian = { (value: Int) in Array(bigEndian(value).reversed()) }
  return [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255] + storedDeflate(data) + littleEndian(Int(crc32(data)))
    + littleEndian(data.count)
}

/// A POSIX tar archive of regular files.
func tar(_ files: [(name: String, data: [UInt8])]) -> [UInt8] {
  var archive: [UInt8] = []
  for (name, data) in files {
    var header = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, at offset: Int) {
      header.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
    }
    let digits = String(data.count, radix: 8)
    put(name, at: 0)
    put("0000644", at: 100)
    put(String(repeating: "0", count: 11 - digits.count) + digits, at: 124)
    put("        ", at: 148)
    put("0", at: 156)
    put("ustar\u{0}00", at: 257)
    let sum = String(header.reduce(0) { $0 + Int($1) }, radix: 8)
    put(String(repeating: "0", count: 6 - sum.count) + sum + "\u{0} ", at: 148)
    archive += header + data + [UInt8](repeating: 0, count: (512 - data.count % 512) % 512)
  }
  return archive + [UInt8](repeating: 0, count: 1024)
}

/// The error that `work` throws, or nil.
func datasetError<Result>(_ work: () throws(Diagnostic) -> Result) -> Diagnostic? {
  do throws(Diagnostic) {
    _ = try work()
    return nil
  } catch {
    return error
  }
}
