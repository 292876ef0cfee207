import CKernels
public import Tensor

/// How an activation x becomes a level: rint(clamp((x − lower) · inverseStep, 0, levels)), half to even.
public struct ActivationGrid: Sendable, Equatable {
  public var lower: Float
  public var inverseStep: Float
  /// 2^b − 1
  public var levels: Float
  /// The factor from the gradient of the quantized value to that of x, in range.
  public var gradientScale: Float

  public init(lower: Float, inverseStep: Float, levels: Float, gradientScale: Float) {
    self.lower = lower
    self.inverseStep = inverseStep
    self.levels = levels
    self.gradientScale = gradientScale
  }
}

/// Sums over the in-range elements that the gradients of a quantizer's range need.
public struct RangeSums: Sendable, Equatable {
  /// Σ g
  public var gradient: Double
  /// Σ g · x
  public var gradientTimesValue: Double

  public init(gradient: Double = 0, gradientTimesValue: Double = 0) {
    self.gradient = gradient
    self.gradientTimesValue = gradientTimesValue
  }
}

/// The way back through `normalize` to scale · input + shift: adds up the gradients of z and those that pass its quantized
/// copies, masks them by the rectifier, and forms the sums that batch norm and the quantizers need.
public struct NormalizationGradient {
  let c: sq_normalize_backward
  let rowsPerImage: Int
  let wantsChannelSums: Bool
  public let sums: NormalizationSums

  /// - Parameters:
  ///   - output: z as kept by the forward pass; nil: recomputed, which a residual forbids.
  ///   - gradients: of z as floats, at most three; their sum counts.
  ///   - copies: at most two, each with the gradient of its quantized values.
  ///   - preGradient: receives the gradient of scale · input + shift; may be one of the others.
  ///   - sums: receives Σ g · x of the copies and, if `wantsChannelSums`, Σ g and Σ g · input per channel.
  public init(
    input: Buffer<Float>, channels: Int, scale: Buffer<Float>?, shift: Buffer<Float>?, relu: Bool,
    output: Buffer<Float>?, gradients: [Buffer<Float>], copies: [(grid: ActivationGrid, gradient: Buffer<Float>)],
    preGradient: Buffer<Float>, rowsPerImage: Int, sums: NormalizationSums, wantsChannelSums: Bool
  ) {
    precondition(
      gradients.count <= 3 && copies.count <= 2, "an activation has at most three float and two quantized uses")
    var c = sq_normalize_backward()
    c.channels = Int32(channels)
    c.relu = relu ? 1 : 0
    c.input = UnsafePointer(input.pointer)
    c.scale = scale.map { UnsafePointer($0.pointer) }
    c.shift = shift.map { UnsafePointer($0.pointer) }
    c.output = output.map { UnsafePointer($0.pointer) }
    if gradients.count > 0 { c.gradient.0 = UnsafePointer(gradients[0].pointer) }
    if gradients.count > 1 { c.gradient.1 = UnsafePointer(gradients[1].pointer) }
    if gradients.count > 2 { c.gradient.2 = UnsafePointer(gradients[2].pointer) }
    c.quantized_count = Int32(copies.count)
    if copies.count > 0 { c.quantized.0 = Self.c(copies[0]) }
    if copies.count > 1 { c.quantized.1 = Self.c(copies[1]) }
    c.pre_gradient = preGradient.pointer
    self.c = c
    self.rowsPerImage = rowsPerImage
    self.sums = sums
    self.wantsChannelSums = wantsChannelSums
  }

  private static func c(_ copy: (grid: ActivationGrid, gradient: Buffer<Float>)) -> sq_quantized_gradient {
    sq_quantized_gradient(
      lower: copy.grid.lower, inverse_step: copy.grid.inverseStep, levels: copy.grid.levels,
      gradient_scale: copy.grid.gradientScale, gradient: UnsafePointer(copy.gradient.pointer))
  }
}

/// What `NormalizationGradient` adds up, kept per slice of the batch.
public final class NormalizationSums {
  /// Σ g and Σ g · input.
  public let channels: ChannelSums
  private let channelCount: Int
  private let rangeSums = Buffer<Double>(count: ComputeContext.maximumSlices * 4)
  private var slices = 0

  public init(channels: Int) {
    channelCount = channels
    self.channels = ChannelSums(channels: channels)
  }

  /// Begins a new sum over a batch of so many slices.
  public func reset(slices: Int) {
    channels.prepare(channels: channelCount, slices: slices)
    for index in 0..<slices * 2 * channelCount { channels.slice(0)[index] = 0 }
    for index in 0..<slices * 4 { rangeSums[index] = 0 }
    self.slices = slices
  }

  func ranges(_ slice: Int) -> UnsafeMutablePointer<Double> { rangeSums.pointer + 4 * slice }

  /// The sums of a quantized copy.
  public func range(_ copy: Int) -> RangeSums {
    var total = RangeSums()
    for slice in 0..<slices {
      total.gradient += rangeSums[4 * slice + 2 * copy]
      total.gradientTimesValue += rangeSums[4 * slice + 2 * copy + 1]
    }
    return total
  }
}

/// Batch normalisation, rectification and quantization of `rows × channels` tensors.
extension ComputeContext {
  /// Rows of a slice are whole images, so that a batch is cut where convolutions cut it.
  private func overRows(
    _ images: Int, rowsPerImage: Int, _ body: (_ slice: Int, _ first: Int64, _ count: Int64) -> Void
  ) {
    let slices = Self.slices(of: images)
    pool.run(slices) { slice, _ in
      let range = Self.slice(slice, of: slices, count: images)
      body(slice, Int64(range.lowerBound * rowsPerImage), Int64(range.count * rowsPerImage))
    }
  }

  /// Sums of each channel's values and squares.
  public func channelStatistics(
    _ input: Buffer<Float>, channels: Int, images: Int, rowsPerImage: Int, sums: ChannelSums
  ) {
    precondition(input.count >= images * rowsPerImage * channels)
    sums.prepare(channels: channels, slices: Self.slices(of: images))
    overRows(images, rowsPerImage: rowsPerImage) { slice, first, count in
      normalization.statistics(input.pointer, Int32(channels), first, count, sums.slice(slice))
    }
  }

  /// z = scale · input + shift (+ residual), rectified where asked; written as it is (`output`) and quantized (`copies`).
  public func normalize(
    input: Buffer<Float>, channels: Int, scale: Buffer<Float>?, shift: Buffer<Float>?, residual: Buffer<Float>?,
    relu: Bool, output: Buffer<Float>?, copies: [(grid: ActivationGrid, levels: Buffer<UInt8>)], images: Int,
    rowsPerImage: Int
  ) {
    precondition(copies.count <= 2, "an activation is quantized in at most two ways")
    precondition(input.count >= images * rowsPerImage * channels)
    var arguments = sq_normalize()
    arguments.channels = Int32(channels)
    arguments.relu = relu ? 1 : 0
    arguments.input = UnsafePointer(input.pointer)
    arguments.scale = scale.map { UnsafePointer($0.pointer) }
    arguments.shift = shift.map { UnsafePointer($0.pointer) }
    arguments.residual = residual.map { UnsafePointer($0.pointer) }
    arguments.output = output?.pointer
    arguments.quantized_count = Int32(copies.count)
    if copies.count > 0 { arguments.quantized.0 = Self.c(copies[0]) }
    if copies.count > 1 { arguments.quantized.1 = Self.c(copies[1]) }
    overRows(images, rowsPerImage: rowsPerImage) { _, first, count in
      withUnsafePointer(to: arguments) { normalization.normalize($0, first, count) }
    }
  }

  private static func c(_ copy: (grid: ActivationGrid, levels: Buffer<UInt8>)) -> sq_quantized_output {
    sq_quantized_output(
      lower: copy.grid.lower, inverse_step: copy.grid.inverseStep, levels: copy.grid.levels,
      output: copy.levels.pointer)
  }

  /// Back through `normalize`, for some images of the batch: may be called for all of them at once or piece by piece.
  public func normalizeBackward(_ gradient: NormalizationGradient, images: Range<Int>, slice: Int) {
    let rows = gradient.rowsPerImage
    withUnsafePointer(to: gradient.c) {
      normalization.normalize_backward(
        $0, Int64(images.lowerBound * rows), Int64(images.count * rows),
        gradient.wantsChannelSums ? gradient.sums.channels.slice(slice) : nil, gradient.sums.ranges(slice))
    }
  }

  /// The same for the whole batch.
  public func normalizeBackward(_ gradient: NormalizationGradient, images: Int) {
    let slices = Self.slices(of: images)
    gradient.sums.reset(slices: slices)
    pool.run(slices) { slice, _ in
      normalizeBackward(gradient, images: Self.slice(slice, of: slices, count: images), slice: slice)
    }
  }

  /// output = a[c] · x + b[c] · y + d[c]; `output` may be `x`.
  public func channelAffine(
    x: Buffer<Float>, y: Buffer<Float>, a: Buffer<Float>, b: Buffer<Float>, d: Buffer<Float>, output: Buffer<Float>,
    channels: Int, images: Int, rowsPerImage: Int
  ) {
    overRows(images, rowsPerImage: rowsPerImage) { _, first, count in
      normalization.channel_affine(
        x.pointer, y.pointer, a.pointer, b.pointer, d.pointer, output.pointer, Int32(channels), first, count)
    }
  }

  /// Smallest value, mean and standard deviation (n − 1) of the first `images × elementsPerImage` elements.
  public func rangeStatistics(
    _ input: Buffer<Float>, images: Int, elementsPerImage: Int
  ) -> (minimum: Double, mean: Double, standardDeviation: Double) {
    precondition(input.count >= images * elementsPerImage)
    let results = partialSums.pointer
    overRows(images, rowsPerImage: elementsPerImage) { slice, first, count in
      normalization.range_statistics(input.pointer, first, count, results + 3 * slice)
    }
    var minimum = Double.infinity
    var sum = 0.0
    var squares = 0.0
    for slice in 0..<Self.slices(of: images) {
      minimum = min(minimum, results[3 * slice])
      sum += results[3 * slice + 1]
      squares += results[3 * slice + 2]
    }
    let count = Double(images * elementsPerImage)
    let variance = max(0, (squares - sum * sum / count) / (count - 1))
    return (minimum, sum / count, variance.squareRoot())
  }
}
