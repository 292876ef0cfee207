public import Tensor

/// How an activation x becomes a level: rint(clamp((x − lower) · inverseStep, 0, levels)), half to even.
public struct ActivationGrid: Sendable, Equatable {
  /// The activation at level 0.
  public var lower: Float
  /// Levels per unit of activation.
  public var inverseStep: Float
  /// 2^b − 1
  public var levels: Float
  /// The factor from the gradient of the quantized value to that of x, in range.
  public var gradientScale: Float

  /// With `levels` at most 255: they are kept as bytes.
  public init(lower: Float, inverseStep: Float, levels: Float, gradientScale: Float) {
    self.lower = lower
    self.inverseStep = inverseStep
    self.levels = levels
    self.gradientScale = gradientScale
  }
}

/// Keeps a value at 0 or above: max(x, 0), or min(max(x, 0), 6).
public enum Rectifier: String, Hashable, Sendable, CaseIterable {
  case relu
  /// With an upper end of 6 (Howard et al. 2017, Sandler et al. 2018).
  case relu6

  /// The largest value that it gives.
  public var upper: Float {
    switch self {
    case .relu: .infinity
    case .relu6: 6
    }
  }
}

/// The way back through `normalize` to scale · input + shift: adds up the gradients of z and those that pass its quantized
/// copies, masks them by the rectifier, and forms the sums that batch norm and the quantizers need.
public struct NormalizationGradient {
  /// What `normalize` was given: rows × channels.
  public let input: ConvolutionOutput
  /// Of a row.
  public let channels: Int
  /// One a channel; nil: 1.
  public let scale: Buffer<Float>?
  /// One a channel; nil: 0.
  public let shift: Buffer<Float>?
  /// The gradient passes strictly inside its range.
  public let rectifier: Rectifier?
  /// z as kept by the forward pass; nil: recomputed, which a residual forbids.
  public let output: Buffer<Float>?
  /// Of z as floats, at most three; their sum counts.
  public let gradients: [Buffer<Float>]
  /// At most two, each with the gradient of its quantized values.
  public let copies: [(grid: ActivationGrid, gradient: Buffer<Float>)]
  /// Receives the gradient of scale · input + shift; may be one of the others.
  public let result: Buffer<Float>
  /// Height · width.
  public let rowsPerImage: Int
  /// Receives Σ g · x of the copies and, if `wantsChannelSums`, Σ g and Σ g · input per channel.
  public let sums: NormalizationSums
  /// Batch norm needs them. False: they stay 0.
  public let wantsChannelSums: Bool

  /// Keeps the buffers, of which `result` is overwritten and `sums` added to.
  public init(
    input: ConvolutionOutput, channels: Int, scale: Buffer<Float>?, shift: Buffer<Float>?, rectifier: Rectifier?,
    output: Buffer<Float>?, gradients: [Buffer<Float>], copies: [(grid: ActivationGrid, gradient: Buffer<Float>)],
    result: Buffer<Float>, rowsPerImage: Int, sums: NormalizationSums, wantsChannelSums: Bool
  ) {
    precondition(
      gradients.count <= 3 && copies.count <= 2, "an activation has at most three float and two quantized uses")
    self.input = input
    self.channels = channels
    self.scale = scale
    self.shift = shift
    self.rectifier = rectifier
    self.output = output
    self.gradients = gradients
    self.copies = copies
    self.result = result
    self.rowsPerImage = rowsPerImage
    self.sums = sums
    self.wantsChannelSums = wantsChannelSums
  }
}
