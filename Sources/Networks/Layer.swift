public import Kernels
public import Quantization
public import Tensor

/// What a forward pass is for.
public struct ForwardPass {
  /// Training takes the batch's statistics, evaluation the running ones; a backward pass follows the former alone.
  public enum Purpose {
    case training
    case evaluation
  }

  /// Runs the kernels and counts their time.
  public let backend: any Backend
  /// 1 up to the network's batch; they lie at the front of every buffer.
  public let images: Int
  /// Decides about statistics and about the start of quantizers, not about freezing.
  public let purpose: Purpose
  /// What random numbers of a training pass depend on.
  public struct Draw: Hashable, Sendable {
    /// The run's.
    public var seed: UInt64
    /// Number of the training step, below 2^32.
    public var step: Int
    /// The place of the pass's first image in the step's batch; all places are below 2^20.
    public var firstImage: Int

    /// Of a pass over images from `firstImage` on.
    public init(seed: UInt64, step: Int, firstImage: Int = 0) {
      self.seed = seed
      self.step = step
      self.firstImage = firstImage
    }
  }

  /// Of layers that draw random numbers; evaluation draws none.
  public let draw: Draw
  /// How weights freeze in this pass (nil: they do not), and its number among the training forwards (1-based); nil: a pass
  /// that is not one of them, and leaves the weights' history alone.
  public let freezing: (policy: FreezingPolicy?, forward: Int)?

  /// Levels are recorded, and weights freeze, where `freezing` is given, whatever the purpose.
  public init(
    backend: any Backend, images: Int, purpose: Purpose, draw: Draw = Draw(seed: 0, step: 0),
    freezing: (policy: FreezingPolicy?, forward: Int)? = nil
  ) {
    self.backend = backend
    self.images = images
    self.purpose = purpose
    self.draw = draw
    self.freezing = freezing
  }

  /// Whether batch statistics are formed and quantizers may take their start.
  public var isTraining: Bool { purpose == .training }
}

/// What a way back needs to know; it follows a training forward over the same images.
public struct BackwardPass {
  /// Runs the kernels and counts their time.
  public let backend: any Backend
  /// As many as in the forward pass.
  public let images: Int

  /// `images` are those of the forward pass before.
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
  /// What a forward pass does before it reads activations, on the calling thread: layers do it at the same time.
  func prepare(_ pass: ForwardPass)
  /// After `prepare`, in the order of the layers.
  func forward(_ pass: ForwardPass)
  /// Reads the gradients of its output and writes those of its inputs and parameters; in reverse order of the layers.
  func backward(_ pass: BackwardPass)
  /// What is left of a backward pass when all activations' gradients are known, on the calling thread: layers do it at the same
  /// time.
  func finish(_ pass: BackwardPass)
}

extension Layer {
  /// Nothing.
  public func prepare(_ pass: ForwardPass) {}
  /// Nothing.
  public func finish(_ pass: BackwardPass) {}
}
