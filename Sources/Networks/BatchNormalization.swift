public import Kernels
public import Tensor

/// Batch normalisation, then an optional residual and an optional rectifier; writes its output as floats, quantized, or
/// both, as the layers behind it need, in one pass.
///
/// y = γ·(x − μ)/sqrt(σ² + ε) + β with ε = 1e-5; running statistics move by 0.1, the running variance with n − 1
/// (Ioffe & Szegedy 2015, with PyTorch's defaults).
///
/// The way back takes two passes: the first gives g, the gradient of y, with Σ g and Σ g·x of each channel; the second,
/// which needs those sums, gives the input's as a·g + b·x + d.
public final class BatchNormalization: Layer {
  /// PyTorch's, for example "layer1.0.bn1".
  public let name: String
  /// x, read as floats or as a convolution's sums.
  public let input: Activation
  /// Added before the rectifier, of the output's shape; nil: nothing is added.
  public let residual: Activation?
  /// Comes last; nil: none does.
  public let rectifier: Rectifier?
  /// Floats, levels or both, as its readers need them.
  public let output: Activation
  /// γ, one a channel; starts at 1.
  public let weight: Parameter
  /// β, one a channel; starts at 0.
  public let bias: Parameter
  /// Of each channel, starts at 0: what evaluation takes for μ.
  public let runningMean: Buffer<Float>
  /// Of each channel, with n − 1, starts at 1: what evaluation takes for σ².
  public let runningVariance: Buffer<Float>

  /// ε, added to the variance: PyTorch's default.
  public static let epsilon = 1e-5
  /// The share of a batch's statistics in the running ones: PyTorch's default.
  public static let momentum = 0.1

  private let scale: Buffer<Float>
  private let shift: Buffer<Float>
  private let mean: Buffer<Double>
  private let inverseDeviation: Buffer<Double>
  private let backwardPasses: BackwardPasses
  private let sums: ChannelSums
  /// Whether the layer before has formed `sums`.
  private let hasSums: Bool

  /// How the two passes of the way back are run.
  package struct BackwardPasses {
    /// False: the convolution behind runs `firstPass`, piece by piece.
    var runsFirst: Bool
    /// The second pass with the memory of its factors, which `backward` sets; x is the first one's result.
    var second: AffineGradient
    /// Where the second pass writes; nil: the convolution before runs it.
    var inputGradient: Buffer<Float>?

    package init(runsFirst: Bool, second: AffineGradient, inputGradient: Buffer<Float>?) {
      self.runsFirst = runsFirst
      self.second = second
      self.inputGradient = inputGradient
    }
  }

  /// - Parameter sums: of the input, where the layer before forms them in training.
  package init(
    name: String, input: Activation, residual: Activation?, rectifier: Rectifier?, output: Activation,
    sums: ChannelSums?,
    backwardPasses: BackwardPasses, backend: any Backend
  ) {
    self.name = name
    self.input = input
    self.residual = residual
    self.rectifier = rectifier
    self.output = output
    self.backwardPasses = backwardPasses
    let channels = input.channels
    weight = Parameter(name: "\(name).weight", shape: [channels], group: .batchNorm)
    bias = Parameter(name: "\(name).bias", shape: [channels], group: .batchNorm)
    runningMean = backend.allocate(Float.self, count: channels)
    runningVariance = backend.allocate(Float.self, count: channels)
    for channel in 0..<channels {
      weight.value[channel] = 1
      runningVariance[channel] = 1
    }
    scale = backend.allocate(Float.self, count: channels)
    shift = backend.allocate(Float.self, count: channels)
    mean = backend.allocate(Double.self, count: channels)
    inverseDeviation = backend.allocate(Double.self, count: channels)
    hasSums = sums != nil
    self.sums = sums ?? ChannelSums(channels: channels)
  }

  /// γ, then β.
  public var parameters: [Parameter] { [weight, bias] }

  /// In training normalizes by the batch's statistics (σ² with n) and moves the running ones; in evaluation by those.
  /// Overwrites the output. In training a NaN in the input makes its whole channel NaN.
  public func forward(_ pass: ForwardPass) {
    pass.backend.measure(.normalizationAndQuantization) {
      let channels = input.channels
      if pass.isTraining {
        if !hasSums {
          pass.backend.channelStatistics(
            input.floats, channels: channels, images: pass.images, rowsPerImage: input.rowsPerImage, sums: sums)
        }
        let count = Double(pass.images * input.rowsPerImage)
        for channel in 0..<channels {
          let (sum, squares) = sums[channel]
          let mean = sum / count
          let variance = max(0, squares / count - mean * mean)
          // NaN must reach the loss: max(0, NaN) is 0.
          let checked = squares.isNaN ? Double.nan : variance
          set(channel, mean: mean, variance: checked)
          runningMean[channel] += Float(Self.momentum) * (Float(mean) - runningMean[channel])
          let unbiased = checked * count / max(1, count - 1)
          runningVariance[channel] += Float(Self.momentum) * (Float(unbiased) - runningVariance[channel])
        }
      } else {
        for channel in 0..<channels {
          set(channel, mean: Double(runningMean[channel]), variance: Double(runningVariance[channel]))
        }
      }
      output.emit(
        input: input.convolutionOutput, scale: scale, shift: shift, residual: residual?.floats, rectifier: rectifier,
        pass: pass)
    }
  }

  private func set(_ channel: Int, mean: Double, variance: Double) {
    let inverse = 1 / (variance + Self.epsilon).squareRoot()
    self.mean[channel] = mean
    inverseDeviation[channel] = inverse
    scale[channel] = Float(Double(weight.value[channel]) * inverse)
    shift[channel] = Float(Double(bias.value[channel]) - mean * Double(weight.value[channel]) * inverse)
  }

  /// To be run over the batch before `backward`, unless that runs it.
  var firstPass: NormalizationGradient {
    output.gradient(
      input: input.convolutionOutput, scale: scale, shift: shift, rectifier: rectifier, result: backwardPasses.second.x,
      wantsChannelSums: true)
  }

  /// Back through the last training forward: overwrites the gradients of γ, β and, unless the convolution before does
  /// it, of the input, and sets those of the quantizers that read the output.
  public func backward(_ pass: BackwardPass) {
    pass.backend.measure(.normalizationAndQuantization) {
      if backwardPasses.runsFirst { pass.backend.normalizeBackward(firstPass, images: pass.images) }
      output.setQuantizerGradients()
      let second = backwardPasses.second
      let count = Double(pass.images * input.rowsPerImage)
      for channel in 0..<input.channels {
        let (sum, sumTimesInput) = output.gradientSums.channels[channel]
        let mean = mean[channel]
        let inverse = inverseDeviation[channel]
        let weightGradient = (sumTimesInput - mean * sum) * inverse
        weight.gradient[channel] = Float(weightGradient)
        bias.gradient[channel] = Float(sum)
        let a = Double(weight.value[channel]) * inverse
        second.a[channel] = Float(a)
        second.b[channel] = Float(-a * inverse * weightGradient / count)
        second.d[channel] = Float(a * (inverse * mean * weightGradient - sum) / count)
      }
      guard let inputGradient = backwardPasses.inputGradient else { return }
      pass.backend.channelAffine(
        second, output: inputGradient, channels: input.channels, images: pass.images, rowsPerImage: input.rowsPerImage)
    }
  }
}
