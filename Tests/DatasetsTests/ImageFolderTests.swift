import Datasets
import Diagnostics
import Foundation
import Synchronization
import Testing

struct ImageFolderTests {
  @Test("A tree loads with classes and files sorted, whatever the number of threads", arguments: [1, 2, 7])
  func loads(threads: Int) throws {
    let folder = try ScratchFolder()
    try writeTree(in: folder)
    // Sorts before its neighbours, and needs no ending in .png.
    try folder.write(rgbPNG(variant: 50), to: "train/cat/0")
    try folder.write([1], to: "train/cat/.hidden")
    try folder.write([1], to: "train/notes.txt")
    let dataset = try ImageDataset.load(root: folder.url, threads: threads)
    #expect(dataset.classNames == ["cat", "dog"])
    #expect(dataset.train.labels == [0, 0, 0, 0, 0, 0, 1, 1, 1])
    #expect(dataset.test.labels == [0, 0, 1])
    #expect(dataset.width == 4)
    #expect(dataset.height == 3)
    #expect(dataset.train.pixels == ([50] + Array(0..<8)).flatMap { rgbPixels(variant: $0) })
    #expect(dataset.test.pixels == (8..<11).flatMap { rgbPixels(variant: $0) })
    #expect(dataset.manifest.trainCounts == [6, 3])
    #expect(dataset.manifest.testCounts == [2, 1])
    #expect(dataset.manifest.source.origin == "image folder")
  }

  @Test("A folder val serves as the test split")
  func validationSplit() throws {
    let folder = try ScratchFolder()
    try writeTree(in: folder, split: "val")
    #expect(try ImageDataset.load(root: folder.url).test.count == 3)
  }

  @Test("Progress rises from one image to all of them")
  func progress() throws {
    let folder = try ScratchFolder()
    try writeTree(in: folder)
    let seen = Mutex<[Int]>([])
    _ = try ImageDataset.load(root: folder.url, threads: 3) { done, total in
      seen.withLock { $0.append(done) }
      #expect(total == 11)
    }
    #expect(seen.withLock { $0 } == Array(1...11))
  }

  /// Golden values by Python: hashlib.sha256(train + labels + test + labels), numpy's mean and std of train / 255.
  @Test("The manifest's hash and statistics are those of the documented bytes")
  func manifestValues() {
    let size = PixelSize(width: 2, height: 1)
    let dataset = ImageDataset(
      train: ImageSplit(size: size, pixels: [0, 10, 255, 20, 30, 255], labels: [1]),
      test: ImageSplit(size: size, pixels: [1, 2, 3, 4, 5, 6], labels: [0]), classes: ["a", "b"], name: "tiny",
      source: DatasetManifest.Source(origin: "test"))
    #expect(dataset.contentHash == "61ac3ff31eb08af159f72206bd91c59a43d9aac6b493b76921bbdbdcf6583756")
    let mean = [10.0 / 255, 20.0 / 255, 1]
    let deviation = [10.0 / 255, 10.0 / 255, 0]
    for channel in 0..<3 {
      #expect(abs(dataset.manifest.mean[channel] - mean[channel]) < 1e-15)
      #expect(abs(dataset.manifest.standardDeviation[channel] - deviation[channel]) < 1e-15)
    }
    #expect(Normalization(dataset.manifest).standardDeviation[2] == 1)
  }

  @Test("The hash tells pixels, labels and their order apart")
  func hashDiffers() {
    let size = PixelSize(width: 1, height: 1)
    func hash(_ pixels: [UInt8], _ labels: [Int32]) -> String {
      ImageDataset(
        train: ImageSplit(size: size, pixels: pixels, labels: labels),
        test: ImageSplit(size: size, pixels: [0, 0, 0], labels: [0]), classes: ["a", "b"], name: "tiny",
        source: DatasetManifest.Source(origin: "test")
      ).contentHash
    }
    let hashes = [
      hash([1, 2, 3, 4, 5, 6], [0, 1]), hash([1, 2, 3, 4, 5, 7], [0, 1]), hash([1, 2, 3, 4, 5, 6], [1, 0]),
      hash([4, 5, 6, 1, 2, 3], [0, 1]),
    ]
    #expect(Set(hashes).count == hashes.count)
  }

  @Test("A manifest survives being written and read, and pins the images")
  func manifestPins() throws {
    let folder = try ScratchFolder()
    try writeTree(in: folder)
    var manifest = try ImageDataset.load(root: folder.url).manifest
    manifest.name = "pets"
    manifest.source = DatasetManifest.Source(origin: "a camera", md5: ["film": "00"], official: true)
    try manifest.write(root: folder.url)
    #expect(try ImageDataset.load(root: folder.url).manifest == manifest)

    try folder.write(rgbPNG(variant: 99), to: "train/dog/00002.png")
    let changed = datasetError { () throws(Diagnostic) in try ImageDataset.load(root: folder.url) }
    #expect(
      changed?.problem
        == "the images are not those that it describes (content hash, pixel statistics)")

    try folder.write(rgbPNG(variant: 99), to: "train/dog/00009.png")
    let added = datasetError { () throws(Diagnostic) in try ImageDataset.load(root: folder.url) }
    #expect(added?.problem == "train/dog holds 4 files, 3 according to manifest.json")
  }

  @Test("A class-balanced subset is fixed by its seed and keeps the order")
  func subsets() throws {
    let size = PixelSize(width: 1, height: 1)
    let labels = (0..<100).map { Int32($0 % 4) }
    let split = ImageSplit(size: size, pixels: (0..<300).map { UInt8($0 / 3) }, labels: labels)
    let subset = split.subset(count: 42, seed: 1)
    let images = stride(from: 0, to: subset.pixels.count, by: 3).map { Int(subset.pixels[$0]) }
    #expect(images == images.sorted())
    #expect(Set(images).count == 42)
    #expect(subset.labels == images.map { labels[$0] })
    let counts = (0..<4).map { label in subset.labels.count { $0 == Int32(label) } }
    #expect(counts == [11, 11, 10, 10])
    #expect(split.subset(count: 42, seed: 1).pixels == subset.pixels)
    #expect(split.subset(count: 42, seed: 2).pixels != subset.pixels)
    #expect(split.subset(count: 100, seed: 3).pixels == split.pixels)
  }

  @Test("A data set's subset describes itself")
  func datasetSubset() throws {
    let folder = try ScratchFolder()
    try writeTree(in: folder)
    let dataset = try ImageDataset.load(root: folder.url)
    let subset = dataset.subset(train: 4, test: nil, seed: 5)
    #expect(subset.manifest.trainCounts == [2, 2])
    #expect(subset.manifest.testCounts == [2, 1])
    #expect(subset.contentHash != dataset.contentHash)
    #expect(subset.test.pixels == dataset.test.pixels)
  }

  @Test("The committed sample is whole and balanced")
  func sample() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("datasets/sample")
    let verification = try DatasetVerification.run(root: root)
    #expect(verification.problems.isEmpty)
    #expect(verification.imageCount == 400)
    let dataset = try ImageDataset.load(root: root)
    #expect(dataset.manifest.trainCounts == [Int](repeating: 30, count: 10))
    #expect(dataset.manifest.testCounts == [Int](repeating: 10, count: 10))
    #expect(dataset.width == 28 && dataset.height == 28)
    // By Pillow, numpy and hashlib.
    #expect(dataset.contentHash == "aabe3cdc7581bf6646c117bddc865c55b5dddc4e551095a0099ad012614217e5")
  }

  // MARK: - Faults

  struct Fault: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// The path at fault inside the tree.
    let path: String
    let reason: String
    let remedy: String
    let spoil: @Sendable (ScratchFolder) throws -> Void
  }

  static let replaceImage = "replace it with a whole PNG file or remove it"
  static let arrange = "arrange the images as {train,test}/CLASS/*.png"

  static let faults: [Fault] = [
    Fault(
      testDescription: "no tree", path: "", reason: "no such folder",
      remedy: "name a tree {train,test}/CLASS/*.png, or make one with 'spqat dataset import'"
    ) { try FileManager.default.removeItem(at: $0.url) },
    Fault(testDescription: "no train", path: "", reason: "no folder 'train' in it", remedy: arrange) {
      try FileManager.default.removeItem(at: $0["train"])
    },
    Fault(testDescription: "no test", path: "", reason: "no folder 'test' in it", remedy: arrange) {
      try FileManager.default.removeItem(at: $0["test"])
    },
    Fault(testDescription: "no classes", path: "test", reason: "no class folders in it", remedy: arrange) {
      try FileManager.default.removeItem(at: $0["test"])
      try $0.write([1], to: "test/file")
    },
    Fault(
      testDescription: "empty class", path: "train/cow", reason: "no images in it",
      remedy: "add PNG files, or remove the class from train and test"
    ) { try FileManager.default.createDirectory(at: $0["train/cow"], withIntermediateDirectories: true) },
    Fault(
      testDescription: "class in test only", path: "test/cow", reason: "a class without training images",
      remedy: "name the classes alike under train and test"
    ) { try $0.write(rgbPNG(variant: 1), to: "test/cow/1.png") },
    Fault(
      testDescription: "zero bytes", path: "train/dog/00002.png", reason: "the file is empty", remedy: replaceImage
    ) { try $0.write([], to: "train/dog/00002.png") },
    Fault(
      testDescription: "text named .png", path: "train/dog/00002.png", reason: "not a PNG file", remedy: replaceImage
    ) { try $0.write(Array("hello".utf8), to: "train/dog/00002.png") },
    Fault(
      testDescription: "truncated", path: "test/cat/00001.png", reason: "the file is truncated", remedy: replaceImage
    ) { try $0.write(Array(rgbPNG(variant: 1).dropLast(20)), to: "test/cat/00001.png") },
    Fault(
      testDescription: "folder in a class", path: "train/cat/more", reason: "not a regular file",
      remedy: "a class folder holds PNG files only; remove it"
    ) { try $0.write(rgbPNG(variant: 1), to: "train/cat/more/1.png") },
    Fault(
      testDescription: "oversized", path: "train/cat/00001.png",
      reason: "the image is 100000x100000, more than 16384 pixels a side or 67108864 pixels in all",
      remedy: "scale it down or remove it"
    ) {
      var file = PNGFixture(width: 1, height: 1, color: .rgb, depth: 8).file
      let header = bigEndian(100_000) + bigEndian(100_000) + [8, 2, 0, 0, 0]
      file.replaceSubrange(8..<33, with: PNGFixture.chunk("IHDR", header))
      try $0.write(file, to: "train/cat/00001.png")
    },
    Fault(
      testDescription: "broken manifest", path: "manifest.json", reason: "not a readable manifest",
      remedy: "import the data set again or remove the file"
    ) { try $0.write(Array("{".utf8), to: "manifest.json") },
  ]

  @Test("A faulty tree is refused with the path, the reason and the remedy", arguments: faults)
  func faultyTree(fault: Fault) throws {
    let folder = try ScratchFolder()
    try writeTree(in: folder)
    try fault.spoil(folder)
    let path = fault.path.isEmpty ? folder.url.path : folder[fault.path].path
    for threads in [1, 4] {
      let error = datasetError { () throws(Diagnostic) in
        try ImageDataset.load(root: folder.url, threads: threads)
      }
      #expect(error?.description == "\(path): \(fault.reason); \(fault.remedy)")
    }
  }

  @Test("An image of another size is named, with the size of the others")
  func otherSize() throws {
    let folder = try ScratchFolder()
    try writeTree(in: folder)
    try folder.write(rgbPNG(width: 5, height: 3, variant: 0), to: "test/dog/00001.png")
    let error = datasetError { () throws(Diagnostic) in try ImageDataset.load(root: folder.url) }
    let path = folder["test/dog/00001.png"].path
    #expect(
      error?.description
        == "\(path): the image is 5x3, but \(folder["train/cat/00001.png"].path) is 4x3; "
        + "scale or crop all images to one size, for example with ImageMagick's mogrify")
  }

  @Test("Limits on file, image and data set size hold before memory is taken")
  func limits() throws {
    let folder = try ScratchFolder()
    try writeTree(in: folder)
    func refusal(_ change: (inout ImageLimits) -> Void) -> String? {
      var limits = ImageLimits()
      change(&limits)
      return datasetError { () throws(Diagnostic) in try ImageDataset.load(root: folder.url, limits: limits) }?.problem
    }
    #expect(refusal { $0.datasetBytes = 11 * 36 } == nil)
    #expect(
      refusal { $0.datasetBytes = 11 * 36 - 1 } == "11 images of 4x3 take more than the 395 bytes allowed in memory")
    #expect(refusal { $0.side = 3 } == "the image is 4x3, more than 3 pixels a side or 67108864 pixels in all")
    #expect(refusal { $0.pixels = 11 } == "the image is 4x3, more than 16384 pixels a side or 11 pixels in all")
    #expect(refusal { $0.fileBytes = 10 }?.hasSuffix("bytes, more than 10") == true)
  }

  @Test("Of several faulty files the first is reported, whatever the number of threads", arguments: [1, 2, 3, 8])
  func firstFault(threads: Int) throws {
    let folder = try ScratchFolder()
    for number in 100..<200 { try folder.write(rgbPNG(variant: number), to: "train/cat/\(number).png") }
    for number in [137, 138, 139, 160] { try folder.write([], to: "train/cat/\(number).png") }
    try folder.write(rgbPNG(variant: 0), to: "test/cat/1.png")
    for _ in 0..<10 {
      let error = datasetError { () throws(Diagnostic) in try ImageDataset.load(root: folder.url, threads: threads) }
      #expect(error?.subject == folder["train/cat/137.png"].path)
    }
  }

  @Test("Verification names every faulty file")
  func verification() throws {
    let folder = try ScratchFolder()
    try writeTree(in: folder)
    let sound = try DatasetVerification.run(root: folder.url)
    #expect(sound.problems.isEmpty && sound.imageCount == 11 && sound.manifest == nil)

    let manifest = try ImageDataset.load(root: folder.url).manifest
    try manifest.write(root: folder.url)
    #expect(try DatasetVerification.run(root: folder.url).manifest == manifest)

    try folder.write([], to: "train/cat/00003.png")
    try folder.write(rgbPNG(width: 9, height: 9, variant: 0), to: "test/dog/00001.png")
    try FileManager.default.removeItem(at: folder["train/dog/00001.png"])
    let problems = try DatasetVerification.run(root: folder.url, threads: 3).problems
    #expect(
      problems.map(\.problem) == [
        "the file is empty", "the image is 9x9, 4x3 according to the manifest",
        "train/dog holds 2 files, 3 according to manifest.json",
      ])
  }

  @Test("A path with control characters stays on one line")
  func oneLine() {
    let error = Diagnostic("a\nb\u{1b}c", "r", remedy: "m")
    #expect(error.description == "a\\u{a}b\\u{1b}c: r; m")
  }
}
