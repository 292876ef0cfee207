import CKernels
@_spi(Kernels) public import Tensor

/// Batch normalisation, rectification and quantization of `rows × channels` tensors.
extension CPUBackend {
  private func overRows(_ images: Int, rowsPerImage: Int, _ body: (_ first: Int64, _ count: Int64) -> Void) {
    overImages(images) { images, _ in
      body(Int64(images.lowerBound * rowsPerImage), Int64(images.count * rowsPerImage))
    }
  }

  /// Overwrites `sums`; a tensor's rows are its pixels. Accurate to about 1e-7, relatively.
  public func channelStatistics(
    _ input: Buffer<Float>, channels: Int, images: Int, rowsPerImage: Int, sums: ChannelSums
  ) {
    precondition(input.count >= images * rowsPerImage * channels)
    sums.prepare(channels: channels, BatchShare(images: images, of: processes))
    overLeaves(images) { slice, images, _ in
      normalization.statistics(
        input.pointer, Int32(channels), Int64(images.lowerBound * rowsPerImage), Int64(images.count * rowsPerImage),
        sums.slice(slice))
    }
  }

  /// Activations are rows × channels, `scale` and `shift` one a channel; overwrites `output` and the copies' levels.
  /// A NaN becomes level 0 and stays NaN in `output`.
  public func normalize(
    input: ConvolutionOutput, channels: Int, scale: Buffer<Float>?, shift: Buffer<Float>?, residual: Buffer<Float>?,
    rectifier: Rectifier?, output: Buffer<Float>?, copies: [(grid: ActivationGrid, levels: Buffer<UInt8>)], images: Int,
    rowsPerImage: Int
  ) {
    precondition(copies.count <= 2, "an activation is quantized in at most two ways")
    precondition(input.count >= images * rowsPerImage * channels)
    var arguments = sq_normalize()
    arguments.channels = Int32(channels)
    arguments.relu = rectifier == nil ? 0 : 1
    arguments.upper = rectifier?.upper ?? .infinity
    arguments.input = input.c
    arguments.scale = scale.map { UnsafePointer($0.pointer) }
    arguments.shift = shift.map { UnsafePointer($0.pointer) }
    arguments.residual = residual.map { UnsafePointer($0.pointer) }
    arguments.output = output?.pointer
    arguments.quantized_count = Int32(copies.count)
    if copies.count > 0 { arguments.quantized.0 = Self.c(copies[0]) }
    if copies.count > 1 { arguments.quantized.1 = Self.c(copies[1]) }
    overRows(images, rowsPerImage: rowsPerImage) { first, count in
      withUnsafePointer(to: arguments) { normalization.normalize($0, first, count) }
    }
  }

  private static func c(_ copy: (grid: ActivationGrid, levels: Buffer<UInt8>)) -> sq_quantized_output {
    sq_quantized_output(
      lower: copy.grid.lower, inverse_step: copy.grid.inverseStep, levels: copy.grid.levels,
      output: copy.levels.pointer)
  }

  /// Runs on the calling thread: calls for different slices may run at once, those for one slice may not.
  public func normalizeBackward(_ gradient: NormalizationGradient, images: Range<Int>, slice: Int) {
    let rows = gradient.rowsPerImage
    withUnsafePointer(to: gradient.c) {
      normalization.normalize_backward(
        $0, Int64(images.lowerBound * rows), Int64(images.count * rows),
        gradient.wantsChannelSums ? gradient.sums.channels.slice(slice) : nil, gradient.sums.ranges(slice))
    }
  }

  /// Runs on the pool, one task a slice.
  public func normalizeBackward(_ gradient: NormalizationGradient, images: Int) {
    gradient.sums.reset(images: images, over: processes)
    overLeaves(images) { slice, images, _ in normalizeBackward(gradient, images: images, slice: slice) }
  }

  /// All but the factors are rows × channels; overwrites `output`.
  public func channelAffine(
    _ operand: AffineGradient, output: Buffer<Float>, channels: Int, images: Int, rowsPerImage: Int
  ) {
    overRows(images, rowsPerImage: rowsPerImage) { first, count in
      normalization.channel_affine(
        operand.x.pointer, operand.y.c, operand.a.pointer, operand.b.pointer, operand.d.pointer, output.pointer,
        Int32(channels), first, count)
    }
  }

  /// Of all channels together, in one pass from the sums of values and squares; needs at least two elements.
  public func rangeStatistics(
    _ input: Buffer<Float>, images: Int, elementsPerImage: Int
  ) -> (minimum: Double, mean: Double, standardDeviation: Double) {
    precondition(input.count >= images * elementsPerImage)
    let results = rangePartials.pointer
    overLeaves(images) { slice, images, _ in
      normalization.range_statistics(
        input.pointer, Int64(images.lowerBound * elementsPerImage), Int64(images.count * elementsPerImage),
        results + 3 * slice)
    }
    let share = BatchShare(images: images, of: processes)
    var minimum = share.leaves.reduce(Double.infinity) { min($0, results[3 * $1]) }
    share.addUp(results, stride: 3)
    let (sum, squares) = (results[1], results[2])
    withUnsafeMutablePointer(to: &minimum) {
      processes.combine(UnsafeMutableBufferPointer(start: $0, count: 1), of: share.tree) { own, other, isLeft in
        own[0] = isLeft ? min(own[0], other[0]) : min(other[0], own[0])
      }
    }
    let count = Double(images * elementsPerImage)
    let variance = max(0, (squares - sum * sum / count) / (count - 1))
    return (minimum, sum / count, variance.squareRoot())
  }

  /// Overwrites the first `images` images of `output`.
  public func multiply(
    _ input: Buffer<Float>, by factors: Buffer<Float>, output: Buffer<Float>, images: Int, elementsPerImage: Int
  ) {
    let count = images * elementsPerImage
    precondition(input.count >= count && factors.count >= count && output.count >= count)
    let (from, by, to) = (input.pointer, factors.pointer, output.pointer)
    overRows(images, rowsPerImage: elementsPerImage) { first, count in
      for index in Int(first)..<Int(first + count) { to[index] = from[index] * by[index] }
    }
  }

  /// Overwrites `values`.
  public func dequantize(
    _ levels: Buffer<UInt8>, step: Float, values: Buffer<Float>, images: Int, elementsPerImage: Int
  ) {
    precondition(levels.count >= images * elementsPerImage && values.count >= images * elementsPerImage)
    let from = levels.pointer
    let to = values.pointer
    overRows(images, rowsPerImage: elementsPerImage) { first, count in
      for index in Int(first)..<Int(first + count) { to[index] = Float(from[index]) * step }
    }
  }
}

extension ConvolutionOutput {
  var count: Int {
    switch self {
    case .floats(let buffer): buffer.count
    case .sums(let buffer, _): buffer.count
    }
  }

  /// Valid as long as the buffers are.
  var c: sq_channels {
    switch self {
    case .floats(let buffer): sq_channels(floats: UnsafePointer(buffer.pointer), sums: nil, unit: 1)
    case .sums(let buffer, let unit): sq_channels(floats: nil, sums: UnsafePointer(buffer.pointer), unit: unit[0])
    }
  }
}

extension NormalizationGradient {
  /// Valid as long as the buffers are.
  var c: sq_normalize_backward {
    var c = sq_normalize_backward()
    c.channels = Int32(channels)
    c.relu = rectifier == nil ? 0 : 1
    c.upper = rectifier?.upper ?? .infinity
    c.input = input.c
    c.scale = scale.map { UnsafePointer($0.pointer) }
    c.shift = shift.map { UnsafePointer($0.pointer) }
    c.output = output.map { UnsafePointer($0.pointer) }
    if gradients.count > 0 { c.gradient.0 = UnsafePointer(gradients[0].pointer) }
    if gradients.count > 1 { c.gradient.1 = UnsafePointer(gradients[1].pointer) }
    if gradients.count > 2 { c.gradient.2 = UnsafePointer(gradients[2].pointer) }
    c.quantized_count = Int32(copies.count)
    if copies.count > 0 { c.quantized.0 = Self.c(copies[0]) }
    if copies.count > 1 { c.quantized.1 = Self.c(copies[1]) }
    c.pre_gradient = result.pointer
    return c
  }

  private static func c(_ copy: (grid: ActivationGrid, gradient: Buffer<Float>)) -> sq_quantized_gradient {
    sq_quantized_gradient(
      lower: copy.grid.lower, inverse_step: copy.grid.inverseStep, levels: copy.grid.levels,
      gradient_scale: copy.grid.gradientScale, gradient: UnsafePointer(copy.gradient.pointer))
  }
}
