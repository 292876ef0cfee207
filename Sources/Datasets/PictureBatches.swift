public import Diagnostics
import Foundation
import Synchronization
public import Tensor

/// Where the pictures of a run are decoded. Both give the same images.
public enum PictureDecoding: String, CaseIterable, Sendable {
  /// Once, before training; every picture stays in memory.
  case memory
  /// Again for every image, by threads that are ahead of training.
  case stream

  /// Decoded pictures of at most so many bytes are kept in memory where nothing else is said.
  public static let memoryLimit = 1 << 30
}

/// What becomes of a picture that cannot be decoded.
public enum CorruptPictures: String, CaseIterable, Sendable {
  /// The run ends and names it.
  case stop
  /// Its batch has an image less.
  case skip
}

/// Batches of pictures of any size, each cut and resized to the network's input by threads that are some batches ahead of who
/// asks. Bytes until `fill`; all memory is taken once.
///
/// An image is a function of (seed, epoch, picture), and its place of (seed, epoch): neither the number of threads nor what was
/// asked for before has a part in it.
public final class PictureBatches: BatchSource {
  /// The images of an epoch, and in which order.
  struct Order: Sendable {
    let split: PictureSplit
    let crop: ImageCrop
    let batchSize: Int
    /// nil: the split's own order, the same in every epoch.
    let shuffleSeed: UInt64?
    /// nil: the centre of every picture.
    let augmentationSeed: UInt64?
    /// Of each batch; the others are not made.
    let needed: NeededImages

    /// Which picture stands at each position of an epoch; nil: its own.
    func permutation(epoch: Int) -> [Int]? {
      shuffleSeed.map { seed in
        var random = CounterRandom(seed: seed, stream: UInt64(epoch), purpose: .batchOrder)
        return random.permutation(split.count)
      }
    }
  }

  /// Images in one epoch, corrupt ones included.
  public let imageCount: Int
  /// Of every epoch.
  public let batchCount: Int
  private let order: Order
  private let table: [Float]
  private let corrupt: CorruptPictures
  private let isTraining: Bool
  private let readers: ReaderThreads
  private let ahead: ReadAhead
  private var skipped: Set<String> = []

  /// Told once of each picture that was left out, on the thread that asks for batches.
  public var onSkip: (Diagnostic) -> Void = { _ in }

  /// Shuffled anew in every epoch; random parts of the pictures, half of them mirrored, where `augments`, else their centres.
  /// - Parameters:
  ///   - readers: threads that make images ahead of who asks.
  ///   - needed: where corrupt pictures are left out all images are made, as their places depend on those before.
  /// - Precondition: the epoch has a batch.
  public static func training(
    _ split: PictureSplit, crop: ImageCrop, batchSize: Int, seed: UInt64, dropLast: Bool,
    normalization: Normalization, augments: Bool, corrupt: CorruptPictures = .stop, readers: Int,
    needed: @escaping NeededImages = allImages
  ) -> PictureBatches {
    let batches = BatchPlan.batchCount(images: split.count, batchSize: batchSize, dropLast: dropLast)
    return PictureBatches(
      Order(
        split: split, crop: crop, batchSize: batchSize, shuffleSeed: seed, augmentationSeed: augments ? seed : nil,
        needed: corrupt == .stop ? needed : allImages),
      imageCount: min(split.count, batches * batchSize), batchCount: batches, batchesAhead: 3,
      repeats: true, normalization: normalization, corrupt: corrupt, readers: readers)
  }

  /// The centres of all pictures in their own order; every epoch is the same.
  public static func evaluation(
    _ split: PictureSplit, crop: ImageCrop, batchSize: Int, normalization: Normalization,
    corrupt: CorruptPictures = .stop, readers: Int, needed: @escaping NeededImages = allImages
  ) -> PictureBatches {
    PictureBatches(
      Order(
        split: split, crop: crop, batchSize: batchSize, shuffleSeed: nil, augmentationSeed: nil,
        needed: corrupt == .stop ? needed : allImages),
      imageCount: split.count,
      batchCount: BatchPlan.batchCount(images: split.count, batchSize: batchSize, dropLast: false), batchesAhead: 2,
      repeats: false, normalization: normalization, corrupt: corrupt, readers: readers)
  }

  private init(
    _ order: Order, imageCount: Int, batchCount: Int, batchesAhead: Int, repeats: Bool,
    normalization: Normalization, corrupt: CorruptPictures, readers: Int
  ) {
    precondition(batchCount > 0, "an epoch has a batch")
    self.order = order
    self.imageCount = imageCount
    self.batchCount = batchCount
    self.corrupt = corrupt
    isTraining = repeats
    table = normalization.table()
    let ahead = ReadAhead(
      order: order, imageCount: imageCount, batchCount: batchCount, slots: batchesAhead, repeats: repeats)
    self.ahead = ahead
    self.readers = ReaderThreads(readers) { ahead.work(ImageMaker(order: order)) }
  }

  deinit {
    ahead.stop()
    readers.join()
  }

  /// What the batches ahead, the threads' buffers and decoded pictures take at most, in bytes.
  public var memoryBytes: Int {
    let largest = order.split.pictures.reduce(0) { max($0, $1.size.rgbBytes) }
    // Decoded pixels, the file (compressed, and no larger by much), and columns squeezed for all rows.
    let store = order.split.store
    let reader = (store == nil ? 2 : 0) * largest + order.crop.side * 3 * 4096
    return ahead.bytes + readers.count * reader + (store?.bytes ?? 0)
  }

  /// Batches that are made ahead.
  public var batchesAhead: Int { ahead.slotCount }

  /// Writes normalised floats, `[images][side][side][3]`, and labels. With `CorruptPictures.skip` a batch has fewer images
  /// where pictures are corrupt: none at all in an evaluation, while a training step has nothing to go by then.
  public func fill(_ memory: BatchMemory, epoch: Int, batch: Int, on pool: ThreadPool) throws -> Int {
    precondition(batch >= 0 && batch < batchCount, "batch \(batch) is not among the \(batchCount) of an epoch")
    precondition(memory.elementsPerImage == order.crop.size.rgbBytes, "the memory fits the images")
    return try ahead.withBatch(epoch: epoch, batch: batch) { made in
      let sound = try soundImages(of: made)
      precondition(sound.count <= memory.capacity, "the memory fits the images")
      let stride = memory.elementsPerImage
      let needed = order.needed(sound.count).flatMap(\.self)
      pool.run(needed.count) { index, _ in
        let slot = needed[index]
        let image = sound[slot]
        memory.labels[slot] = made.labels[image]
        normalize(made.pixels + image * stride, count: stride / 3, to: memory.images.baseAddress! + slot * stride)
      }
      return sound.count
    }
  }

  /// Positions in the batch whose pictures could be decoded.
  private func soundImages(of made: ReadAhead.Batch) throws(Diagnostic) -> [Int] {
    let faults = made.faults.sorted { $0.key < $1.key }.map(\.value)
    guard let first = faults.first else { return Array(0..<made.count) }
    if corrupt == .stop {
      throw Diagnostic(
        first.subject, first.problem,
        remedy: (first.remedy.map { $0 + ", or " } ?? "") + "set onCorruptImage to \"skip\" to leave such pictures out")
    }
    for fault in faults where skipped.insert(fault.subject).inserted { onSkip(fault) }
    guard faults.count < made.count || !isTraining else {
      throw Diagnostic(
        first.subject,
        "\(first.problem), and no other picture of its batch can be decoded: nothing is left to train on",
        remedy: first.remedy)
    }
    return (0..<made.count).filter { made.faults[$0] == nil }
  }

  private func normalize(_ bytes: UnsafePointer<UInt8>, count: Int, to floats: UnsafeMutablePointer<Float>) {
    table.withUnsafeBufferPointer { table in
      let (red, green, blue) = (table.baseAddress!, table.baseAddress! + 256, table.baseAddress! + 512)
      for pixel in 0..<count {
        floats[3 * pixel] = red[Int(bytes[3 * pixel])]
        floats[3 * pixel + 1] = green[Int(bytes[3 * pixel + 1])]
        floats[3 * pixel + 2] = blue[Int(bytes[3 * pixel + 2])]
      }
    }
  }
}
