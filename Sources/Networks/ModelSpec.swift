public import Kernels

/// Which network, before anything is allocated.
public struct ModelSpec: Hashable, Sendable {
  /// The networks that a specification chooses from.
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

  /// Whose function `graph()` calls.
  public var architecture: Architecture
  /// Channels of the first convolution, of which all others are multiples.
  public var width: Int
  /// Of ResNets for small images; also decides their linear layer's name: "linear" behind `pad`, "fc" otherwise.
  public var shortcut: Shortcut
  /// Batch norm over the features before the linear layer: behind the pooling, in MobileNetV2 before it.
  public var batchNormBeforeLinear: Bool
  /// Of the weights of convolutions and linear layers; `Network.initializeWeights(seed:)` draws them.
  public var initialization: Initialization
  /// 2 or more, which `graph()` checks.
  public var classes: Int
  /// Pixels.
  public var inputHeight: Int
  /// Pixels.
  public var inputWidth: Int
  /// Of MobileNetV2's layers; those of all others are `relu`.
  public var rectifier: Rectifier
  /// Share of MobileNetV2's features that training drops before the linear layer, from 0 to below 1.
  public var dropout: Double

  /// Checks nothing: whether there is such a network, `graph()` says.
  public init(
    architecture: Architecture, shortcut: Shortcut, batchNormBeforeLinear: Bool, initialization: Initialization,
    classes: Int, inputHeight: Int, inputWidth: Int, width: Int = 16, rectifier: Rectifier = .relu, dropout: Double = 0
  ) {
    self.architecture = architecture
    self.width = width
    self.shortcut = shortcut
    self.batchNormBeforeLinear = batchNormBeforeLinear
    self.initialization = initialization
    self.classes = classes
    self.inputHeight = inputHeight
    self.inputWidth = inputWidth
    self.rectifier = rectifier
    self.dropout = dropout
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
