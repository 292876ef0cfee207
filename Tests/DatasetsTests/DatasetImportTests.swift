import Datasets
import Diagnostics
import Foundation
import Testing

struct DatasetImportTests {
  // MARK: - Tiny data sets in the publishers' formats

  /// CIFAR-10's format with 2 x 3 training and 4 test records.
  private static var tinyCIFAR: CIFARFiles {
    var files = CIFARFiles.cifar10
    files.train = [.init(name: "data_batch_1.bin", records: 3), .init(name: "data_batch_2.bin", records: 3)]
    files.test = [.init(name: "test_batch.bin", records: 4)]
    files.classes = ["bird", "airplane"]
    files.address = "file:///nowhere/cifar-10-binary.tar.gz"
    return files
  }

  private static func record(label: Int, _ number: Int, labelBytes: Int = 1) -> [UInt8] {
    [UInt8](repeating: 7, count: labelBytes - 1) + [UInt8(label)] + planes(number)
  }

  private static func planes(_ number: Int) -> [UInt8] {
    (0..<3072).map { UInt8(($0 * 13 + number * 77 + $0 / 1024 * 50) % 256) }
  }

  private static func interleaved(_ number: Int) -> [UInt8] {
    let planes = planes(number)
    return (0..<1024).flatMap { [planes[$0], planes[1024 + $0], planes[2048 + $0]] }
  }

  private static func cifarMembers(labelBytes: Int = 1) -> [(name: String, data: [UInt8])] {
    func records(_ range: Range<Int>) -> [UInt8] {
      range.flatMap { record(label: $0 % 2, $0, labelBytes: labelBytes) }
    }
    return [
      ("cifar-10-batches-bin/readme.html", Array("hello".utf8)),
      ("cifar-10-batches-bin/data_batch_2.bin", records(3..<6)),
      ("cifar-10-batches-bin/data_batch_1.bin", records(0..<3)),
      ("cifar-10-batches-bin/test_batch.bin", records(6..<10)),
    ]
  }

  private static func importer(_ files: CIFARFiles) -> DatasetImporter {
    DatasetImporter(name: "cifar10", files: .cifar(files))
  }

  private func expectCIFAR(_ dataset: ImageDataset) {
    // "airplane" sorts before "bird", so the publisher's label 1 comes first.
    #expect(dataset.classNames == ["airplane", "bird"])
    #expect(dataset.train.labels == [0, 0, 0, 1, 1, 1])
    #expect(dataset.train.pixels == [1, 3, 5, 0, 2, 4].flatMap(Self.interleaved))
    #expect(dataset.test.pixels == [7, 9, 6, 8].flatMap(Self.interleaved))
    #expect(dataset.manifest.name == "cifar10")
  }

  private func manifest(_ outcome: DatasetImporter.Outcome) -> DatasetManifest {
    switch outcome {
    case .imported(let manifest), .present(let manifest): manifest
    }
  }

  // MARK: - CIFAR

  @Test("An archive becomes a tree of PNG files with a manifest, and its MD5 is checked")
  func archive() throws {
    let folder = try ScratchFolder()
    let archive = try folder.write(gzip(tar(Self.cifarMembers())), to: "cifar-10-binary.tar.gz")
    var files = Self.tinyCIFAR
    let tree = folder["tree"]
    let outcome = try Self.importer(files).run(from: archive, to: tree, acceptOtherChecksum: true)
    let other = manifest(outcome)
    #expect(other.source.official == false)
    #expect(FileManager.default.fileExists(atPath: folder["tree/train/airplane/00002.png"].path))
    #expect(FileManager.default.fileExists(atPath: folder["tree/test/bird/00001.png"].path))
    let dataset = try ImageDataset.load(root: tree)
    expectCIFAR(dataset)
    #expect(dataset.manifest == other)

    // The same archive under its own checksum is official.
    files.md5 = try #require(other.source.md5?["cifar-10-binary.tar.gz"])
    let official = try manifest(Self.importer(files).run(from: archive, to: folder["official"]))
    #expect(official.source.official == true)
    #expect(official.contentHash == other.contentHash)
  }

  @Test("Another checksum is refused, saying both, and nothing is left behind")
  func otherChecksum() throws {
    let folder = try ScratchFolder()
    let archive = try folder.write(gzip(tar(Self.cifarMembers())), to: "a.tar.gz")
    let error = datasetError { () throws(Diagnostic) in
      try Self.importer(Self.tinyCIFAR).run(from: archive, to: folder["tree"])
    }
    let reason = try #require(error?.problem)
    #expect(reason.hasPrefix("MD5 is "))
    #expect(reason.hasSuffix(", the official archive's c32a1d4ab5d03f1284b67883e8d87530"))
    #expect(error?.remedy?.contains("--accept-other-checksum") == true)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["a.tar.gz"])
  }

  @Test("An extracted folder, or the folder that holds it, is read as well", arguments: ["", "cifar-10-batches-bin"])
  func extractedFolder(inner: String) throws {
    let folder = try ScratchFolder()
    for (name, data) in Self.cifarMembers() { try folder.write(data, to: "source/\(name)") }
    let source = inner.isEmpty ? folder["source"] : folder["source/\(inner)"]
    let outcome = try Self.importer(Self.tinyCIFAR).run(from: source, to: folder["tree"])
    #expect(manifest(outcome).source.origin == "folder cifar-10-batches-bin")
    expectCIFAR(try ImageDataset.load(root: folder["tree"]))
  }

  @Test("The archive is found in the folder that it was downloaded to, and what else may be there is named")
  func folderOfArchive() throws {
    let folder = try ScratchFolder()
    try folder.write(Array("hello".utf8), to: "source/notes.txt")
    let error = datasetError { () throws(Diagnostic) in
      try Self.importer(Self.tinyCIFAR).run(from: folder["source"], to: folder["tree"])
    }
    #expect(error?.subject == folder["source"].path)
    #expect(error?.problem == "neither cifar-10-binary.tar.gz nor what it unpacks to is in this folder")
    let archive = gzip(tar(Self.cifarMembers()))
    try folder.write(archive, to: "source/cifar-10-binary.tar.gz")
    let outcome = try Self.importer(Self.tinyCIFAR).run(
      from: folder["source"], to: folder["tree"], acceptOtherChecksum: true)
    #expect(manifest(outcome).source.origin == "cifar-10-binary.tar.gz")
    expectCIFAR(try ImageDataset.load(root: folder["tree"]))
    // A part of what it unpacks to is a mistake to be named, not one to be passed over.
    try folder.write([1], to: "source/data_batch_2.bin")
    let incomplete = datasetError { () throws(Diagnostic) in
      try Self.importer(Self.tinyCIFAR).run(from: folder["source"], to: folder["other"], acceptOtherChecksum: true)
    }
    #expect(incomplete?.subject == folder["source/data_batch_1.bin"].path)
    #expect(incomplete?.problem == "no such file")
  }

  @Test("Of two label bytes the last is the class, as in CIFAR-100")
  func fineLabels() throws {
    let folder = try ScratchFolder()
    for (name, data) in Self.cifarMembers(labelBytes: 2) { try folder.write(data, to: name) }
    var files = Self.tinyCIFAR
    files.labelBytes = 2
    _ = try Self.importer(files).run(from: folder.url, to: folder["tree"])
    expectCIFAR(try ImageDataset.load(root: folder["tree"]))
  }

  struct BadArchive: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let reason: String
    let make: @Sendable ([(name: String, data: [UInt8])]) -> [UInt8]
  }

  static let badArchives: [BadArchive] = [
    BadArchive(testDescription: "no gzip", reason: "not a gzip file") { tar($0) },
    BadArchive(testDescription: "gzip cut short", reason: "the gzip file is truncated") {
      Array(gzip(tar($0)).dropLast(3000))
    },
    BadArchive(testDescription: "gzip trailer cut", reason: "the gzip file is truncated") {
      Array(gzip(tar($0)).dropLast(1))
    },
    BadArchive(testDescription: "wrong gzip checksum", reason: "the gzip file is damaged") {
      var bytes = gzip(tar($0))
      bytes[bytes.count - 8] ^= 1
      return bytes
    },
    BadArchive(testDescription: "no tar", reason: "not a tar archive, or a damaged one") { _ in
      gzip([UInt8](repeating: 65, count: 2000))
    },
    BadArchive(testDescription: "tar cut short", reason: "the tar archive is truncated") {
      gzip(Array(tar($0).dropLast(2000)))
    },
    BadArchive(testDescription: "too much", reason: "it holds more than the data set's files") {
      gzip(tar($0 + [("huge", [UInt8](repeating: 0, count: 5 << 20))]))
    },
    BadArchive(testDescription: "a file missing", reason: "no data_batch_2.bin in it") {
      gzip(tar($0.filter { !$0.name.hasSuffix("2.bin") }))
    },
    BadArchive(testDescription: "a file too short", reason: "9218 bytes instead of 9219 (3 records of 3073)") {
      gzip(tar($0.map { ($0.name, $0.name.hasSuffix("2.bin") ? Array($0.data.dropLast()) : $0.data) }))
    },
    BadArchive(testDescription: "a wrong label", reason: "record 1 has label 9, allowed are 0 to 1") {
      gzip(tar($0.map { ($0.name, $0.name.hasSuffix("2.bin") ? [9] + $0.data.dropFirst() : $0.data) }))
    },
  ]

  @Test("A bad archive is refused with a reason, and nothing is left behind", arguments: badArchives)
  func badArchive(bad: BadArchive) throws {
    let folder = try ScratchFolder()
    let archive = try folder.write(bad.make(Self.cifarMembers()), to: "a.tar.gz")
    let error = datasetError { () throws(Diagnostic) in
      try Self.importer(Self.tinyCIFAR).run(from: archive, to: folder["tree"], acceptOtherChecksum: true)
    }
    #expect(error?.subject.hasPrefix(archive.path) == true)
    // The oversized archive may already be refused by its size on disk.
    let reasons = [bad.reason, bad.testDescription == "too much" ? "the file has" : bad.reason]
    #expect(reasons.contains { error?.problem.hasPrefix($0) == true }, "\(error?.description ?? "no error")")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["a.tar.gz"])
  }

  @Test("Without an archive and offline, the message says which file to put where")
  func offline() throws {
    let folder = try ScratchFolder()
    let error = datasetError { () throws(Diagnostic) in
      try Self.importer(Self.tinyCIFAR).run(from: nil, to: folder["tree"])
    }
    #expect(error?.subject == folder["cifar-10-binary.tar.gz"].path)
    #expect(error?.problem.hasPrefix("not there, and file:///nowhere/cifar-10-binary.tar.gz cannot be") == true)
    #expect(error?.remedy == "put the file there, or pass it with --from")
  }

  @Test("Without --from the archive is downloaded, or taken from beside the tree")
  func download() throws {
    let folder = try ScratchFolder()
    let published = try folder.write(gzip(tar(Self.cifarMembers())), to: "server/a.tar.gz")
    var files = Self.tinyCIFAR
    files.address = published.absoluteString
    _ = try Self.importer(files).run(from: nil, to: folder["here/tree"], acceptOtherChecksum: true)
    expectCIFAR(try ImageDataset.load(root: folder["here/tree"]))
    #expect(FileManager.default.fileExists(atPath: folder["here/cifar-10-binary.tar.gz"].path))

    try FileManager.default.removeItem(at: published)
    _ = try Self.importer(files).run(from: nil, to: folder["here/again"], acceptOtherChecksum: true)
    expectCIFAR(try ImageDataset.load(root: folder["here/again"]))
  }

  // MARK: - Restarting

  @Test("What an interrupted import left is thrown away by the next")
  func interrupted() throws {
    let folder = try ScratchFolder()
    for (name, data) in Self.cifarMembers() { try folder.write(data, to: "source/\(name)") }
    try folder.write([1, 2, 3], to: "tree.partial/train/airplane/99999.png")
    try folder.write([], to: "tree.partial/train/submarine/00001.png")
    _ = try Self.importer(Self.tinyCIFAR).run(from: folder["source"], to: folder["tree"])
    expectCIFAR(try ImageDataset.load(root: folder["tree"]))
    #expect(!FileManager.default.fileExists(atPath: folder["tree.partial"].path))
  }

  @Test("A second import at the same time is refused")
  func concurrent() throws {
    let folder = try ScratchFolder()
    try FileManager.default.createDirectory(at: folder["tree.partial"], withIntermediateDirectories: true)
    let descriptor = open(folder["tree.partial"].path, O_RDONLY)
    defer { close(descriptor) }
    #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
    let error = datasetError { () throws(Diagnostic) in
      try Self.importer(Self.tinyCIFAR).run(from: folder.url, to: folder["tree"])
    }
    #expect(error?.problem == "another import is writing it")
  }

  @Test("A whole tree is not imported again, and other things in its place are not overwritten")
  func alreadyThere() throws {
    let folder = try ScratchFolder()
    for (name, data) in Self.cifarMembers() { try folder.write(data, to: "source/\(name)") }
    let importer = Self.importer(Self.tinyCIFAR)
    let first = try manifest(importer.run(from: folder["source"], to: folder["tree"]))
    guard case .present(let second) = try importer.run(from: nil, to: folder["tree"]) else {
      Issue.record("imported again")
      return
    }
    #expect(second == first)

    let again = datasetError { () throws(Diagnostic) in
      try importer.run(from: folder["source"], to: folder["tree"])
    }
    #expect(again?.problem == "already imported from folder cifar-10-batches-bin")

    try FileManager.default.removeItem(at: folder["tree/train/bird/00001.png"])
    let incomplete = datasetError { () throws(Diagnostic) in try importer.run(from: nil, to: folder["tree"]) }
    #expect(incomplete?.problem == "train/bird holds 2 files, 3 according to manifest.json")

    let other = datasetError { () throws(Diagnostic) in try importer.run(from: nil, to: folder["source"]) }
    #expect(other?.problem == "something else than an import of cifar10 is there")
  }

  // MARK: - Fashion-MNIST

  /// 12 training and 10 test pictures of 5x5.
  private static var tinyFashion: FashionMNISTFiles {
    var files = FashionMNISTFiles()
    files.side = 5
    files.trainCount = 12
    files.testCount = 10
    return files
  }

  private static func writeFashion(in folder: ScratchFolder, zipped: Bool) throws {
    for (split, count) in [("train", 12), ("t10k", 10)] {
      let pixels = (0..<count * 25).map { UInt8($0 * 11 % 256) }
      let labels = (0..<count).map { UInt8($0 % 10) }
      let images = [0, 0, 8, 3] + bigEndian(count) + bigEndian(5) + bigEndian(5) + pixels
      let names = [0, 0, 8, 1] + bigEndian(count) + labels
      let ending = zipped ? ".gz" : ""
      try folder.write(zipped ? gzip(images) : images, to: "idx/\(split)-images-idx3-ubyte\(ending)")
      try folder.write(zipped ? gzip(names) : names, to: "idx/\(split)-labels-idx1-ubyte\(ending)")
    }
  }

  private static let fashionImporter = DatasetImporter(name: "fashion-mnist", files: .fashionMNIST(tinyFashion))

  @Test("IDX files, gzipped or not, become gray PNG files", arguments: [true, false])
  func fashion(zipped: Bool) throws {
    let folder = try ScratchFolder()
    try Self.writeFashion(in: folder, zipped: zipped)
    let manifest = try manifest(Self.fashionImporter.run(from: folder["idx"], to: folder["tree"]))
    #expect(manifest.source.md5?.count == 4)
    let dataset = try ImageDataset.load(root: folder["tree"])
    #expect(
      dataset.classNames == [
        "Ankle-boot", "Bag", "Coat", "Dress", "Pullover", "Sandal", "Shirt", "Sneaker", "T-shirt-top", "Trouser",
      ])
    #expect(dataset.manifest.trainCounts == [1, 1, 1, 1, 1, 1, 1, 1, 2, 2])
    // The publisher's class 9 is "Ankle-boot", and its only picture is the tenth.
    let tenth = (225..<250).flatMap { [UInt8](repeating: UInt8($0 * 11 % 256), count: 3) }
    #expect(Array(dataset.train.pixels.prefix(75)) == tenth)
    let file = [UInt8](try Data(contentsOf: folder["tree/train/Ankle-boot/00010.png"]))
    // Byte 25 of a PNG is its colour type: 0, gray.
    #expect(file[25] == 0)
  }

  @Test("Faulty IDX files are refused with a reason")
  func badFashion() throws {
    let folder = try ScratchFolder()
    try Self.writeFashion(in: folder, zipped: false)
    func refusal(_ name: String, _ change: (inout [UInt8]) -> Void) throws -> Diagnostic? {
      let original = [UInt8](try Data(contentsOf: folder["idx/\(name)"]))
      var bytes = original
      change(&bytes)
      try folder.write(bytes, to: "idx/\(name)")
      defer { _ = try? folder.write(original, to: "idx/\(name)") }
      let error = datasetError { () throws(Diagnostic) in
        try Self.fashionImporter.run(from: folder["idx"], to: folder["tree"])
      }
      #expect(error?.subject == folder["idx/\(name)"].path)
      return error
    }
    let images = "train-images-idx3-ubyte"
    #expect(try refusal(images) { $0[2] = 9 }?.problem == "not an IDX file of 12 x 5 x 5 bytes")
    #expect(try refusal(images) { $0[7] = 13 }?.problem == "not an IDX file of 12 x 5 x 5 bytes")
    #expect(try refusal(images) { $0.removeLast() }?.problem == "315 bytes instead of 316")
    #expect(try refusal(images) { $0.append(0) }?.problem == "317 bytes instead of 316")
    #expect(
      try refusal("t10k-labels-idx1-ubyte") { $0[10] = 12 }?.problem == "label 3 is 12, allowed are 0 to 9")
    let missing = datasetError { () throws(Diagnostic) in
      try Self.fashionImporter.run(from: folder["nowhere"], to: folder["tree"])
    }
    #expect(
      missing?.remedy == "pass the folder of the four IDX files, or install the Debian package dataset-fashion-mnist")
    #expect(!FileManager.default.fileExists(atPath: folder["tree"].path))
  }

  @Test("The checksums in datasets/checksums.md5 are those that the importers check")
  func publishedChecksums() throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("datasets/checksums.md5")
    let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map(String.init)
    #expect(lines == [CIFARFiles.cifar10, .cifar100].map { "\($0.md5)  \($0.archive)" })
    #expect(CIFARFiles.cifar100.classes.count == 100)
    #expect(CIFARFiles.cifar100.classes == CIFARFiles.cifar100.classes.sorted())
  }
}
