public import Kernels
public import Quantization
public import Tensor

/// The output of a layer for a whole batch, `images × height × width × channels`, and the gradients that its uses send
/// back. A use is either a float one (`gradients`) or passes through a quantized copy (`copies`).
public final class Activation {
  public let height: Int
  public let width: Int
  public let channels: Int
  /// The values as floats; nil where only quantized copies are used.
  public private(set) var values: Buffer<Float>?
  public private(set) var copies: [QuantizedCopy] = []
  /// One for each float use that sends a gradient, known after the backward pass was planned.
  package private(set) var gradients: [GradientSlot] = []
  /// The use whose gradient arrives last, where it is a convolution: it computes it in pieces, which the producer can take
  /// up while they are in the cache.
  private(set) weak var lastContributor: Convolution?
  /// Whether the producer computes batch norm's second backward pass itself, piece by piece.
  package var takesDeferredGradient = false
  package var deferredGradient: DeferredGradient?
  /// Σ and Σ² per channel, where the producer forms them on the way.
  package var sums: ChannelSums?
  private(set) lazy var gradientSums = NormalizationSums(channels: channels)
  private let capacity: Int

  public final class QuantizedCopy {
    public let quantizer: ActivationQuantizer
    public let levels: Buffer<UInt8>
    package var gradient: GradientSlot?

    init(quantizer: ActivationQuantizer, count: Int) {
      self.quantizer = quantizer
      levels = Buffer(count: count)
    }
  }

  public init(batch: Int, height: Int, width: Int, channels: Int) {
    self.height = height
    self.width = width
    self.channels = channels
    capacity = batch * height * width * channels
  }

  public var rowsPerImage: Int { height * width }
  public var elementsPerImage: Int { height * width * channels }
  public var count: Int { capacity }

  /// Registers a float use: the producer then keeps the values.
  public func requireValues() {
    if values == nil { values = Buffer(count: capacity) }
  }

  /// Registers a use through a quantized copy.
  public func requireCopy(_ quantizer: ActivationQuantizer) -> QuantizedCopy {
    let copy = QuantizedCopy(quantizer: quantizer, count: capacity)
    copies.append(copy)
    return copy
  }

  var hasGradient: Bool { !gradients.isEmpty || copies.contains { $0.gradient != nil } }

  /// Computes z = relu(scale · input + shift + residual) into the values and the copies. Quantizers that are not
  /// initialized take their start from z in training.
  func emit(
    input: Buffer<Float>, scale: Buffer<Float>?, shift: Buffer<Float>?, residual: Buffer<Float>?, relu: Bool,
    pass: ForwardPass
  ) {
    let context = pass.context
    if copies.contains(where: { !$0.quantizer.isInitialized }) {
      precondition(pass.isTraining, "quantizers are initialized in training")
      let whole = values ?? Buffer(count: capacity)
      context.normalize(
        input: input, channels: channels, scale: scale, shift: shift, residual: residual, relu: relu, output: whole,
        copies: [], images: pass.images, rowsPerImage: rowsPerImage)
      let statistics = context.rangeStatistics(whole, images: pass.images, elementsPerImage: elementsPerImage)
      for copy in copies where !copy.quantizer.isInitialized {
        copy.quantizer.initialize(minimum: statistics.minimum, standardDeviation: statistics.standardDeviation)
      }
    }
    if values === input && scale == nil && residual == nil && !relu && copies.isEmpty { return }
    context.normalize(
      input: input, channels: channels, scale: scale, shift: shift, residual: residual, relu: relu,
      output: values === input ? nil : values, copies: copies.map { ($0.quantizer.grid, $0.levels) },
      images: pass.images, rowsPerImage: rowsPerImage)
  }

  /// Registers where a use puts its gradient: of the values, or of a quantized copy. `convolution`: the use, if it is one.
  package func addGradient(_ slot: GradientSlot, of copy: QuantizedCopy? = nil, from convolution: Convolution? = nil) {
    if let copy { copy.gradient = slot } else { gradients.append(slot) }
    lastContributor = convolution
  }

  /// Back through `emit`, to be run over the batch: writes the gradient of scale · input + shift to `preGradient` and
  /// forms the sums that `finishCollecting` and, if it wants them, batch norm need.
  func gradientCollection(
    input: Buffer<Float>, scale: Buffer<Float>?, shift: Buffer<Float>?, relu: Bool, preGradient: Buffer<Float>,
    wantsChannelSums: Bool
  ) -> NormalizationGradient {
    NormalizationGradient(
      input: input, channels: channels, scale: scale, shift: shift, relu: relu, output: values,
      gradients: gradients.map(\.buffer),
      copies: copies.compactMap { copy in copy.gradient.map { (copy.quantizer.grid, $0.buffer) } },
      preGradient: preGradient, rowsPerImage: rowsPerImage, sums: gradientSums, wantsChannelSums: wantsChannelSums)
  }

  /// Sets the gradients of the copies' quantizers.
  func finishCollecting() {
    var index = 0
    for copy in copies where copy.gradient != nil {
      copy.quantizer.setGradients(gradientSums.range(index))
      index += 1
    }
  }

  /// The whole of it for a producer without batch norm.
  func collectGradient(preGradient: Buffer<Float>, pass: BackwardPass) {
    let collection = gradientCollection(
      input: values!, scale: nil, shift: nil, relu: false, preGradient: preGradient, wantsChannelSums: false)
    pass.context.normalizeBackward(collection, images: pass.images)
    finishCollecting()
  }

  /// Takes over one of the incoming gradients' memory for `collectGradient`'s result, where nobody else needs it, and
  /// releases the others.
  func planCollection(_ planner: GradientPlanner) -> GradientSlot {
    var slots = gradients + copies.compactMap(\.gradient)
    precondition(!slots.isEmpty, "no gradient arrives here")
    // Where pieces are collected while the last contributor still reads its own operands, this must be an arriving one:
    // its gradient's memory is, since nobody else needs that.
    let kept = slots.firstIndex(where: planner.isExclusive).map { slots.remove(at: $0) }
    let result = kept ?? planner.acquire(count: capacity)
    slots.forEach(planner.release)
    return result
  }
}

/// A layer that leaves the collection of its output's gradient to the convolution behind it, which computes that gradient
/// in pieces and takes each up while it is in the cache.
package protocol GradientCollector: AnyObject {
  var gradientCollection: NormalizationGradient { get }
}

/// Batch norm's second backward pass, left to the convolution before it, which needs the result in pieces.
package final class DeferredGradient {
  private let slot: GradientSlot
  private let values: Buffer<Float>
  private let factors: (a: Buffer<Float>, b: Buffer<Float>, d: Buffer<Float>)

  init(
    slot: GradientSlot, values: Buffer<Float>,
    factors: (a: Buffer<Float>, b: Buffer<Float>, d: Buffer<Float>)
  ) {
    self.slot = slot
    self.values = values
    self.factors = factors
  }

  var value: OutputGradient { .batchNorm(x: slot.buffer, y: values, a: factors.a, b: factors.b, d: factors.d) }

  func release(to planner: GradientPlanner) { planner.release(slot) }
}

/// What a forward pass is for.
public struct ForwardPass {
  public enum Purpose {
    case training
    case evaluation
  }

  public let context: ComputeContext
  public let images: Int
  public let purpose: Purpose
  /// How weights freeze in this pass, and its number (1-based); nil: no freezing in this pass.
  public let freezing: (policy: FreezingPolicy, forward: Int)?

  public init(
    context: ComputeContext, images: Int, purpose: Purpose, freezing: (policy: FreezingPolicy, forward: Int)? = nil
  ) {
    self.context = context
    self.images = images
    self.purpose = purpose
    self.freezing = freezing
  }

  public var isTraining: Bool { purpose == .training }
}

public struct BackwardPass {
  public let context: ComputeContext
  public let images: Int

  public init(context: ComputeContext, images: Int) {
    self.context = context
    self.images = images
  }
}

/// One node of a network: a forward computation and its gradient, written out.
public protocol Layer: AnyObject {
  var name: String { get }
  var parameters: [Parameter] { get }
  /// Everything that the next step depends on, and what follows from it, by name.
  var state: [LayerState] { get }
  /// To be called after the values of `state` were written from outside.
  func didRestoreState()
  func forward(_ pass: ForwardPass)
  /// Called in reverse order of the layers, once: takes and gives back memory for gradients.
  func planBackward(_ planner: GradientPlanner)
  func backward(_ pass: BackwardPass)
}

/// The images a network starts from: no layer produces them, but they may be quantized.
extension Activation {
  public func forwardImages(_ pass: ForwardPass) {
    emit(input: values!, scale: nil, shift: nil, residual: nil, relu: false, pass: pass)
  }

  /// nil where no quantizer learns from the images' gradient.
  public func planImageGradient(_ planner: GradientPlanner) -> GradientSlot? {
    guard hasGradient else { return nil }
    let slot = planCollection(planner)
    planner.release(slot)
    return slot
  }

  public func collectImageGradient(preGradient: Buffer<Float>, pass: BackwardPass) {
    collectGradient(preGradient: preGradient, pass: pass)
  }
}
