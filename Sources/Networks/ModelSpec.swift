/// Which network, before anything is allocated.
public struct ModelSpec: Hashable, Sendable {
  public typealias Architecture = Networks.Architecture

  /// What joins two stages of a ResNet whose shapes differ.
  public enum Shortcut: String, Sendable, CaseIterable {
    /// Every second pixel, zero channels in equal numbers on both sides; no parameters.
    case pad
    /// 1×1 convolution and batch norm.
    case convolution
  }

  /// Standard deviation of the initial weights: Kaiming normal over the inputs or the outputs of a layer.
  public enum Initialization: String, Sendable, CaseIterable {
    case kaimingFanIn
    case kaimingFanOut
  }

  public var architecture: Architecture
  /// Channels of the first stage; each later stage has twice those of the one before.
  public var width: Int
  public var shortcut: Shortcut
  /// Batch norm over the pooled features, before the linear layer.
  public var batchNormBeforeLinear: Bool
  public var initialization: Initialization
  public var classes: Int
  /// Pixels.
  public var inputHeight: Int
  public var inputWidth: Int

  public init(
    architecture: Architecture, shortcut: Shortcut, batchNormBeforeLinear: Bool, initialization: Initialization,
    classes: Int, inputHeight: Int, inputWidth: Int, width: Int = 16
  ) {
    self.architecture = architecture
    self.width = width
    self.shortcut = shortcut
    self.batchNormBeforeLinear = batchNormBeforeLinear
    self.initialization = initialization
    self.classes = classes
    self.inputHeight = inputHeight
    self.inputWidth = inputWidth
  }

  /// The network's graph.
  /// - Throws: `NetworkError` where there is no such network: of fewer than two classes, or for images of this size.
  public func graph() throws(NetworkError) -> Graph {
    guard classes >= 2 else {
      throw NetworkError(description: "found \(classes == 1 ? "one class" : "\(classes) classes"), allowed: 2 or more")
    }
    do {
      return try Graph(images: .init(height: inputHeight, width: inputWidth, channels: 3)) { graph, images in
        architecture.network(&graph, images, self)
      }
    } catch {
      throw NetworkError(
        description: "\(architecture.name) does not take images of \(inputWidth)x\(inputHeight): \(error)")
    }
  }
}
