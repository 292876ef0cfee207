public import Tensor

/// Where training and evaluation get their images from.
///
/// A batch is a function of its epoch and number: whatever was asked for before, on however many threads, the same images
/// come in the same form, so a run resumes at any step by asking for its batch. Everything that the caller waits for
/// (decoding, reading, a prefetched batch that is late) happens inside `fill`, so its duration is the time lost to data.
public protocol BatchSource: AnyObject {
  /// Images in one epoch; fewer than the set has where a last partial batch is dropped.
  var imageCount: Int { get }
  /// Batches in one epoch.
  var batchCount: Int { get }

  /// Writes batch `batch` of epoch `epoch` (both counted from 0) to the front of `memory`.
  /// - Returns: its images: as many as fit, but for the last batch of an epoch.
  /// - Throws: where images cannot be read, an error that names the file.
  /// - Precondition: `batch` is below `batchCount`, and `memory` has room for it.
  func fill(_ memory: BatchMemory, epoch: Int, batch: Int, on pool: ThreadPool) throws -> Int
}

/// Which images of a batch of so many whoever asks for it needs: the memory of the others is left as it is.
public typealias NeededImages = @Sendable (_ count: Int) -> [Range<Int>]

/// Every image.
public let allImages: NeededImages = { [0..<$0] }

/// Batches of a split that is in memory.
public final class InMemoryBatches: BatchSource {
  /// The split's images, less those of a dropped partial batch.
  public let imageCount: Int
  /// Of every epoch; 0 where a dropped batch was the only one.
  public let batchCount: Int
  private let needed: NeededImages
  private let makePlan: (_ epoch: Int) -> BatchPlan
  private var plan: (epoch: Int, batches: BatchPlan)?

  /// Shuffled anew in every epoch, and augmented.
  public static func training(
    _ split: ImageSplit, batchSize: Int, seed: UInt64, dropLast: Bool, normalization: Normalization,
    augmentation: Augmentation, needed: @escaping NeededImages = allImages
  ) -> InMemoryBatches {
    let batches = BatchPlan.batchCount(images: split.count, batchSize: batchSize, dropLast: dropLast)
    return InMemoryBatches(
      imageCount: min(split.count, batches * batchSize), batchCount: batches, needed: needed
    ) { epoch in
      .training(
        split, batchSize: batchSize, seed: seed, epoch: epoch, dropLast: dropLast, normalization: normalization,
        augmentation: augmentation)
    }
  }

  /// All images in their own order, unchanged but for the normalisation; every epoch is the same.
  public static func evaluation(
    _ split: ImageSplit, batchSize: Int, normalization: Normalization,
    needed: @escaping NeededImages = allImages
  ) -> InMemoryBatches {
    let plan = BatchPlan.evaluation(split, batchSize: batchSize, normalization: normalization)
    return InMemoryBatches(imageCount: split.count, batchCount: plan.batchCount, needed: needed) { _ in plan }
  }

  private init(
    imageCount: Int, batchCount: Int, needed: @escaping NeededImages, makePlan: @escaping (Int) -> BatchPlan
  ) {
    self.needed = needed
    self.imageCount = imageCount
    self.batchCount = batchCount
    self.makePlan = makePlan
  }

  /// Writes normalised floats, `[images][height][width][3]`, and labels; the pool's threads share the images.
  /// - Precondition: besides the protocol's, images of `memory` have the split's size.
  public func fill(_ memory: BatchMemory, epoch: Int, batch: Int, on pool: ThreadPool) -> Int {
    let plan = plan(of: epoch)
    let positions = plan.positions(ofBatch: batch)
    precondition(
      positions.count <= memory.capacity && plan.imageStride == memory.elementsPerImage, "the memory fits the images")
    for images in needed(positions.count) {
      fill(memory, images, at: positions.lowerBound, from: plan, on: pool)
    }
    return positions.count
  }

  private func fill(
    _ memory: BatchMemory, _ images: Range<Int>, at position: Int, from plan: BatchPlan, on pool: ThreadPool
  ) {
    let parts = min(images.count, 4 * pool.threads)
    pool.run(parts) { part, _ in
      let first = images.lowerBound
      let range = first + images.count * part / parts..<first + images.count * (part + 1) / parts
      let target = memory[range]
      plan.fill(
        positions: position + range.lowerBound..<position + range.upperBound,
        into: target.images.baseAddress!, labels: target.labels.baseAddress!)
    }
  }

  private func plan(of epoch: Int) -> BatchPlan {
    if let plan, plan.epoch == epoch { return plan.batches }
    let batches = makePlan(epoch)
    plan = (epoch, batches)
    return batches
  }
}
