import Datasets
import Diagnostics
import Foundation
import Tensor
import Testing

@Suite("Batches of pictures of any size")
struct PictureBatchesTests {
  private let folder: ScratchFolder
  private static let crop = ImageCrop(side: 10, shorterSide: 12, smallestArea: 0.08)
  /// Bytes come out as they are.
  private static let normalization = Normalization(
    mean: [0, 0, 0], standardDeviation: [1.0 / 255, 1.0 / 255, 1.0 / 255])

  init() throws {
    folder = try ScratchFolder()
    try writePictures(in: folder)
  }

  private func pictures() throws -> PictureDataset {
    let index = try #require(
      try DatasetIndexing.run(root: folder.url, file: DatasetIndex.file(of: folder.url)).index)
    return PictureDataset(index, root: folder.url)
  }

  private func training(
    _ split: PictureSplit, seed: UInt64 = 5, dropLast: Bool = false,
    augments: Bool = true, corrupt: CorruptPictures = .stop, readers: Int = 2
  ) -> PictureBatches {
    .training(
      split, crop: Self.crop, batchSize: 2, seed: seed, dropLast: dropLast,
      normalization: Self.normalization, augments: augments, corrupt: corrupt, readers: readers)
  }

  private struct Filled: Equatable {
    var images: [[Float]]
    var labels: [Int32]
  }

  private func fill(_ source: PictureBatches, epoch: Int, batch: Int, threads: Int = 2) throws -> Filled {
    let images = Buffer<Float>([Float](repeating: -99, count: 3 * 300))
    let labels = Buffer<Int32>([Int32](repeating: -99, count: 3))
    let count = try BatchMemory.lend(images: images, labels: labels) {
      try source.fill($0, epoch: epoch, batch: batch, on: ThreadPool(threads: threads))
    }
    #expect(images.array.dropFirst(count * 300).allSatisfy { $0 == -99 })
    return Filled(
      images: (0..<count).map { Array(images.array[$0 * 300..<($0 + 1) * 300]) },
      labels: Array(labels.array.prefix(count)))
  }

  /// The image of a picture, made step by step from the whole decoded picture.
  private func expected(_ split: PictureSplit, _ index: Int, seed: UInt64, epoch: Int) throws -> [Float] {
    let picture = split.pictures[index]
    var pixels = [UInt8](repeating: 0, count: picture.size.width * picture.size.height * 3)
    try Data(contentsOf: URL(fileURLWithPath: picture.path)).withUnsafeBytes {
      try PNG.decode($0, size: picture.size, into: &pixels)
    }
    var random = CounterRandom(
      seed: seed, stream: UInt64(epoch) << 32 | UInt64(index), purpose: .augmentation)
    let box = Self.crop.randomBox(of: picture.size, random: &random)
    let mirrors = random.next() % 2 == 1
    var image = [UInt8](repeating: 0, count: 300)
    Self.crop.cut(box, of: pixels, pictureWidth: picture.size.width, with: Resampler(), into: &image)
    return (0..<300).map { place in
      let (y, x, channel) = (place / 30, place / 3 % 10, place % 3)
      return Float(image[(y * 10 + (mirrors ? 9 - x : x)) * 3 + channel])
    }
  }

  @Test("an image follows from seed, epoch and picture alone, its place from the epoch's order", arguments: [0, 1, 9])
  func definition(epoch: Int) throws {
    let split = try pictures().train
    let source = training(split)
    #expect(source.batchCount == 3 && source.imageCount == 5)
    var random = CounterRandom(seed: 5, stream: UInt64(epoch), purpose: .batchOrder)
    let order = random.permutation(5)
    for batch in 0..<3 {
      let filled = try fill(source, epoch: epoch, batch: batch)
      let wanted = Array(order[batch * 2..<min(5, batch * 2 + 2)])
      #expect(filled.labels == wanted.map { split.pictures[$0].label })
      for (image, picture) in zip(filled.images, wanted) {
        let reference = try expected(split, picture, seed: 5, epoch: epoch)
        #expect(zip(image, reference).allSatisfy { abs($0 - $1) < 1e-3 })
      }
    }
  }

  @Test("the same bits with any number of threads, from memory or files, in any order of asking")
  func reproducible() throws {
    let split = try pictures().train
    let places = (0..<4).flatMap { epoch in (0..<3).map { (epoch, $0) } }
    let straight = training(split, readers: 1)
    let all = try places.map { try fill(straight, epoch: $0.0, batch: $0.1, threads: 1) }
    let stored = training(split.decoded(threads: 2), readers: 3)
    #expect(try places.map { try fill(stored, epoch: $0.0, batch: $0.1, threads: 3) } == all)
    // Resumed in the middle of an epoch, and asked back and forth.
    let jumping = training(split, readers: 3)
    for place in [7, 8, 9, 1, 0, 11, 3, 3, 4, 10] {
      #expect(try fill(jumping, epoch: places[place].0, batch: places[place].1) == all[place], "batch \(place)")
    }
    // Neither every epoch nor every seed is the same.
    #expect(Set(all.map { $0.images.joined().map(Int.init) }).count == 12)
    #expect(try fill(training(split, seed: 6), epoch: 0, batch: 0) != all[0])
  }

  @Test(
    "evaluation has the centre of every picture once, in order, in every epoch; so has training without augmentation")
  func evaluation() throws {
    let split = try pictures().test
    let source = PictureBatches.evaluation(
      split, crop: Self.crop, batchSize: 2, normalization: Self.normalization, readers: 2)
    #expect(source.imageCount == 3 && source.batchCount == 2)
    let first = try (0..<2).map { try fill(source, epoch: 0, batch: $0) }
    #expect(first.flatMap(\.labels) == [0, 0, 1])
    #expect(try (0..<2).map { try fill(source, epoch: 0, batch: $0) } == first)
    let plain = training(split, augments: false)
    let images = try (0..<2).flatMap { try fill(plain, epoch: 3, batch: $0).images }
    #expect(Set(images) == Set(first.flatMap(\.images)))
    var centre = [UInt8](repeating: 0, count: 300)
    let picture = split.pictures[0]
    var pixels = [UInt8](repeating: 0, count: picture.size.width * picture.size.height * 3)
    try Data(contentsOf: URL(fileURLWithPath: picture.path)).withUnsafeBytes {
      try PNG.decode($0, size: picture.size, into: &pixels)
    }
    Self.crop.centre(of: pixels, picture: picture.size, with: Resampler(), into: &centre)
    #expect(zip(first[0].images[0], centre).allSatisfy { abs($0 - Float($1)) < 1e-3 })
  }

  @Test("a dropped partial batch is not counted; the memory is that of the batches ahead and more")
  func counts() throws {
    let source = training(try pictures().train, dropLast: true)
    #expect(source.batchCount == 2 && source.imageCount == 4)
    #expect(source.memoryBytes > source.batchesAhead * 2 * 300)
  }

  /// The third training picture loses its end; its header stays.
  private func damage() throws -> (pictures: PictureDataset, path: String) {
    let path = "train/cat/00003.png"
    let whole = [UInt8](try Data(contentsOf: folder[path]))
    try folder.write(Array(whole.prefix(whole.count / 4)), to: path)
    return (try pictures(), folder[path].path)
  }

  @Test("a corrupt picture ends the run with its name, whichever thread met it", arguments: [1, 3])
  func stops(readers: Int) throws {
    let (pictures, path) = try damage()
    let source = training(pictures.train, augments: false, readers: readers)
    var message: String?
    for batch in 0..<3 {
      do { _ = try fill(source, epoch: 0, batch: batch) } catch { message = "\(error)" }
    }
    #expect(
      message == "\(path): the file is truncated; replace it with a whole PNG file or remove it, "
        + "or set onCorruptImage to \"skip\" to leave such pictures out")
  }

  @Test("or its batch has an image less, and it is told of once", arguments: [false, true])
  func skips(stored: Bool) throws {
    let (pictures, path) = try damage()
    let split = stored ? pictures.train.decoded(threads: 2) : pictures.train
    let source = training(split, augments: false, corrupt: .skip)
    var told: [String] = []
    source.onSkip = { told.append($0.subject) }
    for epoch in 0..<3 {
      // Alone in its batch in some epoch, where nothing is left to train on.
      var images = 0
      var isAlone = false
      for batch in 0..<3 {
        do {
          images += try fill(source, epoch: epoch, batch: batch).labels.count
        } catch let error as Diagnostic {
          isAlone = true
          #expect(
            error.problem
              == "the file is truncated, and no other picture of its batch can be decoded: nothing is left to train on")
        }
      }
      #expect(images == 4 || isAlone && images == 4)
    }
    #expect(told == [path])
  }

  @Test("a picture of another size than the index says is named")
  func changed() throws {
    let pictures = try pictures()
    try folder.write(pictureFile(seed: 11), to: "train/cat/00001.png")
    let source = training(pictures.train)
    var errors: [String] = []
    for batch in 0..<3 {
      do { _ = try fill(source, epoch: 0, batch: batch) } catch { errors.append("\(error)") }
    }
    #expect(errors.count == 1)
    #expect(
      errors[0].contains("the picture is 133x101, and 12x24 according to the index; run 'spqat dataset index' again"))
  }

  @Test("a subset has every class equally often")
  func subset() throws {
    let subset = try pictures().train.subset(count: 4, seed: 0)
    #expect(subset.pictures.map(\.label) == [0, 0, 1, 1])
  }

  @Test("the first rows of a picture are those of the whole", arguments: PNGFixture.Color.allCases, [false, true])
  func rows(color: PNGFixture.Color, interlaced: Bool) throws {
    let fixture = PNGFixture(width: 9, height: 13, color: color, depth: 8, isInterlaced: interlaced)
    let size = PixelSize(width: 9, height: 13)
    // Nothing behind the rows is looked at, so the end may be missing.
    let file = interlaced ? fixture.file : Array(fixture.file.dropLast(16))
    for rows in [1, 5, 12] {
      var pixels = [UInt8](repeating: 0, count: size.width * size.height * 3)
      try file.withUnsafeBytes { try PNG.decode($0, size: size, rows: rows, into: &pixels) }
      #expect(pixels.prefix(rows * 27) == fixture.expected.prefix(rows * 27))
    }
  }
}
