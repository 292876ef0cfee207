import Datasets
import Testing

struct BatchPlanTests {
  private static let size = PixelSize(width: 5, height: 6)
  private static let identity = Normalization(mean: [0, 0, 0], standardDeviation: [1, 1, 1])

  /// Images that differ everywhere, none of them black.
  private func split(count: Int) -> ImageSplit {
    let stride = Self.size.width * Self.size.height * 3
    return ImageSplit(
      size: Self.size, pixels: (0..<count * stride).map { UInt8(1 + $0 * $0 % 65_521 * 31 % 255) },
      labels: (0..<count).map(Int32.init))
  }

  private func training(
    _ split: ImageSplit, batchSize: Int = 8, seed: UInt64 = 1, epoch: Int = 0, dropLast: Bool = false,
    augmentation: Augmentation = .standard
  ) -> BatchPlan {
    BatchPlan.training(
      split, batchSize: batchSize, seed: seed, epoch: epoch, dropLast: dropLast, normalization: Self.identity,
      augmentation: augmentation)
  }

  private func fill(_ plan: BatchPlan, _ positions: Range<Int>) -> (images: [Float], labels: [Int32]) {
    var images = [Float](repeating: .nan, count: positions.count * plan.imageStride)
    var labels = [Int32](repeating: -1, count: positions.count)
    images.withUnsafeMutableBufferPointer { images in
      labels.withUnsafeMutableBufferPointer { labels in
        plan.fill(positions: positions, into: images.baseAddress!, labels: labels.baseAddress!)
      }
    }
    return (images, labels)
  }

  /// All batches of a pass, one after another.
  private func wholePass(_ plan: BatchPlan) -> (images: [Float], labels: [Int32]) {
    var images: [Float] = []
    var labels: [Int32] = []
    for batch in 0..<plan.batchCount {
      let part = fill(plan, plan.positions(ofBatch: batch))
      images += part.images
      labels += part.labels
    }
    return (images, labels)
  }

  @Test("An epoch shows every image once, in an order that its seed and number fix")
  func order() {
    let split = split(count: 101)
    let labels = wholePass(training(split)).labels
    #expect(labels.sorted() == split.labels)
    #expect(labels != split.labels)
    #expect(wholePass(training(split)).labels == labels)
    #expect(wholePass(training(split, seed: 2)).labels != labels)
    #expect(wholePass(training(split, epoch: 1)).labels != labels)
    // The order is not bound to the batch size.
    #expect(wholePass(training(split, batchSize: 25)).labels == labels)
  }

  @Test("The same seed and epoch give the same pixels, another epoch does not")
  func samePixels() {
    let split = split(count: 40)
    let images = wholePass(training(split, epoch: 3)).images
    #expect(wholePass(training(split, epoch: 3)).images == images)
    #expect(wholePass(training(split, epoch: 4)).images != images)
  }

  @Test("Resuming at any batch of an epoch continues with the same bits")
  func resume() {
    let split = split(count: 43)
    let undisturbed = training(split, seed: 9, epoch: 2)
    for batch in 0..<undisturbed.batchCount {
      let resumed = training(split, seed: 9, epoch: 2)
      let positions = undisturbed.positions(ofBatch: batch)
      #expect(fill(resumed, positions) == fill(undisturbed, positions))
    }
  }

  @Test("A batch filled in parts equals the batch filled at once", arguments: [1, 3, 7])
  func parts(size: Int) {
    let plan = training(split(count: 20), batchSize: 16)
    let whole = fill(plan, 0..<16)
    var images: [Float] = []
    var labels: [Int32] = []
    for start in stride(from: 0, to: 16, by: size) {
      let part = fill(plan, start..<min(16, start + size))
      images += part.images
      labels += part.labels
    }
    #expect(images == whole.images)
    #expect(labels == whole.labels)
  }

  @Test(
    "The last partial batch is dropped or kept",
    arguments: [(20, 8, 2, 3), (16, 8, 2, 2), (5, 8, 0, 1), (0, 8, 0, 0)])
  func lastBatch(images: Int, batchSize: Int, dropped: Int, kept: Int) {
    let split = split(count: images)
    #expect(training(split, batchSize: batchSize, dropLast: true).batchCount == dropped)
    let plan = training(split, batchSize: batchSize)
    #expect(plan.batchCount == kept)
    if kept > 0 { #expect(plan.positions(ofBatch: kept - 1).upperBound == images) }
    #expect(BatchPlan.batchCount(images: images, batchSize: batchSize, dropLast: true) == dropped)
  }

  @Test("Filling by batch number gives the images of its positions and their count")
  func fillByBatch() {
    let plan = training(split(count: 11), batchSize: 8)
    var images = [Float](repeating: .nan, count: 8 * plan.imageStride)
    var labels = [Int32](repeating: -1, count: 8)
    let count = images.withUnsafeMutableBufferPointer { images in
      labels.withUnsafeMutableBufferPointer { labels in
        plan.fill(batch: 1, into: images.baseAddress!, labels: labels.baseAddress!)
      }
    }
    let expected = fill(plan, 8..<11)
    #expect(count == 3)
    #expect(Array(images.prefix(3 * plan.imageStride)) == expected.images)
    #expect(labels == expected.labels + [Int32](repeating: -1, count: 5))
  }

  @Test("Evaluation shows the images in order, normalised and otherwise unchanged")
  func evaluation() {
    let split = split(count: 10)
    let normalization = Normalization.ltsCIFAR10
    let plan = BatchPlan.evaluation(split, batchSize: 4, normalization: normalization)
    let pass = wholePass(plan)
    #expect(pass.labels == split.labels)
    let expected = split.pixels.enumerated().map { index, byte in
      let channel = index % 3
      return Float((Double(byte) / 255 - normalization.mean[channel]) / normalization.standardDeviation[channel])
    }
    #expect(pass.images == expected)
  }

  /// What padding by `padding`, cutting at (down, right) and mirroring make of an image, the long way.
  private func changed(
    _ image: [UInt8], padding: Int, down: Int, right: Int, flip: Bool, normalization: Normalization
  ) -> [Float] {
    let (width, height) = (Self.size.width, Self.size.height)
    var result: [Float] = []
    for y in 0..<height {
      for x in 0..<width {
        let column = (flip ? width - 1 - x : x) + right - padding
        let row = y + down - padding
        let inside = (0..<width).contains(column) && (0..<height).contains(row)
        for channel in 0..<3 {
          let byte = inside ? image[(row * width + column) * 3 + channel] : 0
          result.append(
            Float((Double(byte) / 255 - normalization.mean[channel]) / normalization.standardDeviation[channel]))
        }
      }
    }
    return result
  }

  @Test("Training images are crops of the black-padded image, half of them mirrored", arguments: [4, 1, 7])
  func augmentation(padding: Int) {
    let count = 400
    let split = split(count: count)
    let stride = Self.size.width * Self.size.height * 3
    let normalization = Normalization.spqatCIFAR10
    let plan = BatchPlan.training(
      split, batchSize: count, seed: 4, epoch: 6, dropLast: false, normalization: normalization,
      augmentation: Augmentation(padding: padding, flips: true))
    let pass = fill(plan, 0..<count)
    var downs = Set<Int>()
    var rights = Set<Int>()
    var recognised = 0
    var flips = 0
    for slot in 0..<count {
      let image = Array(split.pixels[Int(pass.labels[slot]) * stride..<(Int(pass.labels[slot]) + 1) * stride])
      let shown = Array(pass.images[slot * stride..<(slot + 1) * stride])
      search: for down in 0...2 * padding {
        for right in 0...2 * padding {
          for flip in [false, true] {
            let candidate = changed(
              image, padding: padding, down: down, right: right, flip: flip, normalization: normalization)
            if candidate == shown {
              recognised += 1
              downs.insert(down)
              rights.insert(right)
              flips += flip ? 1 : 0
              break search
            }
          }
        }
      }
    }
    #expect(recognised == count)
    // An offset that leaves nothing of the image cannot be told from another such offset.
    #expect(downs.isSuperset(of: max(0, padding - 5)...min(2 * padding, padding + 5)))
    #expect(rights.isSuperset(of: max(0, padding - 4)...min(2 * padding, padding + 4)))
    if padding == 1 { #expect(abs(flips - count / 2) < 60) }
  }

  @Test("Without augmentation training images are only shuffled")
  func noAugmentation() {
    let split = split(count: 9)
    let stride = Self.size.width * Self.size.height * 3
    let pass = wholePass(training(split, augmentation: .none))
    for (slot, label) in pass.labels.enumerated() {
      let shown = pass.images[slot * stride..<(slot + 1) * stride]
      let image = split.pixels[Int(label) * stride..<(Int(label) + 1) * stride]
      #expect(Array(shown) == image.map { Float(Double($0) / 255) })
    }
  }

  @Test("Published constants are used for the data they belong to, statistics for any other")
  func publishedConstants() {
    func normalization(
      _ published: [DatasetImporter.Name: Normalization], _ name: String,
      source: DatasetManifest.Source = DatasetManifest.Source(origin: "test")
    ) -> Normalization {
      let dataset = ImageDataset(
        train: split(count: 2), test: split(count: 2), classes: ["a", "b"], name: name,
        source: source)
      let own = Normalization(dataset.manifest)
      let chosen = Normalization.choose(for: dataset.manifest, published: published)
      return chosen == own ? Self.identity : chosen
    }
    let spqat: [DatasetImporter.Name: Normalization] = [.cifar10: .spqatCIFAR10]
    let lts: [DatasetImporter.Name: Normalization] = [.cifar10: .ltsCIFAR10, .cifar100: .ltsCIFAR100]
    #expect(normalization(spqat, "cifar10") == .spqatCIFAR10)
    #expect(normalization(lts, "cifar10") == .ltsCIFAR10)
    #expect(normalization(lts, "cifar100") == .ltsCIFAR100)
    #expect(normalization(spqat, "cifar100") == Self.identity)
    #expect(normalization(lts, "fashion-mnist") == Self.identity)
    // A folder that somebody called so.
    #expect(normalization(spqat, "cifar10", source: .imageFolder) == Self.identity)
    #expect(normalization(lts, "cifar100", source: .imageFolder) == Self.identity)
  }
}
