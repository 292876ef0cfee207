/// Which network, before anything is allocated.
public struct ModelSpec: Hashable, Codable, Sendable {
  public enum Architecture: String, Codable, Sendable, CaseIterable {
    case resnet20
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
  public var shortcut: Shortcut
  /// Batch norm over the pooled features, before the linear layer (recipe `spqat`).
  public var batchNormBeforeLinear: Bool
  public var initialization: Initialization
  public var classes: Int
  public var inputHeight: Int
  public var inputWidth: Int

  public init(
    architecture: Architecture, shortcut: Shortcut, batchNormBeforeLinear: Bool, initialization: Initialization,
    classes: Int, inputHeight: Int, inputWidth: Int
  ) {
    self.architecture = architecture
    self.shortcut = shortcut
    self.batchNormBeforeLinear = batchNormBeforeLinear
    self.initialization = initialization
    self.classes = classes
    self.inputHeight = inputHeight
    self.inputWidth = inputWidth
  }
}
