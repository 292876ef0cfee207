public import Tensor

/// What networks run on: memory, and operations on it. Nothing above this module looks behind it.
///
/// `CPUBackend` is the one implementation. A second one, for a GPU for instance, provides
/// - memory (`allocate`) that its kernels reach and whose elements the host can read and write through `Buffer`'s own
///   members, at any time between two operations: that is how weights are loaded, written and looked at;
/// - a convolution for every shape (`makeConvolution`): forward in floats, and in integers for the shapes that
///   `supportsIntegers` accepts, with the sums of every output channel as a by-product; backward with an output gradient
///   that may be affine in two tensors, a callback after every piece of the input gradient (one piece, the whole batch, will
///   do), and a weight gradient that leaves out frozen weights;
/// - the passes of `normalize` and `normalizeBackward`, per-channel sums and affine combinations, and the range of a tensor;
/// - pooling for means and maxima, and the shortcut without parameters, each with its way back; products of two tensors;
/// - softmax cross-entropy with ranks; quantization of weights, its straight-through gradient and the freezing rule; stochastic
///   gradient descent and Adam;
/// - results that are the same bits in every run: sums are formed in an order that depends on the batch alone.
///
/// Operations read and write the first `images` images of their tensors, which have room for a batch. They return when their
/// results can be read. Those on weights, and what a convolution does before its passes, are called from tasks of `pool` for
/// several layers at once; the others are not. Counts that do not fit are a programmer's mistake and stop the program.
public protocol Backend: AnyObject {
  /// Whose last bits results carry: runs record it, and go on with another one to rounding only.
  var arithmeticName: String { get }
  /// Where seconds go.
  var clock: StepClock { get }

  // MARK: Memory

  /// Zeros.
  func allocate<Element: BitwiseCopyable>(_ type: Element.Type, count: Int) -> Buffer<Element>
  /// The host's threads, on which batches are prepared.
  var pool: ThreadPool { get }
  /// Of weight gradients that wait to be added up, for all threads together.
  var partialSumBytes: Int { get }
  /// Those among which the images of every pass are divided: operations work on this process's images alone (`share`), and
  /// sums are over all of them.
  var processes: any Communicator { get }

  // MARK: Convolution

  /// For calls of up to as many images as the shape's batch has. `gradients` is how weight gradients are formed from levels;
  /// where a shape has no kernel for it they are formed in floats.
  func makeConvolution(_ shape: ConvolutionShape, gradients: LevelGradients) -> any ConvolutionOperation
  /// Whether levels up to these magnitudes can be convolved exactly in integers.
  func supportsIntegers(_ shape: ConvolutionShape, maximumInput: Int, maximumWeight: Int) -> Bool

  // MARK: Normalisation and quantization of activations

  /// Sums of each channel's values and squares.
  func channelStatistics(
    _ input: Buffer<Float>, channels: Int, images: Int, rowsPerImage: Int, sums: ChannelSums)
  /// Smallest value, mean and standard deviation (n − 1) of the elements.
  func rangeStatistics(
    _ input: Buffer<Float>, images: Int, elementsPerImage: Int
  ) -> (minimum: Double, mean: Double, standardDeviation: Double)
  /// z = scale[c] · input + shift[c] (+ residual), rectified where asked; written as it is (`output`) and quantized
  /// (`copies`, at most two). Without `scale` and `shift`: 1 and 0.
  func normalize(
    input: ConvolutionOutput, channels: Int, scale: Buffer<Float>?, shift: Buffer<Float>?, residual: Buffer<Float>?,
    rectifier: Rectifier?, output: Buffer<Float>?, copies: [(grid: ActivationGrid, levels: Buffer<UInt8>)], images: Int,
    rowsPerImage: Int)
  /// Back through `normalize`, for the whole batch; begins the sums.
  func normalizeBackward(_ gradient: NormalizationGradient, images: Int)
  /// The same for some images, whose share is added to the sums of a slice; after `NormalizationSums.reset`.
  func normalizeBackward(_ gradient: NormalizationGradient, images: Range<Int>, slice: Int)
  /// output = a[c] · x + b[c] · y + d[c]; `output` may be `x`.
  func channelAffine(_ operand: AffineGradient, output: Buffer<Float>, channels: Int, images: Int, rowsPerImage: Int)
  /// values = level · step
  func dequantize(
    _ levels: Buffer<UInt8>, step: Float, values: Buffer<Float>, images: Int, elementsPerImage: Int)

  // MARK: Dropout

  /// output = input · factors, element by element; `output` may be one of them.
  func multiply(
    _ input: Buffer<Float>, by factors: Buffer<Float>, output: Buffer<Float>, images: Int, elementsPerImage: Int)

  // MARK: Pooling

  /// Means over windows; padding counts as zeros.
  func averagePool(_ shape: ConvolutionShape, input: Buffer<Float>, output: Buffer<Float>, images: Int)
  /// Overwrites the input gradient; each position of a window gets an equal share, padding's is lost.
  func averagePoolBackward(
    _ shape: ConvolutionShape, outputGradient: Buffer<Float>, inputGradient: Buffer<Float>, images: Int)
  /// Maxima over windows; padding is ignored. `winners` remembers which position won.
  func maxPool(
    _ shape: ConvolutionShape, input: Buffer<Float>, output: Buffer<Float>, winners: Buffer<UInt8>, images: Int)
  /// Overwrites the input gradient: an output's gradient goes to the position that won. `winners` is `maxPool`'s.
  func maxPoolBackward(
    _ shape: ConvolutionShape, outputGradient: Buffer<Float>, winners: Buffer<UInt8>, inputGradient: Buffer<Float>,
    images: Int)
  /// Every stride-th pixel, with zero channels in equal numbers on both sides.
  func padShortcut(_ shape: ConvolutionShape, input: Buffer<Float>, output: Buffer<Float>, images: Int)
  /// Overwrites the input gradient, with zeros at the pixels that were left out.
  func padShortcutBackward(
    _ shape: ConvolutionShape, outputGradient: Buffer<Float>, inputGradient: Buffer<Float>, images: Int)

  // MARK: Loss

  /// Softmax cross-entropy in nats: one loss and one rank (how many classes beat the label) an image, and the gradient of the
  /// batch's mean loss where `gradient` is given.
  func softmaxCrossEntropy(
    logits: Buffer<Float>, labels: Buffer<Int32>, classes: Int, images: Int, total: Int, losses: Buffer<Double>,
    ranks: Buffer<Int32>, gradient: Buffer<Float>?)

  // MARK: Weights

  /// Overwrites `values` and, where given, `levels`, which needs `grid.levelsFitByte`.
  func quantize(_ grid: WeightGrid, weights: Buffer<Float>, values: Buffer<Float>, levels: Buffer<Int8>?)
  /// Advances a layer's freezing state and the history of its levels by one forward pass. What `frozen` holds beyond the
  /// history counts as frozen in this pass.
  /// - Returns: how many weights are frozen now, and how many frozen ones changed level in this pass.
  func updateFreezing(
    _ grid: WeightGrid, step: FreezingStep, weights: Buffer<Float>, distance: Buffer<Float>,
    previousIndex: Buffer<Int16>, frozen: Buffer<UInt8>, history: LevelHistory
  ) -> (frozen: Int, levelMoves: Int)
  /// Back through weight quantization by the straight-through rule; `weightGradient` may be `valueGradient`.
  /// - Returns: the sums over in-range weights that a learned range needs, over frozen ones too unless `skipFrozen`.
  func straightThrough(
    _ grid: WeightGrid, weights: Buffer<Float>, valueGradient: Buffer<Float>, scale: Float, frozen: Buffer<UInt8>?,
    skipFrozen: Bool, weightGradient: Buffer<Float>
  ) -> RangeSums
  /// Σ first · second, in double precision.
  func dotProduct(_ first: Buffer<Float>, _ second: Buffer<Float>) -> Double
  /// PyTorch's SGD on some elements; `velocity` nil: no momentum. Frozen weights keep their value.
  func sgd(
    _ parameter: Parameter, _ elements: Range<Int>, velocity: Buffer<Float>?, rate: Float, momentum: Float,
    weightDecay: Float)
  /// On some elements: Kingma & Ba 2015, as PyTorch has it: w −= rate · m̂ / (sqrt(v̂) + ε), the moments m (`first`) and v (`second`) starting
  /// from zeros. Frozen weights keep their value and moments.
  /// - Parameter step: 1-based, for the moments' bias correction.
  func adam(
    _ parameter: Parameter, _ elements: Range<Int>, first: Buffer<Float>, second: Buffer<Float>, step: Int,
    rate: Double, beta1: Double, beta2: Double, epsilon: Double)
}

extension Backend {
  /// Which of a pass's images are this process's.
  public func share(of images: Int) -> Range<Int> { BatchTree(images: images).images(of: processes) }
}

/// One convolution of a network with its packed weights and index: takes its memory once, then runs without allocating.
public protocol ConvolutionOperation: AnyObject {
  /// Its `batch` is the most images of a call.
  var shape: ConvolutionShape { get }

  /// Takes over the weights of the following forward passes in floats.
  func pack(weights: Buffer<Float>)
  /// `sums`: where given, receives the sums of each output channel's values and squares.
  func forward(input: Buffer<Float>, bias: Buffer<Float>?, output: Buffer<Float>, images: Int, sums: ChannelSums?)
  /// Takes over the weights' levels for the following forward passes in integers.
  func pack(levels: Buffer<Int8>, maximumInput: Int, maximumWeight: Int)
  /// output = scale · (input levels ∗ weight levels) + bias, the sums exact. An output of sums, which have to fit 16 bits,
  /// takes `scale` as its unit and no bias.
  func forward(
    levels: Buffer<UInt8>, maximumInput: Int, maximumWeight: Int, scale: Float, bias: Buffer<Float>?,
    output: ConvolutionOutput, images: Int, sums: ChannelSums?)

  /// The gradients of the input (where `inputGradient` is given) and of the weights, times `scale`.
  ///
  /// The batch is worked through in pieces whose output gradient stays in the cache between the uses of it.
  /// - Parameters:
  ///   - scale: of the weight gradient; one level's value where the input is given as levels.
  ///   - sparse: only the gradients of the weights last indexed, the others are set to 0.
  ///   - eachPiece: called as soon as the input gradient of some images is known, with the slice of the batch that they belong
  ///     to (`BatchTree`); on several threads at once for different slices.
  @discardableResult
  func backward(
    outputGradient: OutputGradient, inputGradient: Buffer<Float>?, input: ConvolutionInput,
    weightGradient: Buffer<Float>, scale: Float, images: Int, sparse: Bool,
    eachPiece: (_ images: Range<Int>, _ slice: Int) -> Void
  ) -> BackwardSeconds
  /// Takes over the weights, as the gradients of the input need them, for the following backward passes.
  func packBackward(weights: Buffer<Float>)
  /// Indexes the weights that `frozen` (one byte a weight, nonzero = frozen) leaves to be computed.
  func index(frozen: Buffer<UInt8>)
  /// Marks (nonzero) weights whose gradients nobody reads: they are not sent to other processes. It may change between passes.
  var unread: Buffer<UInt8>? { get set }
}

/// How weight gradients are formed from an input of levels.
public enum LevelGradients: Sendable, Equatable {
  case float32
  /// The output gradient in 16-bit fixed point, with a unit for each channel of a few images; products with levels up to
  /// `maximumInput`, and their sums, are exact.
  case int16(maximumInput: Int)
}

/// What a weight gradient is formed from: the layer's input as floats, or as quantization levels.
public enum ConvolutionInput {
  case floats(Buffer<Float>)
  case levels(Buffer<UInt8>)
}

/// A tensor that batch norm reads: as floats, or where an integer convolution's sums fit 16 bits as those, with half of the
/// memory and nothing lost.
public enum ConvolutionOutput {
  case floats(Buffer<Float>)
  /// unit[0] · sums
  case sums(Buffer<Int16>, unit: Buffer<Float>)
}

/// The gradient of a convolution's output.
public enum OutputGradient {
  case buffer(Buffer<Float>)
  /// Computed where it is used.
  case affine(AffineGradient)
}

/// a[c] · x + b[c] · y + d[c] for the channel c of each element.
public struct AffineGradient {
  /// Rows × channels; a row is a pixel of an image.
  public let x: Buffer<Float>
  /// Of the same form as `x`.
  public let y: ConvolutionOutput
  /// The factor of x, one a channel.
  public let a: Buffer<Float>
  /// The factor of y, one a channel.
  public let b: Buffer<Float>
  /// What is added, one a channel.
  public let d: Buffer<Float>

  /// Keeps the buffers, which are read where the gradient is used: they must not change before.
  public init(x: Buffer<Float>, y: ConvolutionOutput, a: Buffer<Float>, b: Buffer<Float>, d: Buffer<Float>) {
    self.x = x
    self.y = y
    self.a = a
    self.b = b
    self.d = d
  }
}

/// Seconds that the parts of a convolution's backward pass took.
public struct BackwardSeconds: Sendable, BitwiseCopyable {
  /// The output gradient, where it is affine, and what was called for each piece.
  public var normalization = 0.0
  /// 0 or next to it where no input gradient was asked for.
  public var inputGradient = 0.0
  /// Dense or sparse, as it was asked for.
  public var weightGradient = 0.0
}
