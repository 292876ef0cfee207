import Tensor

/// The batches of one pass over a split: which image stands where, and how each one is augmented.
///
/// The order depends on (seed, epoch), an image's augmentation on (seed, epoch, position) alone. So every batch can be
/// made at any time, in parts and on any thread, and a run resumes in the middle of an epoch by asking for batch k.
public struct BatchPlan: Sendable {
  /// Images in a full batch.
  public let batchSize: Int
  /// Batches in the pass; the last may be smaller unless it is dropped.
  public let batchCount: Int
  /// Image at each position; nil for the split's own order.
  private let order: [Int]?
  private let split: ImageSplit
  private let table: [Float]
  private let augmentation: Augmentation
  private let seed: UInt64
  private let epoch: Int

  /// Shuffled, augmented batches of epoch `epoch` (counted from 0).
  public static func training(
    _ split: ImageSplit, batchSize: Int, seed: UInt64, epoch: Int, dropLast: Bool, normalization: Normalization,
    augmentation: Augmentation
  ) -> BatchPlan {
    precondition(epoch >= 0 && epoch <= Int(Int32.max), "epochs are counted from 0")
    var random = CounterRandom(seed: seed, stream: UInt64(epoch), purpose: .batchOrder)
    return BatchPlan(
      split: split, batchSize: batchSize, order: random.permutation(split.count), seed: seed, epoch: epoch,
      dropLast: dropLast, normalization: normalization, augmentation: augmentation)
  }

  /// All images in order, unchanged but for the normalisation; the last batch may be smaller.
  public static func evaluation(_ split: ImageSplit, batchSize: Int, normalization: Normalization) -> BatchPlan {
    BatchPlan(
      split: split, batchSize: batchSize, order: nil, seed: 0, epoch: 0, dropLast: false,
      normalization: normalization, augmentation: .none)
  }

  private init(
    split: ImageSplit, batchSize: Int, order: [Int]?, seed: UInt64, epoch: Int, dropLast: Bool,
    normalization: Normalization, augmentation: Augmentation
  ) {
    precondition(batchSize >= 1, "a batch holds at least one image")
    self.split = split
    self.batchSize = batchSize
    self.order = order
    self.seed = seed
    self.epoch = epoch
    self.augmentation = augmentation
    table = normalization.table()
    batchCount = Self.batchCount(images: split.count, batchSize: batchSize, dropLast: dropLast)
  }

  /// Batches in one pass over `images` images.
  public static func batchCount(images: Int, batchSize: Int, dropLast: Bool) -> Int {
    dropLast ? images / batchSize : (images + batchSize - 1) / batchSize
  }

  /// Floats of one image: height * width * 3.
  public var imageStride: Int { split.size.rgbBytes }

  /// The positions that batch `batch` covers, for `fill(positions:into:labels:)`.
  public func positions(ofBatch batch: Int) -> Range<Int> {
    precondition(batch >= 0 && batch < batchCount, "batch \(batch) is not among the \(batchCount) of this pass")
    return batch * batchSize..<min((batch + 1) * batchSize, split.count)
  }

  /// Writes batch `batch`: `[count][height][width][3]` normalised floats at `images` and `count` labels at `labels`.
  /// Returns its count, which is less than `batchSize` only for the last batch.
  @discardableResult
  public func fill(
    batch: Int, into images: UnsafeMutablePointer<Float>, labels: UnsafeMutablePointer<Int32>
  ) -> Int {
    let positions = positions(ofBatch: batch)
    fill(positions: positions, into: images, labels: labels)
    return positions.count
  }

  /// Writes the images at `positions`, the first of them to the start of `images` and `labels`: threads fill one batch
  /// together, each for a part of its positions. Takes no memory.
  public func fill(
    positions: Range<Int>, into images: UnsafeMutablePointer<Float>, labels: UnsafeMutablePointer<Int32>
  ) {
    precondition(positions.lowerBound >= 0 && positions.upperBound <= split.count, "positions are inside the pass")
    split.pixels.withUnsafeBufferPointer { pixels in
      table.withUnsafeBufferPointer { table in
        for (slot, position) in positions.enumerated() {
          let index = order?[position] ?? position
          labels[slot] = split.labels[index]
          write(
            pixels.baseAddress! + index * imageStride, position: position, table: table.baseAddress!,
            to: images + slot * imageStride)
        }
      }
    }
  }

  private func write(
    _ source: UnsafePointer<UInt8>, position: Int, table: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>
  ) {
    let (down, right, flip) = change(at: position)
    let width = split.size.width
    let height = split.size.height
    // Columns of the output, before mirroring, that lie on the image and not on the padding.
    let first = min(max(0, -right), width)
    let last = max(first, min(width, width - right))
    let step = flip ? -3 : 3
    for y in 0..<height {
      let row = target + y * width * 3
      let from = y + down
      let inside = from >= 0 && from < height ? first..<last : 0..<0
      var to = flip ? row + (width - 1) * 3 : row
      func blacken(_ count: Int) {
        for _ in 0..<count {
          to[0] = table[0]
          to[1] = table[256]
          to[2] = table[512]
          to += step
        }
      }
      blacken(inside.lowerBound)
      if !inside.isEmpty {
        var pixel = source + (from * width + inside.lowerBound + right) * 3
        for _ in inside {
          to[0] = table[Int(pixel[0])]
          to[1] = table[256 + Int(pixel[1])]
          to[2] = table[512 + Int(pixel[2])]
          to += step
          pixel += 3
        }
      }
      blacken(width - inside.upperBound)
    }
  }

  /// How far down and right of the image the crop begins (negative: in the padding), and whether it is mirrored.
  private func change(at position: Int) -> (down: Int, right: Int, flip: Bool) {
    if augmentation == .none { return (0, 0, false) }
    var random = CounterRandom(
      seed: seed, stream: UInt64(epoch) << 32 | UInt64(position), purpose: .augmentation)
    let padding = augmentation.padding
    let down = random.bounded(2 * padding + 1) - padding
    let right = random.bounded(2 * padding + 1) - padding
    return (down, right, augmentation.flips && random.next() & 1 == 1)
  }
}
