/// Where a batch goes: memory that a network lends for the time of one call. See `Network.withInput`.
public struct BatchMemory {
  /// Normalised floats, `[capacity][height][width][3]`.
  public let images: UnsafeMutableBufferPointer<Float>
  /// Class of each image, `[capacity]`.
  public let labels: UnsafeMutableBufferPointer<Int32>

  /// - Precondition: `images` holds a whole number of elements for each label.
  public init(images: UnsafeMutableBufferPointer<Float>, labels: UnsafeMutableBufferPointer<Int32>) {
    precondition(!labels.isEmpty && images.count % labels.count == 0, "every label has an image")
    self.images = images
    self.labels = labels
  }

  /// Lends the memory of two buffers to `body`.
  public static func lend<Result>(
    images: Buffer<Float>, labels: Buffer<Int32>, _ body: (BatchMemory) throws -> Result
  ) rethrows -> Result {
    try images.withUnsafeMutableBufferPointer { images in
      try labels.withUnsafeMutableBufferPointer { labels in
        try body(BatchMemory(images: images, labels: labels))
      }
    }
  }

  /// Images that fit.
  public var capacity: Int { labels.count }
  /// height · width · 3
  public var elementsPerImage: Int { images.count / labels.count }

  /// The part for the images of `range`: threads fill one batch together, each a part of its own.
  public subscript(range: Range<Int>) -> BatchMemory {
    BatchMemory(
      images: .init(rebasing: images[range.lowerBound * elementsPerImage..<range.upperBound * elementsPerImage]),
      labels: .init(rebasing: labels[range]))
  }
}
