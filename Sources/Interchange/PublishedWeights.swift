public import Networks

/// Pretrained weights whose accuracy their makers publish, recognised by the checksum of the checkpoint that
/// `Scripts/torch_to_safetensors.py` leaves in the metadata.
public struct PublishedWeights: Equatable, Sendable, CustomStringConvertible {
  /// Of which network.
  public let architecture: String
  /// As their makers call them.
  public let name: String
  /// The first digits of the checkpoint's SHA-256, which its file name ends in; nil where they are not known.
  public let checksum: String?
  /// Percent of ImageNet's validation images at 224×224.
  public let topOne: Double
  /// Percent; nil where it is not published.
  public let topFive: Double?
  /// Why not to train from them; nil: nothing is known against them.
  public let warning: String?

  /// The key of the checkpoint's SHA-256 in a file's metadata.
  static let checksumKey = "source_sha256"

  /// Others reach 12 % instead of 56 % with ResNet-50 at W8A2 from them.
  private static let secondRecipe =
    "weights of torchvision's second training recipe quantize badly; take IMAGENET1K_V1"

  /// The one that a file says it is; nil where it says none of these.
  static func recognized(_ file: SafetensorsFile, _ architecture: Architecture) -> PublishedWeights? {
    guard let source = file.header.metadata[checksumKey]?.lowercased() else { return nil }
    return all.first { $0.architecture == architecture.name && source.hasPrefix($0.checksum ?? " ") }
  }

  /// Those of a network that nothing is known against: what its float accuracy should be near to.
  public static func recommended(for architecture: Architecture) -> PublishedWeights? {
    all.first { $0.architecture == architecture.name && $0.warning == nil }
  }

  /// "torchvision IMAGENET1K_V1: top-1 69.758, top-5 89.078 on ImageNet's validation images"
  public var description: String {
    "\(name): top-1 \(topOne)" + (topFive.map { ", top-5 \($0)" } ?? "") + " on ImageNet's validation images"
  }

  /// With the accuracies that torchvision's and pytorchcv's documentation state.
  public static let all = [
    PublishedWeights(
      architecture: "resnet18", name: "torchvision IMAGENET1K_V1", checksum: "f37072fd", topOne: 69.758,
      topFive: 89.078,
      warning: nil),
    PublishedWeights(
      architecture: "resnet50", name: "torchvision IMAGENET1K_V1", checksum: "0676ba61", topOne: 76.130,
      topFive: 92.862,
      warning: nil),
    PublishedWeights(
      architecture: "resnet50", name: "torchvision IMAGENET1K_V2", checksum: "11ad3fa6", topOne: 80.858,
      topFive: 95.434,
      warning: secondRecipe),
    PublishedWeights(
      architecture: "mobilenetv2", name: "torchvision IMAGENET1K_V1", checksum: "b0353104", topOne: 71.878,
      topFive: 90.286, warning: nil),
    PublishedWeights(
      architecture: "mobilenetv1", name: "pytorchcv mobilenet_w1", checksum: nil, topOne: 73.39, topFive: nil,
      warning: nil),
    PublishedWeights(
      architecture: "mobilenetv2", name: "torchvision IMAGENET1K_V2", checksum: "7ebf99e0", topOne: 72.154,
      topFive: 90.822, warning: secondRecipe),
  ]
}
