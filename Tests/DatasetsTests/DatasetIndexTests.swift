import Datasets
import Diagnostics
import Foundation
import Testing

@Suite("The index of a tree of pictures")
struct DatasetIndexTests {
  private let folder: ScratchFolder
  private var file: URL { DatasetIndex.file(of: folder.url) }

  /// Five training and three test pictures of different sizes.
  init() throws {
    folder = try ScratchFolder()
    try writePictures(in: folder)
  }

  private func make() throws -> DatasetIndexing.Outcome { try DatasetIndexing.run(root: folder.url, file: file) }

  private func load() -> Diagnostic? {
    datasetError { () throws(Diagnostic) in try DatasetIndex.load(file, root: folder.url, threads: 2) }
  }

  private func touch(_ path: String, _ seconds: Double) throws {
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSince1970: seconds)], ofItemAtPath: folder[path].path)
  }

  @Test("holds every file with its size and checksum, and is read back as it was written")
  func contents() throws {
    let made = try #require(try make().index)
    #expect(made.classes == ["cat", "dog"])
    #expect(made.trainCount == 5 && made.testCount == 3)
    #expect(made.labels == [0, 0, 0, 1, 1, 0, 0, 1])
    #expect(made.entries.map(\.path).first == "train/cat/00001.png")
    #expect(made.entries[1].size == PixelSize(width: 23, height: 31))
    #expect(made.decodedBytes == made.entries.reduce(0) { $0 + 3 * $1.size.width * $1.size.height })
    let read = try DatasetIndex.load(file, root: folder.url)
    #expect(read.entries == made.entries && read.contentHash == made.contentHash)
  }

  @Test(
    "is the same identity after a copy, a rename that keeps the order and another time, and another after any change")
  func identity() throws {
    let before = try #require(try make().index).contentHash
    #expect(before.count == 64)
    try touch("train/dog/00001.png", 1_000_000)
    try FileManager.default.moveItem(at: folder["train/dog/00002.png"], to: folder["train/dog/zebra.png"])
    try FileManager.default.moveItem(at: folder["test"], to: folder["val"])
    #expect(try make().index?.contentHash == before)
    // The same two pictures, in the other order.
    try FileManager.default.moveItem(at: folder["train/dog/zebra.png"], to: folder["train/dog/0.png"])
    let swapped = try #require(try make().index).contentHash
    #expect(swapped != before)
    // A training picture becomes a test picture.
    try FileManager.default.moveItem(at: folder["train/cat/00003.png"], to: folder["val/cat/00003.png"])
    #expect(try make().index?.contentHash != swapped)
  }

  @Test("takes a picture from after 2262, whose time in nanoseconds no 64 bits hold")
  func distantTime() throws {
    try touch("train/cat/00002.png", 12_000_000_000)
    #expect(try make().index?.entries.count == 8)
    #expect(load() == nil)
    try touch("train/cat/00002.png", 1_000_000)
    #expect(load()?.problem.hasPrefix("was written after the index") == true)
  }

  @Test("tells what changed since it was made, in one line")
  func changes() throws {
    let remedy = "run 'spqat dataset index \(folder.url.relativePath)'"
    #expect(load()?.description == "\(file.path): no index of the pictures there; \(remedy) once")
    _ = try make()
    #expect(load() == nil)
    try touch("train/cat/00002.png", 1_000_000)
    #expect(
      load()?.description
        == "\(folder["train/cat/00002.png"].path): was written after the index \(file.path) was made; "
        + "\(remedy), which reads what changed")
    try touch("test/dog/00001.png", 1_000_000)
    #expect(load()?.problem == "was written after the index \(file.path) was made, as 1 others were")
    let again = try make()
    #expect(again.readCount == 2 && load() == nil)
    try folder.write(pictureFile(seed: 9), to: "train/cat/new.png")
    #expect(load()?.description == "\(folder["train/cat/new.png"].path): is not in the index \(file.path); \(remedy)")
    try FileManager.default.removeItem(at: folder["train/cat/new.png"])
    try FileManager.default.removeItem(at: folder["train/cat/00003.png"])
    #expect(
      load()?.description
        == "\(folder["train/cat/00003.png"].path): is in the index \(file.path) and not in the tree; "
        + "restore it, or \(remedy)")
  }

  @Test("a damaged one is refused")
  func damaged() throws {
    _ = try make()
    let text = try String(contentsOf: file, encoding: .utf8)
    func check(_ changed: String, _ reason: String) throws {
      try Data(changed.utf8).write(to: file)
      #expect(load()?.problem == reason)
    }
    try check(String(text.dropLast(3)), "the index is truncated")
    try check("something else\n", "not an index of pictures")
    try check(text.replacingOccurrences(of: "23x31", with: "23x0"), "line 3 describes no picture")
    try check(
      text.replacingOccurrences(of: "contentHash ", with: "contentHash 0"), "the index is damaged: its hash is another")
  }

  @Test("a line that is there twice or in another's place is named, and names are told apart by their bytes")
  func order() throws {
    _ = try make()
    let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
    func description(_ changed: [Substring]) throws -> String? {
      try Data((changed.joined(separator: "\n") + "\n").utf8).write(to: file)
      return load()?.description
    }
    let remedy = "run 'spqat dataset index \(folder.url.relativePath)'"
    #expect(
      try description(Array(lines[...3]) + lines[3...])
        == "\(file.path): line 5 repeats line 4: train/cat/00003.png; \(remedy)")
    // After the last picture, where the tree has none to compare it with.
    #expect(
      try description(lines.dropLast() + [lines[1], lines[9]])
        == "\(file.path): line 10 repeats line 2: train/cat/00001.png; \(remedy)")
    #expect(
      try description([lines[0], lines[2], lines[1]] + lines[3...])
        == "\(file.path): line 2 is out of order: train/cat/00002.png; \(remedy)")
    let (composed, decomposed) = ("train/cat/é.png", "train/cat/e\u{301}.png")
    try folder.write(pictureFile(seed: 9), to: composed)
    try folder.write(pictureFile(seed: 9), to: decomposed)
    try touch(composed, 1_000_000)
    try touch(decomposed, 1_000_000)
    _ = try make()
    #expect(load() == nil)
    // From what is known already, by name, size and time.
    #expect(try make().readCount == 0 && load() == nil)
    let both = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
    let one = both.filter { !$0.utf8.suffix(decomposed.utf8.count).elementsEqual(decomposed.utf8) }
    #expect(one.count == both.count - 1)
    let error = try description(one)
    #expect(
      error?.utf8.elementsEqual("\(folder[decomposed].path): is not in the index \(file.path); \(remedy)".utf8) == true)
  }

  @Test("goes on where it was ended, and reads a line again that was cut off")
  func resumed() throws {
    _ = try make()
    let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
    let before = try Data(contentsOf: file)
    try FileManager.default.removeItem(at: file)
    // Two whole pictures and half a line.
    let partial = lines[3] + "\n" + lines[1] + "\n" + lines[2].prefix(40)
    try Data(partial.utf8).write(to: folder["index.tsv.partial"])
    let outcome = try make()
    #expect(outcome.readCount == 6 && outcome.imageCount == 8)
    #expect(try Data(contentsOf: file) == before)
    #expect(!FileManager.default.fileExists(atPath: folder["index.tsv.partial"].path))
  }

  @Test("is not made of pictures that cannot be used: all are named, and what was read is kept")
  func refused() throws {
    try folder.write(Array("GIF89a".utf8), to: "train/cat/00002.png")
    var deep = PNGFixture(width: 8, height: 8, color: .gray, depth: 16)
    try folder.write(deep.file, to: "test/cat/00001.png")
    let outcome = try make()
    #expect(outcome.index == nil)
    #expect(
      outcome.problems.map(\.description) == [
        "\(folder["train/cat/00002.png"].path): not a PNG file but a GIF file; replace it with a whole PNG file or remove it",
        "\(folder["test/cat/00001.png"].path): has 16 bits a sample, allowed: 8 and fewer; convert it to 8 bits or remove it",
      ])
    #expect(!FileManager.default.fileExists(atPath: file.path))
    deep.depth = 8
    try folder.write(deep.file, to: "test/cat/00001.png")
    try folder.write(pictureFile(seed: 1), to: "train/cat/00002.png")
    #expect(try make().readCount == 2)
  }

  @Test("may lie elsewhere, and messages say so")
  func elsewhere() throws {
    let other = try ScratchFolder()
    let file = other["data.tsv"]
    let made = try #require(try DatasetIndexing.run(root: folder.url, file: file).index)
    #expect(try DatasetIndex.load(file, root: folder.url).contentHash == made.contentHash)
    try FileManager.default.removeItem(at: file)
    let error = datasetError { () throws(Diagnostic) in try DatasetIndex.load(file, root: folder.url) }
    #expect(error?.remedy == "run 'spqat dataset index \(folder.url.path) --index \(file.path)' once")
    let missing = other["none/data.tsv"]
    let unwritable = datasetError { () throws(Diagnostic) in
      try DatasetIndexing.run(root: folder.url, file: missing)
    }
    #expect(unwritable?.problem == "cannot be written (No such file or directory)")
  }

  @Test("verification reads everything: a change that leaves size and time as they were, and a picture cut short")
  func verification() throws {
    func problems() throws -> [String] {
      try DatasetIndexing.verify(root: folder.url, file: file).problems.map(\.problem)
    }
    let path = "train/cat/00001.png"
    let whole = [UInt8](try Data(contentsOf: folder[path]))
    try folder.write(Array(whole.dropLast(20)), to: "train/dog/00002.png")
    try touch(path, 1_000_000)
    _ = try make()
    #expect(try problems() == ["the file is truncated"])
    var changed = whole
    changed[changed.count - 30] ^= 1
    try folder.write(changed, to: path)
    try touch(path, 1_000_000)
    #expect(load() == nil)
    #expect(
      try problems() == [
        "its contents changed since the index was made, and its size and time did not", "the file is truncated",
      ])
  }
}

/// A generated picture as a PNG file; its size follows from `seed`.
func pictureFile(seed: Int) throws -> [UInt8] {
  let size = PixelSize(width: 12 + 11 * seed, height: 24 + 7 * seed)
  return try PNG.encode(rgbPixels(width: size.width, height: size.height, variant: seed), size: size, channels: 3)
}

/// A tree of two classes: 3 + 2 training and 2 + 1 test pictures of different sizes.
func writePictures(in folder: ScratchFolder) throws {
  var seed = 0
  for (path, count) in [("train/cat", 3), ("train/dog", 2), ("test/cat", 2), ("test/dog", 1)] {
    for number in 1...count {
      try folder.write(pictureFile(seed: seed), to: "\(path)/0000\(number).png")
      seed += 1
    }
  }
}
