import Datasets
import Diagnostics
import Foundation
import Testing

@Suite("Names in a tree")
struct FolderNamesTests {
  private func error(_ spoil: (ScratchFolder) throws -> Void) throws -> String? {
    let folder = try ScratchFolder()
    try writeTree(in: folder)
    try spoil(folder)
    return datasetError { () throws(Diagnostic) in try ImageDataset.load(root: folder.url) }?.description
      .replacingOccurrences(of: folder.url.path + "/", with: "")
  }

  private func makeFolder(_ bytes: [UInt8], in folder: URL) {
    #expect((Array(folder.path.utf8) + [47] + bytes + [0]).withUnsafeBytes { mkdir($0.baseAddress!, 0o755) } == 0)
  }

  @Test("that are not UTF-8 are refused, of classes and of images", arguments: ["train", "test", "train/cat"])
  func notUTF8(place: String) throws {
    let message = try error { makeFolder([0x63, 0x61, 0x66, 0xe9], in: $0[place]) }
    #expect(message?.hasPrefix("\(place)/caf\\xE9: its name is not UTF-8; rename it") == true)
  }

  @Test("that are links which lead nowhere are refused", arguments: ["train", "test"], ["/not/mounted", "bird"])
  func danglingLink(split: String, target: String) throws {
    let message = try error { folder in
      try FileManager.default.createSymbolicLink(
        atPath: folder["\(split)/bird"].path, withDestinationPath: target)
    }
    #expect(message?.hasPrefix("\(split)/bird: a link that leads nowhere (to \(target)); mount or restore") == true)
  }

  @Test("that are links to folders serve as classes")
  func link() throws {
    let folder = try ScratchFolder()
    try writeTree(in: folder)
    for split in ["train", "test"] {
      try FileManager.default.createSymbolicLink(
        atPath: folder["\(split)/bird"].path, withDestinationPath: folder["\(split)/dog"].path)
    }
    #expect(try ImageDataset.load(root: folder.url).manifest.trainCounts == [3, 5, 3])
  }

  private static let composed = "caf\u{e9}"
  private static let decomposed = "cafe\u{301}"

  @Test("that Unicode spells in two ways are told apart")
  func unicodeForms() throws {
    let message = try error { folder in
      try folder.write(rgbPNG(variant: 1), to: "train/\(Self.composed)/1.png")
      try folder.write(rgbPNG(variant: 2), to: "test/\(Self.decomposed)/1.png")
    }
    #expect(message?.contains("its name is spelled decomposed (NFD, 6 bytes), but that of ") == true)
    #expect(message?.contains("train/\(Self.composed) composed (NFC, 5 bytes); rename one of them") == true)
    let twice = try error { folder in
      try folder.write(rgbPNG(variant: 1), to: "train/\(Self.composed)/1.png")
      try folder.write(rgbPNG(variant: 2), to: "train/\(Self.decomposed)/1.png")
    }
    #expect(twice?.contains("two class folders have this name, spelled decomposed (NFD, 6 bytes) and composed") == true)
  }

  @Test(
    "without permission is no folder without classes", .enabled(if: getuid() != 0, "root may look into everything"),
    arguments: ["train", "test/cat", ""], [0o000, 0o444])
  func noPermission(place: String, mode: Int) throws {
    var path = ""
    let message = try error { folder in
      path = folder[place].path
      chmod(path, mode_t(mode))
    }
    chmod(path, 0o755)
    #expect(message?.contains("Permission denied") == true, "\(message ?? "no error")")
  }
}

@Suite("Manifests edited by hand")
struct ManifestTests {
  @Test(
    "are refused with the key, what was found and what is allowed",
    arguments: [
      (#""height":3"#, #""height":0"#, "height: found 0, allowed: 1 to 16384"),
      (#""width":4"#, #""width":100000"#, "width: found 100000, allowed: 1 to 16384"),
      (#""classes":["cat","dog"]"#, #""classes":["cat"]"#, "trainCounts: found 2 counts, allowed: 1, one a class"),
      (#""classes":["cat","dog"]"#, #""classes":[]"#, "classes: found none, allowed: one or more"),
      (#""classes":["cat","dog"]"#, #""classes":["dog","cat"]"#, "classes: found another order"),
      (#""classes":["cat","dog"]"#, #""classes":["cat","cat"]"#, "classes: found another order"),
      (#""classes":["cat","dog"]"#, #""classes":["a/b","dog"]"#, "classes: found \"a/b\""),
      (#""trainCounts":[5,3]"#, #""trainCounts":[5]"#, "trainCounts: found 1 counts, allowed: 2, one a class"),
      (#""testCounts":[2,1]"#, #""testCounts":[2,0]"#, "testCounts: found 0, allowed: 1 to"),
      (#""trainCounts":[5,3]"#, #""trainCounts":[9223372036854775807,9223372036854775807]"#, "trainCounts: found 9"),
      (#""trainCounts":[5,3]"#, #""trainCounts":[-5,3]"#, "trainCounts: found -5, allowed: 1 to"),
      (#""mean":["#, #""mean":[0.5,"#, "mean: found 4 numbers, allowed: 3, for red, green and blue"),
      (#""standardDeviation":["#, #""standardDeviation":[7,"#, "standardDeviation: found 4 numbers"),
      (#""name":"x""#, #""name":"""#, "name: found \"\", allowed: a text without NUL"),
      (#""name":"x""#, #""name":"a\u0000b""#, "name: found \"a\\u{0}b\", allowed: a text without NUL"),
      (#""contentHash":""#, #""contentHash":"z"#, "contentHash: found \"z"),
    ])
  func edited(text: String, replacement: String, reason: String) throws {
    let folder = try ScratchFolder()
    try writeTree(in: folder)
    var manifest = try ImageDataset.load(root: folder.url).manifest
    manifest.name = "x"
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    let json = String(decoding: try encoder.encode(manifest), as: UTF8.self)
    #expect(json.contains(text), "\(json)")
    try folder.write(Array(json.replacingOccurrences(of: text, with: replacement).utf8), to: "manifest.json")
    for error in [
      datasetError({ () throws(Diagnostic) in try DatasetManifest.read(root: folder.url) }),
      datasetError { () throws(Diagnostic) in try ImageDataset.load(root: folder.url) },
    ] {
      #expect(error?.subject == folder["manifest.json"].path)
      #expect(error?.description.contains(": \(reason)") == true, "\(error?.description ?? "no error")")
      #expect(error?.remedy == "import the data set again or remove the file")
    }
  }
}

@Suite("Labels by name")
struct LabelTests {
  private func dataset(_ classes: [String]) -> ImageDataset {
    let size = PixelSize(width: 1, height: 1)
    let labels = classes.indices.map { Int32($0) }
    let split = ImageSplit(
      size: size, pixels: labels.flatMap { [UInt8($0), UInt8($0), UInt8($0)] }, labels: labels)
    return ImageDataset(train: split, test: split, classes: classes, name: "x", source: .imageFolder)
  }

  @Test("follow the network's classes, of which there may be more")
  func mapped() throws {
    let mapped = try dataset(["cat", "dog"]).labelled(by: ["dog", "bird", "cat"], path: "x")
    #expect(mapped.test.labels == [2, 0])
    #expect(mapped.train.labels == [2, 0])
    #expect(mapped.classNames == ["dog", "bird", "cat"])
    #expect(mapped.manifest.testCounts == [1, 0, 1])
    #expect(mapped.test.pixels == dataset(["cat", "dog"]).test.pixels)
  }

  @Test("that the network does not know are refused")
  func unknown() {
    let error = datasetError { () throws(Diagnostic) in
      try dataset(["cat", "emu"]).labelled(by: ["bird", "cat"], path: "x")
    }
    #expect(error?.description.hasPrefix("x: the class emu is not among the 2 of the network (bird, cat); ") == true)
  }
}
