public import Kernels
public import Quantization
public import Tables
import Tensor

/// Every convolution kernel on the shapes of a network, against this machine's peak and against its reference.
public struct KernelBenchmark: Sendable {
  /// Whose convolutions are measured: 128 images of 32×32 pixels (ResNet-20), 8 of 224×224 (the others; of MobileNetV2's,
  /// depthwise ones and their neighbours at each size).
  public enum Network: String, CaseIterable, Sendable {
    case resnet20
    case resnet18
    case mobilenetv2

    /// The distinct convolutions, with how often each occurs.
    var shapes: [(name: String, occurrences: Int, shape: ConvolutionShape)] {
      func conv(
        _ batch: Int, _ side: Int, _ input: Int, _ output: Int, kernel: Int = 3, stride: Int = 1, groups: Int = 1
      ) -> ConvolutionShape {
        ConvolutionShape(
          batch: batch, inputHeight: side, inputWidth: side, inputChannels: input, outputChannels: output,
          kernel: kernel, stride: stride, padding: kernel / 2, groups: groups)
      }
      func depthwise(_ side: Int, _ channels: Int, stride: Int = 1) -> ConvolutionShape {
        conv(8, side, channels, channels, stride: stride, groups: channels)
      }
      switch self {
      case .resnet20:
        return [
          ("32x32 3-16", 1, conv(128, 32, 3, 16)), ("32x32 16-16", 6, conv(128, 32, 16, 16)),
          ("32x32 16-32 /2", 1, conv(128, 32, 16, 32, stride: 2)), ("16x16 32-32", 5, conv(128, 16, 32, 32)),
          ("16x16 32-64 /2", 1, conv(128, 16, 32, 64, stride: 2)), ("8x8 64-64", 5, conv(128, 8, 64, 64)),
          ("32x32 16-32 1x1 /2", 1, conv(128, 32, 16, 32, kernel: 1, stride: 2)),
          ("linear 64-10", 1, conv(128, 1, 64, 10, kernel: 1)),
        ]
      case .resnet18:
        return [
          ("224x224 3-64 7x7 /2", 1, conv(8, 224, 3, 64, kernel: 7, stride: 2)),
          ("56x56 64-64", 4, conv(8, 56, 64, 64)),
          ("56x56 64-128 /2", 1, conv(8, 56, 64, 128, stride: 2)), ("28x28 128-128", 3, conv(8, 28, 128, 128)),
          ("28x28 128-256 /2", 1, conv(8, 28, 128, 256, stride: 2)), ("14x14 256-256", 3, conv(8, 14, 256, 256)),
          ("14x14 256-512 /2", 1, conv(8, 14, 256, 512, stride: 2)), ("7x7 512-512", 3, conv(8, 7, 512, 512)),
          ("56x56 64-128 1x1 /2", 1, conv(8, 56, 64, 128, kernel: 1, stride: 2)),
        ]
      case .mobilenetv2:
        return [
          ("112x112 depthwise 32", 1, depthwise(112, 32)), ("112x112 16-96 1x1", 1, conv(8, 112, 16, 96, kernel: 1)),
          ("112x112 depthwise 96 /2", 1, depthwise(112, 96, stride: 2)), ("56x56 depthwise 144", 1, depthwise(56, 144)),
          ("56x56 144-24 1x1", 1, conv(8, 56, 144, 24, kernel: 1)),
          ("56x56 depthwise 144 /2", 1, depthwise(56, 144, stride: 2)),
          ("28x28 depthwise 192", 2, depthwise(28, 192)),
          ("28x28 depthwise 192 /2", 1, depthwise(28, 192, stride: 2)),
          ("14x14 384-64 1x1", 3, conv(8, 14, 384, 64, kernel: 1)), ("14x14 depthwise 384", 4, depthwise(14, 384)),
          ("14x14 depthwise 576", 2, depthwise(14, 576)), ("7x7 depthwise 960", 3, depthwise(7, 960)),
          ("7x7 960-320 1x1", 1, conv(8, 7, 960, 320, kernel: 1)),
        ]
      }
    }
  }

  /// Each of its distinct shapes is measured once, however often it occurs.
  public var network: Network
  /// At least 1.
  public var threads: Int
  /// Timed runs of each kernel, at least 1, after one that is not timed.
  public var repetitions: Int
  /// One that is available; results are compared with `reference`, whichever it is.
  public var instructionSet: InstructionSet

  /// Measures nothing until `run` or `breakEven`.
  public init(network: Network, threads: Int, repetitions: Int, instructionSet: InstructionSet) {
    self.network = network
    self.threads = threads
    self.repetitions = repetitions
    self.instructionSet = instructionSet
  }

  private struct Row {
    var shape: String
    var kernel: String
    var milliseconds: Spread
    /// Floating-point (or equivalent integer) operations really done.
    var operations: Double
    /// Of operands and results, each counted once.
    var bytes: Double
    /// Largest deviation from the reference over the largest magnitude; NaN: not compared.
    var error: Double
    /// Against the dense weight gradient of the same shape; NaN elsewhere.
    var timeOfDense: Double
  }

  /// Columns: shape, kernel, milliseconds (median and quartiles), GFLOP/s, share of the FMA peak, arithmetic intensity, share
  /// of the roof over it (Williams, Waterman and Patterson, "Roofline", 2009), error, time against the dense weight gradient.
  public func run(on machine: MachinePeaks, progress: (String) -> Void = { _ in }) -> Table {
    var rows: [Row] = []
    for (name, _, shape) in network.shapes {
      progress("\(network.rawValue) \(name)")
      rows += measure(name, shape)
    }
    func rate(_ row: Row) -> Double { row.operations / (row.milliseconds.median * 1e-3) }
    func intensity(_ row: Row) -> Double { row.operations / row.bytes }
    return Table(
      title: "Kernels on \(network.rawValue)'s shapes, \(threads) threads, \(instructionSet.rawValue)",
      columns: [
        .init(
          "shape", description: "Image side, channels in and out, kernel where not 3x3, stride",
          .strings(rows.map(\.shape))),
        .init("kernel", description: "What is computed", .strings(rows.map(\.kernel))),
        .init(
          "milliseconds", unit: "ms", description: "Median of \(repetitions) repetitions", decimals: 3,
          .doubles(rows.map(\.milliseconds.median))),
        .init(
          "lower_quartile", unit: "ms", description: "Lower quartile", decimals: 3,
          .doubles(rows.map(\.milliseconds.lowerQuartile))),
        .init(
          "upper_quartile", unit: "ms", description: "Upper quartile", decimals: 3,
          .doubles(rows.map(\.milliseconds.upperQuartile))),
        .init(
          "gflops", unit: "GFLOP/s", description: "Operations really done a second", decimals: 1,
          .doubles(rows.map { rate($0) / 1e9 })),
        .init(
          "share_of_peak", description: "Of the measured float32 FMA peak of these threads", decimals: 2,
          .doubles(rows.map { rate($0) / machine.operations(threads: threads) })),
        .init(
          "intensity", unit: "FLOP/byte", description: "Operations for each byte of operands and result, counted once",
          decimals: 1, .doubles(rows.map(intensity))),
        .init(
          "share_of_roof", description: "Of what peak and copy bandwidth allow at that intensity", decimals: 2,
          .doubles(rows.map { rate($0) / machine.roof(intensity: intensity($0), threads: threads) })),
        .init(
          "error", description: "Largest deviation from the scalar reference over its largest magnitude",
          .doubles(rows.map(\.error))),
        .init(
          "time_of_dense", description: "Time over that of the dense weight gradient from the same input", decimals: 2,
          .doubles(rows.map(\.timeOfDense))),
      ])
  }

  private func measure(_ name: String, _ shape: ConvolutionShape) -> [Row] {
    let backend = CPUBackend(threads: threads, instructionSet: instructionSet)
    // The scalar reference is slow: it checks a few images of a shape of its own.
    var small = shape
    small.batch = min(shape.batch, max(1, 40_000_000 / shape.macs))
    let data = OperandSet(shape: shape)
    let reference = OperandSet(shape: small)
    let referenceBackend = CPUBackend(threads: threads, instructionSet: .reference)
    let referenceOperation = CPUConvolution(shape: small, backend: referenceBackend)
    /// What is timed, and the same for the few images.
    func tested(gradients: LevelGradients) -> (timed: CPUConvolution, checked: CPUConvolution) {
      (
        CPUConvolution(shape: shape, gradients: gradients, backend: backend),
        CPUConvolution(shape: small, gradients: gradients, backend: backend)
      )
    }
    let inFloats = tested(gradients: .float32)

    let dense = 2 * Double(shape.macs) * Double(shape.batch)
    var rows: [Row] = []
    func time(_ body: () -> Void) -> Spread {
      body()
      return Spread(
        (0..<repetitions).map { _ in
          let start = StepClock.now()
          body()
          return (StepClock.now() - start) * 1e3
        })
    }
    /// Runs `body` with the kernels under test and with the reference on the same few images; compares what it writes.
    func error(
      of checked: CPUConvolution, _ result: Buffer<Float>, _ body: (CPUConvolution, OperandSet) -> Void
    ) -> Double {
      body(checked, reference)
      let tested = result.array
      body(referenceOperation, reference)
      let expected = result.array
      var worst = 0.0
      var largest = 0.0
      for (a, b) in zip(tested, expected) {
        let deviation = abs(Double(a) - Double(b))
        if !(deviation <= worst) { worst = deviation }
        largest = max(largest, abs(Double(b)))
      }
      return largest == 0 ? worst : worst / largest
    }
    func add(
      _ kernel: String, by tested: (timed: CPUConvolution, checked: CPUConvolution)? = nil, share: Double = 1,
      dense denseTime: Spread? = nil, result: Buffer<Float>, bytes: Int, _ body: (CPUConvolution, OperandSet) -> Void
    ) -> Spread {
      let tested = tested ?? inFloats
      let error = error(of: tested.checked, result, body)
      let spread = time { body(tested.timed, data) }
      rows.append(
        Row(
          shape: name, kernel: kernel, milliseconds: spread, operations: dense * share, bytes: Double(bytes),
          error: error,
          timeOfDense: denseTime.map { spread.median / $0.median } ?? .nan))
      return spread
    }

    let (inputs, outputs, weights) = (shape.inputCount, shape.outputCount, shape.weightCount)
    _ = add("forward, float", result: reference.output, bytes: 4 * (inputs + weights + outputs)) { operation, data in
      operation.pack(weights: data.weights)
      operation.forward(input: data.input, bias: nil, output: data.output, images: operation.shape.batch, sums: nil)
    }
    for bits in [2, 4] {
      let maximumInput = (1 << bits) - 1
      let maximumWeight = 1 << (bits - 1)
      guard backend.supportsIntegers(shape, maximumInput: maximumInput, maximumWeight: maximumWeight) else { continue }
      data.fillLevels(bits: bits)
      reference.fillLevels(bits: bits)
      _ = add(
        "forward, \(bits)-bit integers", result: reference.output, bytes: inputs + weights + 4 * outputs
      ) { operation, data in
        operation.pack(levels: data.weightLevels, maximumInput: maximumInput, maximumWeight: maximumWeight)
        operation.forward(
          levels: data.levels, maximumInput: maximumInput, maximumWeight: maximumWeight, scale: 1, bias: nil,
          output: .floats(data.output), images: operation.shape.batch, sums: nil)
      }
    }
    _ = add("input gradient", result: reference.inputGradient, bytes: 4 * (outputs + weights + inputs)) {
      operation, data in
      operation.packBackward(weights: data.weights)
      operation.backwardInput(
        outputGradient: data.outputGradient, inputGradient: data.inputGradient,
        images: operation.shape.batch)
    }
    data.fillLevels(bits: 2)
    reference.fillLevels(bits: 2)
    var sources = [("floats", inFloats, false), ("levels", inFloats, true)]
    if shape.groups == 1 { sources.append(("levels, int16", tested(gradients: .int16(maximumInput: 3)), true)) }
    for (source, tested, levels) in sources {
      func weightGradient(_ operation: CPUConvolution, _ data: OperandSet, sparse: Bool) {
        operation.backward(
          outputGradient: .buffer(data.outputGradient), inputGradient: nil,
          input: levels ? .levels(data.levels) : .floats(data.input), weightGradient: data.weightGradient, scale: 1,
          images: operation.shape.batch, sparse: sparse)
      }
      let bytes = (levels ? 1 : 4) * inputs + 4 * (outputs + weights)
      let denseTime = add("weight gradient, \(source)", by: tested, result: reference.weightGradient, bytes: bytes) {
        weightGradient($0, $1, sparse: false)
      }
      for frozen in [0.3, 0.6, 0.9, 0.99] {
        let mask = OperandSet.mask(count: shape.weightCount, frozen: frozen)
        for operation in [tested.timed, tested.checked, referenceOperation] { operation.index(frozen: mask) }
        let unfrozen = Double(mask.count { $0 == 0 }) / Double(mask.count)
        _ = add(
          "weight gradient, \(source), \(Int(frozen * 100)) % frozen", by: tested, share: unfrozen, dense: denseTime,
          result: reference.weightGradient, bytes: bytes
        ) { weightGradient($0, $1, sparse: true) }
      }
    }
    return rows
  }
}

extension KernelBenchmark {
  /// From which frozen share on the sparse weight gradient beats the dense one, by shape: what `SparseThresholds` is
  /// made from.
  /// - Parameter gradients: how both are formed from the levels, of two bits.
  public func breakEven(
    gradients: GradientArithmetic = .float32, progress: (String) -> Void = { _ in }
  ) -> Table {
    let arithmetic: LevelGradients = gradients == .int16 ? .int16(maximumInput: 3) : .float32
    let shares = stride(from: 0.1, through: 0.95, by: 0.05).map { $0 }
    var names: [String] = []
    var denseTimes: [Double] = []
    var thresholds: [Double] = []
    for (name, _, shape) in network.shapes {
      progress("\(network.rawValue) \(name)")
      let backend = CPUBackend(threads: threads, instructionSet: instructionSet)
      let operation = CPUConvolution(shape: shape, gradients: arithmetic, backend: backend)
      let data = OperandSet(shape: shape)
      func time(sparse: Bool) -> Double {
        let times = (0..<repetitions).map { _ in
          let start = StepClock.now()
          operation.backward(
            outputGradient: .buffer(data.outputGradient), inputGradient: nil,
            input: .levels(data.levels), weightGradient: data.weightGradient, scale: 1, images: shape.batch,
            sparse: sparse)
          return (StepClock.now() - start) * 1e3
        }
        return Spread(times).median
      }
      _ = time(sparse: false)
      // Dense and sparse in turn, so that a change of the machine's speed meets both.
      let ratios = shares.map { share in
        operation.index(frozen: OperandSet.mask(count: shape.weightCount, frozen: share))
        return time(sparse: true) / time(sparse: false)
      }
      names.append(name)
      denseTimes.append(time(sparse: false))
      thresholds.append(Self.crossing(shares, ratios))
    }
    return Table(
      title:
        "Frozen share from which the sparse weight gradient is faster, \(network.rawValue), \(instructionSet.rawValue), "
        + gradients.rawValue,
      columns: [
        .init("shape", .strings(names)),
        .init("dense_ms", unit: "ms", description: "Dense weight gradient", decimals: 3, .doubles(denseTimes)),
        .init(
          "break_even", description: "Frozen share where both take as long; 1 where sparse never wins", decimals: 2,
          .doubles(thresholds)),
      ])
  }

  /// Where the ratios fall below 1 for good.
  static func crossing(_ shares: [Double], _ ratios: [Double]) -> Double {
    guard let last = ratios.lastIndex(where: { $0 >= 1 }) else { return shares[0] }
    guard last + 1 < shares.count else { return 1 }
    let slope = (ratios[last] - 1) / (ratios[last] - ratios[last + 1])
    return shares[last] + slope * (shares[last + 1] - shares[last])
  }
}

/// Random operands of one shape.
private final class OperandSet {
  let input: Buffer<Float>
  let levels: Buffer<UInt8>
  let weights: Buffer<Float>
  let weightLevels: Buffer<Int8>
  let output: Buffer<Float>
  let outputGradient: Buffer<Float>
  let inputGradient: Buffer<Float>
  let weightGradient: Buffer<Float>

  init(shape: ConvolutionShape) {
    func normal(_ count: Int, stream: UInt64) -> Buffer<Float> {
      var random = CounterRandom(seed: 7, stream: stream)
      let buffer = Buffer<Float>(count: count)
      for index in 0..<count { buffer[index] = random.normal() }
      return buffer
    }
    input = normal(shape.inputCount, stream: 0)
    weights = normal(shape.weightCount, stream: 1)
    outputGradient = normal(shape.outputCount, stream: 2)
    levels = Buffer(count: shape.inputCount)
    weightLevels = Buffer(count: shape.weightCount)
    output = Buffer(count: shape.outputCount)
    inputGradient = Buffer(count: shape.inputCount)
    weightGradient = Buffer(count: shape.weightCount)
    fillLevels(bits: 2)
  }

  func fillLevels(bits: Int) {
    var random = CounterRandom(seed: 7, stream: 3)
    for index in 0..<levels.count { levels[index] = UInt8(random.next() >> (32 - UInt32(bits))) }
    for index in 0..<weightLevels.count {
      weightLevels[index] = Int8(Int(random.next() >> (32 - UInt32(bits))) - (1 << (bits - 1)))
    }
  }

  static func mask(count: Int, frozen: Double) -> Buffer<UInt8> {
    var random = CounterRandom(seed: 7, stream: 4)
    let mask = Buffer<UInt8>(count: count)
    for index in 0..<count { mask[index] = random.uniformDouble() < frozen ? 1 : 0 }
    return mask
  }
}
