package import Diagnostics
package import Foundation

/// The binary version of CIFAR-10 or CIFAR-100: what its files are called, how long they are, and where to get them.
///
/// A record is `labelBytes` label bytes, of which the last is the class, and the red, green and blue planes.
package struct CIFARFiles: Sendable {
  package struct File: Sendable {
    package let name: String
    package let records: Int

    package init(name: String, records: Int) {
      self.name = name
      self.records = records
    }
  }

  package var archive: String
  package var address: String
  package var md5: String
  /// The folder that the archive unpacks to.
  package var folder: String
  package var labelBytes: Int
  package var train: [File]
  package var test: [File]
  package var classes: [String]

  /// Side of an image in pixels.
  static let side = 32
  package var recordBytes: Int { labelBytes + 3 * Self.side * Self.side }
  /// No archive of these files is larger, compressed or not: their own bytes and room for small files beside them.
  private var sizeLimit: Int { (train + test).reduce(0) { $0 + $1.records * recordBytes } + 1 << 22 }

  package static let cifar10 = CIFARFiles(
    archive: "cifar-10-binary.tar.gz", address: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    md5: "c32a1d4ab5d03f1284b67883e8d87530", folder: "cifar-10-batches-bin", labelBytes: 1,
    train: (1...5).map { File(name: "data_batch_\($0).bin", records: 10_000) },
    test: [File(name: "test_batch.bin", records: 10_000)],
    classes: ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"])

  /// Labelled with the 100 fine classes; the 20 coarse ones are left out.
  package static let cifar100 = CIFARFiles(
    archive: "cifar-100-binary.tar.gz", address: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    md5: "03b5dce01913d631647c71ecec9e9cb8", folder: "cifar-100-binary", labelBytes: 2,
    train: [File(name: "train.bin", records: 50_000)], test: [File(name: "test.bin", records: 10_000)],
    classes: """
      apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle \
      caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant \
      flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man \
      maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree \
      plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper \
      snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train \
      trout tulip turtle wardrobe whale willow_tree wolf woman worm
      """.split(separator: " ").map(String.init))

  /// Reads the archive at `url`, the folder that it unpacks to, or a folder that holds one of these (the unpacked one first).
  package func read(_ url: URL, acceptOtherChecksum: Bool) throws(Diagnostic) -> ImportedImages {
    guard isFolder(url) else { return try readArchive(url, acceptOtherChecksum: acceptOtherChecksum) }
    func holds(_ name: String) -> Bool {
      FileManager.default.fileExists(atPath: url.appendingPathComponent(name).path)
    }
    if holds(folder) { return try readFolder(url.appendingPathComponent(folder)) }
    if (train + test).contains(where: { holds($0.name) }) { return try readFolder(url) }
    guard holds(archive) else {
      throw Diagnostic(
        url.path, "neither \(archive) nor what it unpacks to is in this folder",
        remedy: "pass the archive, or download \(address)")
    }
    return try readArchive(url.appendingPathComponent(archive), acceptOtherChecksum: acceptOtherChecksum)
  }

  private func readArchive(_ url: URL, acceptOtherChecksum: Bool) throws(Diagnostic) -> ImportedImages {
    let compressed = try readFile(url, limit: sizeLimit)
    let found = Datasets.md5(compressed)
    guard found == md5 || acceptOtherChecksum else {
      throw Diagnostic(
        url.path, "MD5 is \(found), the official archive's \(md5)",
        remedy: "download \(address) again, or pass --accept-other-checksum to use this one")
    }
    let members = try untar(gunzip(compressed, path: url.path, limit: sizeLimit), path: url.path)
    func collect(_ files: [File]) throws(Diagnostic) -> RawImages {
      try parse(files) { (file: File) throws(Diagnostic) in
        guard let data = members[file.name] else {
          throw Diagnostic(
            url.path, "no \(file.name) in it", remedy: "pass \(archive), the binary version")
        }
        return (data, "\(url.path) (\(file.name))")
      }
    }
    return ImportedImages(
      train: try collect(train), test: try collect(test), classes: classes,
      source: DatasetManifest.Source(
        origin: url.lastPathComponent, md5: [url.lastPathComponent: found], official: found == md5))
  }

  private func readFolder(_ url: URL) throws(Diagnostic) -> ImportedImages {
    func collect(_ files: [File]) throws(Diagnostic) -> RawImages {
      try parse(files) { (file: File) throws(Diagnostic) in
        let path = url.appendingPathComponent(file.name)
        return (try readFile(path, limit: sizeLimit), path.path)
      }
    }
    return ImportedImages(
      train: try collect(train), test: try collect(test), classes: classes,
      source: DatasetManifest.Source(origin: "folder \(url.lastPathComponent)"))
  }

  /// Joins the records of `files`, planes interleaved to RGB. `open` gives a file's bytes and its name for errors.
  private func parse(
    _ files: [File], open: (File) throws(Diagnostic) -> (Data, String)
  ) throws(Diagnostic) -> RawImages {
    let plane = Self.side * Self.side
    var images = RawImages(size: PixelSize(width: Self.side, height: Self.side), channels: 3)
    images.pixels.reserveCapacity(files.reduce(0) { $0 + $1.records } * 3 * plane)
    for file in files {
      let (data, path) = try open(file)
      guard data.count == file.records * recordBytes else {
        throw Diagnostic(
          path,
          "\(data.count) bytes instead of \(file.records * recordBytes) (\(file.records) records of \(recordBytes))",
          remedy: "unpack or download \(archive) again")
      }
      let bytes = [UInt8](data)
      for record in 0..<file.records {
        let start = record * recordBytes
        let label = bytes[start + labelBytes - 1]
        guard label < classes.count else {
          throw Diagnostic(
            path, "record \(record + 1) has label \(label), allowed are 0 to \(classes.count - 1)",
            remedy: "unpack or download \(archive) again")
        }
        images.labels.append(label)
        let red = start + labelBytes
        for pixel in red..<red + plane {
          images.pixels.append(bytes[pixel])
          images.pixels.append(bytes[pixel + plane])
          images.pixels.append(bytes[pixel + 2 * plane])
        }
      }
    }
    return images
  }
}
