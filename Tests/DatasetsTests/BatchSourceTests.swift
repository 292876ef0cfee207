import Datasets
import Tensor
import Testing

struct BatchSourceTests {
  /// Ten images of 2×2 pixels, all different, of class = position.
  private static let split = ImageSplit(
    size: PixelSize(width: 2, height: 2), pixels: (0..<120).map { UInt8($0 * 2) }, labels: (0..<10).map(Int32.init))
  private static let normalization = Normalization(mean: [0.5, 0.4, 0.3], standardDeviation: [0.2, 0.3, 0.4])

  private static func training(dropLast: Bool) -> InMemoryBatches {
    .training(
      split, batchSize: 4, seed: 3, dropLast: dropLast, normalization: normalization, augmentation: .standard)
  }

  /// What a source writes, and beyond it what was there before.
  private static func fill(
    _ source: any BatchSource, epoch: Int, batch: Int, threads: Int = 1
  ) throws -> (count: Int, images: [Float], labels: [Int32]) {
    let images = Buffer<Float>([Float](repeating: -99, count: 4 * 12))
    let labels = Buffer<Int32>([Int32](repeating: -99, count: 4))
    let count = try BatchMemory.lend(images: images, labels: labels) {
      try source.fill($0, epoch: epoch, batch: batch, on: ThreadPool(threads: threads))
    }
    return (count, images.array, labels.array)
  }

  @Test("an epoch's batches are those of its plan, whatever was asked for before and on however many threads")
  func samePlan() throws {
    let source = Self.training(dropLast: false)
    #expect(source.batchCount == 3 && source.imageCount == 10)
    for (epoch, batch) in [(1, 2), (0, 0), (1, 0), (0, 2), (0, 1), (1, 2)] {
      let plan = BatchPlan.training(
        Self.split, batchSize: 4, seed: 3, epoch: epoch, dropLast: false, normalization: Self.normalization,
        augmentation: .standard)
      let images = Buffer<Float>(count: 48)
      let labels = Buffer<Int32>(count: 4)
      let expected = BatchMemory.lend(images: images, labels: labels) {
        plan.fill(batch: batch, into: $0.images.baseAddress!, labels: $0.labels.baseAddress!)
      }
      for threads in [1, 3] {
        let (count, values, classes) = try Self.fill(source, epoch: epoch, batch: batch, threads: threads)
        #expect(count == expected && count == (batch == 2 ? 2 : 4))
        #expect(values.prefix(count * 12) == images.array.prefix(count * 12))
        #expect(classes.prefix(count) == labels.array.prefix(count))
        // Nothing is written beyond the batch.
        #expect(values.dropFirst(count * 12).allSatisfy { $0 == -99 })
        #expect(classes.dropFirst(count).allSatisfy { $0 == -99 })
      }
    }
  }

  @Test("dropping the last partial batch leaves its images out of the epoch's count")
  func dropLast() {
    let source = Self.training(dropLast: true)
    #expect(source.batchCount == 2 && source.imageCount == 8)
  }

  @Test("evaluation passes every image once, in order, the same in each epoch")
  func evaluation() throws {
    let source = InMemoryBatches.evaluation(Self.split, batchSize: 4, normalization: Self.normalization)
    #expect(source.batchCount == 3 && source.imageCount == 10)
    let labels = try (0..<3).flatMap { batch in
      let result = try Self.fill(source, epoch: 0, batch: batch)
      return result.labels.prefix(result.count)
    }
    #expect(labels == Self.split.labels)
    #expect(try Self.fill(source, epoch: 0, batch: 1).images == Self.fill(source, epoch: 7, batch: 1).images)
  }

  @Test("parts of a batch's memory lie where their images belong")
  func memory() {
    let images = Buffer<Float>((0..<12).map(Float.init))
    let labels = Buffer<Int32>([5, 6, 7])
    BatchMemory.lend(images: images, labels: labels) { memory in
      #expect(memory.capacity == 3 && memory.elementsPerImage == 4)
      let part = memory[1..<3]
      #expect(Array(part.images) == [4, 5, 6, 7, 8, 9, 10, 11] && Array(part.labels) == [6, 7])
    }
  }
}
