public import Diagnostics
public import Foundation

/// The files of a tree `{train,test}/CLASS/IMAGE` (`val` serves as `test`): classes and files sorted by their UTF-8
/// bytes, hidden files left out. A class's label is its place among the training classes.
struct ImageFolder {
  struct Image: Sendable {
    var path: String
    var label: Int32
  }

  let root: URL
  let classes: [String]
  let train: [Image]
  let test: [Image]

  init(root: URL) throws(Diagnostic) {
    self.root = root
    try Self.check(root)
    func has(_ name: String) throws(Diagnostic) -> Bool { try FolderListing.isFolder("\(root.path)/\(name)") }
    let hasTrain = try has("train")
    let testName = try has("test") ? "test" : try has("val") ? "val" : nil
    guard hasTrain, let testName else {
      throw Diagnostic(
        root.path, "no folder '\(hasTrain ? "test" : "train")' in it",
        remedy: "arrange the images as {train,test}/CLASS/*.png")
    }
    let trainFolder = root.appendingPathComponent("train")
    let testFolder = root.appendingPathComponent(testName)
    classes = try Self.classes(in: trainFolder)
    try Self.compare(Self.classes(in: testFolder), in: testFolder, with: classes, in: trainFolder)
    train = try Self.images(in: trainFolder, classes: classes)
    test = try Self.images(in: testFolder, classes: classes)
  }

  private static func check(_ root: URL) throws(Diagnostic) {
    guard try FolderListing.isFolder(root.path) else {
      throw Diagnostic(
        root.path, "no such folder",
        remedy: "name a tree {train,test}/CLASS/*.png, or make one with 'spqat dataset import'")
    }
  }

  private static func classes(in folder: URL) throws(Diagnostic) -> [String] {
    let names = try FolderListing(folder).folders
    guard !names.isEmpty else {
      throw Diagnostic(
        folder.path, "no class folders in it", remedy: "arrange the images as {train,test}/CLASS/*.png")
    }
    var seen: [String: String] = [:]
    for name in names {
      if let other = seen.updateValue(name, forKey: name.precomposedStringWithCanonicalMapping) {
        throw Diagnostic(
          folder.appendingPathComponent(name).path,
          "two class folders have this name, spelled \(spelling(other)) and \(spelling(name))",
          remedy: "rename one of them, or put their images together")
      }
    }
    return names
  }

  /// Refuses test classes that are not among the training classes by the bytes of their names.
  private static func compare(
    _ testClasses: [String], in testFolder: URL, with classes: [String], in trainFolder: URL
  ) throws(Diagnostic) {
    for name in testClasses where !classes.contains(where: { isSameName($0, name) }) {
      let path = testFolder.appendingPathComponent(name).path
      // Equal as text: macOS decomposes letters with accents, other systems leave them whole.
      guard let twin = classes.first(where: { $0 == name }) else {
        throw Diagnostic(
          path, "a class without training images", remedy: "name the classes alike under train and test")
      }
      throw Diagnostic(
        path,
        "its name is spelled \(spelling(name)), but that of \(trainFolder.appendingPathComponent(twin).path) "
          + "\(spelling(twin))",
        remedy: "rename one of them; 'convmv -f utf8 -t utf8 --nfc --notest' does so for whole trees")
    }
  }

  /// Which of Unicode's forms a name with accents has, with its length.
  private static func spelling(_ name: String) -> String {
    let form =
      isSameName(name, name.precomposedStringWithCanonicalMapping)
      ? "composed (NFC" : isSameName(name, name.decomposedStringWithCanonicalMapping) ? "decomposed (NFD" : "mixed ("
    return "\(form), \(name.utf8.count) bytes)"
  }

  private static func images(in folder: URL, classes: [String]) throws(Diagnostic) -> [Image] {
    var images: [Image] = []
    for (label, name) in classes.enumerated() {
      let classFolder = folder.appendingPathComponent(name)
      let files = isFolder(classFolder) ? try FolderListing(classFolder).names : []
      guard !files.isEmpty else {
        throw Diagnostic(
          classFolder.path, "no images in it",
          remedy: "add PNG files, or remove the class from train and test")
      }
      let prefix = classFolder.path + "/"
      images += files.map { Image(path: prefix + $0, label: Int32(label)) }
    }
    return images
  }
}

extension ImageDataset {
  /// Reads the tree `{train,test}/CLASS/*.png` at `root` (`val` serves as `test`) into memory.
  ///
  /// - Parameters:
  ///   - threads: how many threads decode; neither the result nor the error depends on it.
  ///   - progress: told of images decoded, from one thread at a time.
  /// - Throws: the first fault in the order of the files. Sizes are refused before memory is taken.
  public static func load(
    root: URL, threads: Int = ProcessInfo.processInfo.activeProcessorCount,
    limits: ImageLimits = ImageLimits(), progress: ProgressHandler? = nil
  ) throws(Diagnostic) -> ImageDataset {
    let folder = try ImageFolder(root: root)
    let stored = try DatasetManifest.read(root: root)
    if let stored { try stored.checkFiles(of: folder) }

    let images = folder.train + folder.test
    let size = try ImageFileReader(limits: limits).open(images[0].path)
    let (bytes, overflow) = images.count.multipliedReportingOverflow(by: size.rgbBytes)
    guard !overflow, bytes <= limits.datasetBytes else {
      throw Diagnostic(
        root.path,
        "\(images.count) images of \(size) take more than the \(limits.datasetBytes) bytes allowed in memory",
        remedy: "use fewer or smaller images")
    }

    let decoder = FolderDecoder(images: images, size: size, limits: limits)
    let trainPixels = try decoder.pixels(
      0..<folder.train.count, threads: threads, progress: progress)
    let testPixels = try decoder.pixels(
      folder.train.count..<images.count, threads: threads, progress: progress)
    let dataset = ImageDataset(
      train: ImageSplit(size: size, pixels: trainPixels, labels: folder.train.map(\.label)),
      test: ImageSplit(size: size, pixels: testPixels, labels: folder.test.map(\.label)), classes: folder.classes,
      name: stored?.name ?? root.standardizedFileURL.lastPathComponent, source: stored?.source ?? .imageFolder)
    if let stored, stored != dataset.manifest {
      throw Diagnostic(
        root.appendingPathComponent(DatasetManifest.fileName).path,
        "the images are not those that it describes (\(stored.difference(from: dataset.manifest)))",
        remedy: "import the data set again, or remove the manifest to use the images as they are")
    }
    return dataset
  }
}

/// Decodes a folder's images into one array.
private struct FolderDecoder: Sendable {
  let images: [ImageFolder.Image]
  let size: PixelSize
  let limits: ImageLimits

  /// RGB bytes of the images in `range`, one after another. Progress counts over all images.
  func pixels(_ range: Range<Int>, threads: Int, progress: ProgressHandler?) throws(Diagnostic) -> [UInt8] {
    let total = images.count
    let report: ProgressHandler = { done, _ in progress?(range.lowerBound + done, total) }
    return try bytes(count: range.count * size.rgbBytes) { (buffer: SharedBytes) throws(Diagnostic) in
      try forEachIndex(
        below: range.count, threads: threads, progress: report, state: ImageFileReader(limits: limits)
      ) { (reader: ImageFileReader, index: Int) throws(Diagnostic) in
        try decode(range.lowerBound + index, with: reader, into: buffer.pointer + index * size.rgbBytes)
      }
    }
  }

  private func decode(
    _ index: Int, with reader: ImageFileReader, into target: UnsafeMutablePointer<UInt8>
  ) throws(Diagnostic) {
    let path = images[index].path
    let found = try reader.open(path)
    guard found == size else {
      throw Diagnostic(
        path, "the image is \(found), but \(images[0].path) is \(size)",
        remedy: "scale or crop all images to one size, for example with ImageMagick's mogrify")
    }
    try reader.decode(path, size: size, into: target)
  }
}

extension DatasetManifest {
  /// Compares what can be told without decoding: the class names and the number of files of each.
  func checkFiles(of folder: ImageFolder) throws(Diagnostic) {
    func counts(_ images: [ImageFolder.Image]) -> [Int] {
      images.reduce(into: [Int](repeating: 0, count: folder.classes.count)) { $0[Int($1.label)] += 1 }
    }
    func fail(_ reason: String) -> Diagnostic {
      Diagnostic(
        folder.root.path, reason,
        remedy: "import the data set again, or remove \(Self.fileName) to use the images as they are")
    }
    guard classes.elementsEqual(folder.classes, by: isSameName) else {
      throw fail("the class folders are not the \(classes.count) classes of \(Self.fileName)")
    }
    for (split, expected, found) in [
      ("train", trainCounts, counts(folder.train)), ("test", testCounts, counts(folder.test)),
    ] {
      for (label, name) in classes.enumerated() where expected[label] != found[label] {
        throw fail("\(split)/\(name) holds \(found[label]) files, \(expected[label]) according to \(Self.fileName)")
      }
    }
  }

  /// Which fields tell two manifests apart.
  func difference(from other: DatasetManifest) -> String {
    var fields: [String] = []
    if name != other.name || source != other.source { fields.append("origin") }
    if classes != other.classes { fields.append("classes") }
    if height != other.height || width != other.width { fields.append("image size") }
    if trainCounts != other.trainCounts || testCounts != other.testCounts { fields.append("counts") }
    if contentHash != other.contentHash { fields.append("content hash") }
    if mean != other.mean || standardDeviation != other.standardDeviation { fields.append("pixel statistics") }
    return fields.joined(separator: ", ")
  }
}
