/// A network by its name: a function that chains a graph's operations.
///
/// Two with one name are the same. A further network is a function and an entry of `all`, which configurations, the
/// command line and traces read their choice from.
public struct Architecture: Sendable {
  /// Networks of one design, for one kind of images.
  public enum Family: Hashable, Sendable, CaseIterable {
    /// For images such as CIFAR's (He et al. 2016, section 4.2).
    case smallImageResNet
    /// For images such as ImageNet's (He et al. 2016, section 4.1).
    case resNet
    /// Howard et al. 2017.
    case mobileNetV1
    /// Sandler et al. 2018.
    case mobileNetV2

    /// Whether recipes treat it as their authors treat networks for ImageNet: quantizers at both ends, training, pixels.
    public var isForImageNet: Bool { self != .smallImageResNet }

    /// Channels of the first convolution as published.
    public var width: Int {
      switch self {
      case .smallImageResNet: 16
      case .resNet: 64
      case .mobileNetV1, .mobileNetV2: 32
      }
    }
  }

  /// As a configuration says it.
  public let name: String
  /// From which follow the defaults that a network has beside its graph.
  public let family: Family
  /// Pixels of a side of the images that the published network is for.
  public let imageSide: Int
  /// Classes of the data set that the published network is for.
  public let classes: Int
  /// Chains the network of a specification behind the images and returns the logits.
  let network: @Sendable (inout Graph, Graph.Value, ModelSpec) -> Graph.Value

  /// Every network.
  public static let all: [Architecture] = [
    .resnet8, .resnet20, .resnet32, .resnet44, .resnet56, .resnet18, .resnet50, .mobilenetv1, .mobilenetv2,
    .mobilenetv2s,
  ]

  package init(
    _ name: String, family: Family, imageSide: Int = 224, classes: Int = 1000,
    network: @escaping @Sendable (inout Graph, Graph.Value, ModelSpec) -> Graph.Value
  ) {
    self.name = name
    self.family = family
    self.imageSide = imageSide
    self.classes = classes
    self.network = network
  }
}

extension Architecture: Hashable {
  public static func == (first: Architecture, second: Architecture) -> Bool { first.name == second.name }
  public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

/// In files and on the command line a network is its name.
extension Architecture: RawRepresentable, CaseIterable, Codable, CustomStringConvertible {
  /// One of `all`; nil for any other name.
  public init?(rawValue: String) {
    guard let found = Self.all.first(where: { $0.name == rawValue }) else { return nil }
    self = found
  }

  /// The name, as configurations write it.
  public var rawValue: String { name }
  public var description: String { name }
  /// As `all`, in its order.
  public static var allCases: [Architecture] { all }
}
