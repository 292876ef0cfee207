/// Which network, before anything is allocated.
public struct ModelSpec: Hashable, Codable, Sendable {
  /// Networks for small images; ResNet-(6n+2) has n basic blocks in each of three stages.
  public enum Architecture: String, Codable, Sendable, CaseIterable {
    case resnet8
    case resnet20
    case resnet32
    case resnet44
    case resnet56

    public var blocksPerStage: Int {
      switch self {
      case .resnet8: 1
      case .resnet20: 3
      case .resnet32: 5
      case .resnet44: 7
      case .resnet56: 9
      }
    }
  }

  /// What joins two stages of a ResNet whose shapes differ.
  public enum Shortcut: String, Codable, Sendable, CaseIterable {
    /// Every second pixel, zero channels in equal numbers on both sides; no parameters (recipe `spqat`).
    case pad
    /// 1×1 convolution and batch norm (recipe `lts`).
    case convolution
  }

  /// Standard deviation of the initial weights: Kaiming normal over the inputs or the outputs of a layer.
  public enum Initialization: String, Codable, Sendable, CaseIterable {
    case kaimingFanIn
    case kaimingFanOut
  }

  public var architecture: Architecture
  /// Channels of the first stage; each later stage has twice those of the one before.
  public var width: Int
  public var shortcut: Shortcut
  /// Batch norm over the pooled features, before the linear layer (recipe `spqat`).
  public var batchNormBeforeLinear: Bool
  public var initialization: Initialization
  public var classes: Int
  public var inputHeight: Int
  public var inputWidth: Int

  /// Why no network can be made for such images and classes, with what is allowed; nil where one can.
  public static func problem(classes: Int, height: Int, width: Int) -> String? {
    if classes < 2 { return "found \(classes == 1 ? "one class" : "\(classes) classes"), allowed: 2 or more" }
    if height < 4 || width < 4 { return "found images of \(width)x\(height), allowed: sides of 4 pixels or more" }
    // Each of the two strides of 2 halves a side, rounding up.
    let (rows, columns) = ((height + 3) / 4, (width + 3) / 4)
    guard rows == columns else {
      return
        "found images of \(width)x\(height), whose last feature maps would be \(columns)x\(rows); allowed: images whose "
        + "last feature maps are square"
    }
    return nil
  }

  public init(
    architecture: Architecture, shortcut: Shortcut, batchNormBeforeLinear: Bool, initialization: Initialization,
    classes: Int, inputHeight: Int, inputWidth: Int, width: Int = 16
  ) {
    precondition(classes >= 2 && inputHeight >= 4 && inputWidth >= 4 && width >= 2 && width % 2 == 0)
    self.architecture = architecture
    self.width = width
    self.shortcut = shortcut
    self.batchNormBeforeLinear = batchNormBeforeLinear
    self.initialization = initialization
    self.classes = classes
    self.inputHeight = inputHeight
    self.inputWidth = inputWidth
  }
}
