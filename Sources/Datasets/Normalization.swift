/// Per-channel normalisation of pixels: (byte / 255 - mean) / standard deviation.
public struct Normalization: Hashable, Sendable {
  /// Mean of each channel (red, green, blue), in [0, 1].
  public let mean: [Double]
  /// Standard deviation of each channel, in [0, 1].
  public let standardDeviation: [Double]

  /// - Precondition: three numbers each, the deviations positive.
  public init(mean: [Double], standardDeviation: [Double]) {
    precondition(mean.count == 3 && standardDeviation.count == 3, "pixels have three channels")
    precondition(standardDeviation.allSatisfy { $0 > 0 }, "a standard deviation is positive")
    self.mean = mean
    self.standardDeviation = standardDeviation
  }

  /// The statistics of a data set's training pixels; a constant channel is centred and not scaled.
  public init(_ manifest: DatasetManifest) {
    self.init(mean: manifest.mean, standardDeviation: manifest.standardDeviation.map { $0 > 0 ? $0 : 1 })
  }

  /// The one in `published` for this data set, which an importer must have named, or else the data set's own statistics: a
  /// folder may be called anything.
  public static func choose(
    for manifest: DatasetManifest, published: [DatasetImporter.Name: Normalization]
  ) -> Normalization {
    guard manifest.isImported, let name = DatasetImporter.Name(rawValue: manifest.name) else {
      return Normalization(manifest)
    }
    return published[name] ?? Normalization(manifest)
  }

  // The constants of the authors' two generations of code.
  /// Of the first generation (SpQAT), for CIFAR-10.
  public static let spqatCIFAR10 = Normalization(
    mean: [0.4914, 0.4822, 0.4465], standardDeviation: [0.2023, 0.1994, 0.2010])
  /// Of the second generation (LTS, arXiv 2211.08544), for CIFAR-10.
  public static let ltsCIFAR10 = Normalization(
    mean: [125.3 / 255, 123.0 / 255, 113.9 / 255], standardDeviation: [63.0 / 255, 62.1 / 255, 66.7 / 255])
  /// Of the second generation (LTS, arXiv 2211.08544), for CIFAR-100.
  public static let ltsCIFAR100 = Normalization(
    mean: [129.3 / 255, 124.1 / 255, 112.4 / 255], standardDeviation: [68.2 / 255, 65.4 / 255, 70.4 / 255])

  /// Of ImageNet, as torchvision's pretrained networks and both generations have it.
  public static let imageNet = Normalization(
    mean: [0.485, 0.456, 0.406], standardDeviation: [0.229, 0.224, 0.225])

  /// The normalised value of every byte, `[3][256]`.
  func table() -> [Float] {
    (0..<3).flatMap { channel in
      (0..<256).map { Float((Double($0) / 255 - mean[channel]) / standardDeviation[channel]) }
    }
  }
}

/// Random changes to training images.
public struct Augmentation: Equatable, Sendable {
  /// Pixels of black added on each side of the byte image, out of which the original size is cut at random.
  public var padding: Int
  /// Whether half of the images are mirrored left to right.
  public var flips: Bool

  /// - Precondition: `padding` is not negative.
  public init(padding: Int, flips: Bool) {
    precondition(padding >= 0, "padding is not negative")
    self.padding = padding
    self.flips = flips
  }

  /// Images as they are, for evaluation.
  public static let none = Augmentation(padding: 0, flips: false)
  /// Random crop out of 4 pixels of padding and horizontal flip.
  public static let standard = Augmentation(padding: 4, flips: true)
}
