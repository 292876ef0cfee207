package import Kernels
public import Tensor

/// Batch normalisation, then an optional residual and an optional rectifier; writes its output as floats, quantized, or
/// both, as the layers behind it need, in one pass.
///
/// y = γ·(x − μ)/sqrt(σ² + ε) + β with ε = 1e-5; running statistics move by 0.1, the running variance with n − 1
/// (PyTorch's defaults).
public final class BatchNormalization: Layer, GradientCollector {
  public let name: String
  public let input: Activation
  public let residual: Activation?
  public let relu: Bool
  public let output: Activation
  public let weight: Parameter
  public let bias: Parameter
  public let runningMean: Buffer<Float>
  public let runningVariance: Buffer<Float>

  public static let epsilon = 1e-5
  public static let momentum = 0.1

  private let scale: Buffer<Float>
  private let shift: Buffer<Float>
  private let mean: Buffer<Double>
  private let inverseDeviation: Buffer<Double>
  private let factors: (a: Buffer<Float>, b: Buffer<Float>, d: Buffer<Float>)
  private let inputSums: ChannelSums
  private let inputHasSums: Bool
  /// Whether the convolution behind collects the gradient, piece by piece as it computes it.
  private var isCollectedInPieces = false
  private var preGradient: GradientSlot?
  private var inputGradient: GradientSlot?

  public init(name: String, batch: Int, input: Activation, residual: Activation?, relu: Bool) {
    precondition(
      residual == nil
        || (residual!.height == input.height && residual!.width == input.width && residual!.channels == input.channels),
      "a residual has the shape of what it is added to")
    self.name = name
    self.input = input
    self.residual = residual
    self.relu = relu
    let channels = input.channels
    output = Activation(batch: batch, height: input.height, width: input.width, channels: channels)
    weight = Parameter(name: "\(name).weight", shape: [channels], group: .batchNorm)
    bias = Parameter(name: "\(name).bias", shape: [channels], group: .batchNorm)
    for channel in 0..<channels { weight.value[channel] = 1 }
    runningMean = Buffer(count: channels)
    runningVariance = Buffer([Float](repeating: 1, count: channels))
    scale = Buffer(count: channels)
    shift = Buffer(count: channels)
    mean = Buffer(count: channels)
    inverseDeviation = Buffer(count: channels)
    factors = (Buffer(count: channels), Buffer(count: channels), Buffer(count: channels))
    inputHasSums = input.sums != nil
    inputSums = input.sums ?? ChannelSums(channels: channels)
    input.requireValues()
    residual?.requireValues()
    // With a residual, the backward pass reads the output instead of computing it again.
    if residual != nil { output.requireValues() }
  }

  public var parameters: [Parameter] { [weight, bias] }

  public func forward(_ pass: ForwardPass) {
    pass.context.measure(.normalizationAndQuantization) {
      let channels = input.channels
      if pass.isTraining {
        if !inputHasSums {
          pass.context.channelStatistics(
            input.values!, channels: channels, images: pass.images, rowsPerImage: input.rowsPerImage, sums: inputSums)
        }
        let count = Double(pass.images * input.rowsPerImage)
        for channel in 0..<channels {
          let (sum, squares) = inputSums[channel]
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
        input: input.values!, scale: scale, shift: shift, residual: residual?.values, relu: relu, pass: pass)
    }
  }

  private func set(_ channel: Int, mean: Double, variance: Double) {
    let inverse = 1 / (variance + Self.epsilon).squareRoot()
    self.mean[channel] = mean
    inverseDeviation[channel] = inverse
    scale[channel] = Float(Double(weight.value[channel]) * inverse)
    shift[channel] = Float(Double(bias.value[channel]) - mean * Double(weight.value[channel]) * inverse)
  }

  public func planBackward(_ planner: GradientPlanner) {
    let pre = output.planCollection(planner)
    preGradient = pre
    if let convolution = output.lastContributor {
      convolution.collector = self
      isCollectedInPieces = true
    }
    residual?.addGradient(pre)
    if input.takesDeferredGradient {
      if residual != nil { planner.retain(pre) }
      input.deferredGradient = DeferredGradient(slot: pre, values: input.values!, factors: factors)
    } else if residual != nil {
      let gradient = planner.acquire(count: input.count)
      inputGradient = gradient
      input.addGradient(gradient)
    } else {
      inputGradient = pre
      input.addGradient(pre)
    }
  }

  package var gradientCollection: NormalizationGradient {
    output.gradientCollection(
      input: input.values!, scale: scale, shift: shift, relu: relu, preGradient: preGradient!.buffer,
      wantsChannelSums: true)
  }

  public func backward(_ pass: BackwardPass) {
    pass.context.measure(.normalizationAndQuantization) {
      let channels = input.channels
      let pre = preGradient!.buffer
      if !isCollectedInPieces { pass.context.normalizeBackward(gradientCollection, images: pass.images) }
      output.finishCollecting()
      let count = Double(pass.images * input.rowsPerImage)
      for channel in 0..<channels {
        let (sum, sumTimesInput) = output.gradientSums.channels[channel]
        let mean = mean[channel]
        let inverse = inverseDeviation[channel]
        let weightGradient = (sumTimesInput - mean * sum) * inverse
        weight.gradient[channel] = Float(weightGradient)
        bias.gradient[channel] = Float(sum)
        let a = Double(weight.value[channel]) * inverse
        factors.a[channel] = Float(a)
        factors.b[channel] = Float(-a * inverse * weightGradient / count)
        factors.d[channel] = Float(a * (inverse * mean * weightGradient - sum) / count)
      }
      guard let inputGradient else { return }
      pass.context.channelAffine(
        x: pre, y: input.values!, a: factors.a, b: factors.b, d: factors.d, output: inputGradient.buffer,
        channels: channels, images: pass.images, rowsPerImage: input.rowsPerImage)
    }
  }
}
