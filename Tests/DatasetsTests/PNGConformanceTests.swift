import Datasets
import Foundation
import TestSupport
import Testing

private let environment = ProcessInfo.processInfo.environment

/// Files of all kinds against Pillow's pixels; `make_pngs.py` says by which rules.
@Suite("PNG conformance", .enabled(if: PythonInterpreter.has("PIL, numpy"), "there is no Python with Pillow"))
struct PNGConformanceTests {
  private static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("make_pngs.py").path

  /// Folders with PngSuite: $SPQAT_PNGSUITE, separated by colons, or what Debian's packages golang-*-src install.
  private static let suites: [String] = {
    if let given = environment["SPQAT_PNGSUITE"] { return given.split(separator: ":").map(String.init) }
    let go = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/share")) ?? []
    return go.filter { $0.hasPrefix("go-") }.map { "/usr/share/\($0)/src/image/png/testdata/pngsuite" }
      .filter { FileManager.default.fileExists(atPath: $0) }
  }()

  /// Decodes every file of `folder`, and compares each pixel.
  /// - Returns: the number of files.
  private func compareAll(in folder: URL) throws -> Int {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".png") }
    for name in names.sorted() {
      let file = folder.appendingPathComponent(name)
      let bytes = [UInt8](try Data(contentsOf: file))
      let other = file.deletingPathExtension()
      let expected = (try? Data(contentsOf: other.appendingPathExtension("rgb"))).map { [UInt8]($0) }
      // Where Pillow keeps high bytes, scaling gives these or their neighbours.
      let tolerance = FileManager.default.fileExists(atPath: other.appendingPathExtension("high").path) ? 1 : 0
      do {
        let pixels = try PNGTests.decode(bytes).pixels
        try #require(pixels.count == expected?.count, "\(name): another size, or a damaged file that was accepted")
        let wrong = zip(pixels, expected ?? []).enumerated().first { abs(Int($1.0) - Int($1.1)) > tolerance }
        #expect(wrong == nil, "\(name): byte \(wrong!.offset) is \(wrong!.element.0), not \(wrong!.element.1)")
      } catch let failure as PNG.Failure {
        #expect(expected == nil, "\(name): refused: \(failure.reason)")
      }
    }
    return names.count
  }

  @Test("2,000 random files decode to the pixels that the specification and Pillow give them")
  func random() throws {
    let folder = try ScratchFolder()
    let made = try PythonInterpreter.run([Self.script, folder.url.path, "2000", environment["SPQAT_PNG_SEED"] ?? "1"])
    try #require(made.status == 0, "\(made.output)")
    #expect(try compareAll(in: folder.url) == 2000)
  }

  @Test(
    "Every file of PngSuite decodes to Pillow's pixels",
    .enabled(if: !suites.isEmpty, "no PngSuite here: name its folder in SPQAT_PNGSUITE, or install golang-src"))
  func suite() throws {
    let folder = try ScratchFolder()
    let made = try PythonInterpreter.run([Self.script, folder.url.path, "0", "1"] + Self.suites)
    try #require(made.status == 0, "\(made.output)")
    let count = try compareAll(in: folder.url)
    print("PngSuite: \(count) files of \(Self.suites.joined(separator: ", "))")
    #expect(count > 0)
  }
}
