import Datasets
import Foundation
import TestSupport
import Testing

/// `Scripts/imagenet_to_png.py` on made-up trees and tar files, which `make_imagenet.py` writes.
@Suite("ImageNet's files to PNG", .enabled(if: PythonInterpreter.has("PIL"), "there is no Python with Pillow"))
struct ConversionScriptTests {
  private static let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  private static let script = here.appendingPathComponent("../../Scripts/imagenet_to_png.py").standardizedFileURL.path

  private let folder: ScratchFolder

  init() throws {
    folder = try ScratchFolder()
    let made = try PythonInterpreter.run([
      Self.here.appendingPathComponent("make_imagenet.py").path, folder.url.path,
    ])
    try #require(made.status == 0, "\(made.output)")
  }

  private func convert(_ arguments: [String]) throws -> (status: Int32, output: String) {
    try PythonInterpreter.run([Self.script, "--to", folder["png"].path, "--jobs", "2", "--any-count"] + arguments)
  }

  private func names() throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder["png"].path).filter { $0.contains(".") }.sorted()
  }

  private static let expected = [
    "train/n01/n01_1.png", "train/n01/n01_2.png", "train/n02/n02_1.png", "train/n02/n02_2.png", "val/n01/val_1.png",
    "val/n02/val_2.png",
  ]

  /// Gray, CMYK, palette, turned by EXIF, a PNG called JPEG: all become 8-bit RGB as their bytes lie.
  @Test("a tree and the official tar files give the same tree, which can be indexed; what is there is not made again")
  func treeAndTar() throws {
    let tree = try convert(["--train", folder["tree/train"].path, "--val", folder["tree/val"].path])
    #expect(tree.status == 0, "\(tree.output)")
    #expect(try names() == Self.expected)
    let index = try #require(
      try DatasetIndexing.run(root: folder["png"], file: DatasetIndex.file(of: folder["png"])).index)
    #expect(index.entries.map { "\($0.size)" } == ["40x30", "30x50", "64x48", "20x20", "33x44", "50x20"])
    let again = try convert(["--train", folder["tree/train"].path, "--val", folder["tree/val"].path])
    #expect(again.output.contains("0 made, 0 refused"))
    try FileManager.default.removeItem(at: folder["png"])
    let tar = try convert([
      "--train", folder["train.tar"].path, "--val", folder["val.tar"].path, "--val-classes", folder["classes.txt"].path,
    ])
    #expect(tar.status == 0, "\(tar.output)")
    #expect(try names() == Self.expected)
    let other = try #require(
      try DatasetIndexing.run(root: folder["png"], file: DatasetIndex.file(of: folder["png"])).index)
    #expect(other.contentHash == index.contentHash)
  }

  @Test("a shorter side shrinks what is larger, and nothing else")
  func shortSide() throws {
    let made = try convert([
      "--train", folder["tree/train"].path, "--val", folder["tree/val"].path, "--short-side", "24",
    ])
    #expect(made.status == 0, "\(made.output)")
    let index = try #require(
      try DatasetIndexing.run(root: folder["png"], file: DatasetIndex.file(of: folder["png"])).index)
    #expect(index.entries.map { "\($0.size)" } == ["32x24", "24x40", "32x24", "20x20", "24x32", "50x20"])
  }

  @Test("what cannot be read is named, and counts other than ImageNet's are an error unless they are expected")
  func refused() throws {
    try folder.write(Array("no picture".utf8), to: "tree/train/n01/bad.JPEG")
    let made = try convert(["--train", folder["tree/train"].path, "--val", folder["tree/val"].path])
    #expect(made.status == 1)
    #expect(made.output.contains("imagenet_to_png: refused: \(folder["png/train/n01/bad.png"].path): Unidentified"))
    #expect(made.output.contains("7 made, 1 refused"))
    let counted = try PythonInterpreter.run([
      Self.script, "--to", folder["png"].path, "--train", folder["tree/train"].path, "--val", folder["tree/val"].path,
    ])
    #expect(counted.status == 1)
    #expect(counted.output.contains("val: 50000 pictures in 1000 classes expected"))
    let missing = try convert(["--train", folder["nothing.tar"].path, "--val", folder["tree/val"].path])
    #expect(missing.output == "imagenet_to_png: \(folder["nothing.tar"].path): no such file or folder\n")
  }
}
