public import Kernels
public import Quantization
public import Tensor

/// What a forward pass is for.
public struct ForwardPass {
  public enum Purpose {
    case training
    case evaluation
  }

  public let backend: any Backend
  public let images: Int
  public let purpose: Purpose
  /// How weights freeze in this pass, and its number (1-based); nil: no freezing in this pass.
  public let freezing: (policy: FreezingPolicy, forward: Int)?

  public init(
    backend: any Backend, images: Int, purpose: Purpose, freezing: (policy: FreezingPolicy, forward: Int)? = nil
  ) {
    self.backend = backend
    self.images = images
    self.purpose = purpose
    self.freezing = freezing
  }

  public var isTraining: Bool { purpose == .training }
}

public struct BackwardPass {
  public let backend: any Backend
  public let images: Int

  public init(backend: any Backend, images: Int) {
    self.backend = backend
    self.images = images
  }
}

/// One step of a plan, carried out: a forward computation and its gradient, written out.
public protocol Layer: AnyObject {
  var name: String { get }
  var parameters: [Parameter] { get }
  /// Everything that the next step depends on, and what follows from it, by name.
  var state: [LayerState] { get }
  /// To be called after the values of `state` were written from outside.
  func didRestoreState()
  func forward(_ pass: ForwardPass)
  /// Reads the gradients of its output and writes those of its inputs and parameters; in reverse order of the layers.
  func backward(_ pass: BackwardPass)
}
