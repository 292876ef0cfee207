public import Models
public import Quantization
import Storage

/// A reference run recorded step by step by another implementation (format "qat-reference-trace", version 1): the network
/// it starts from, its batches, and what came out of every step. README, "Replaying a trace", has the layout.
public struct Trace {
  public struct FormatError: Error, CustomStringConvertible {
    public let description: String
  }

  public let path: String
  public let model: ModelSpec
  public let quantization: QuantizationSpec
  public let freezing: FreezingSpec?
  public let weights: ParameterGroupSpec
  public let batchNorm: ParameterGroupSpec
  public let quantizers: ParameterGroupSpec
  /// Training steps; `lts` traces have one batch more, which initializes the quantizers.
  public let steps: Int
  public let imagesPerBatch: Int
  public let layers: [String]
  public let quantizerColumns: [String]
  public let cleanSteps: Int

  let file: HDF5Group
  /// Loss of each step, and the largest deviation of float32 variants from it.
  let loss: [Double]
  let lossDeviation: [Double]
  /// Frozen weights after each step's forward, `[steps][layers]`.
  let frozen: [Int]
  /// `[layers][columns]`
  let quantizerStart: [Double]
  /// After each step's update, `[steps][layers][columns]`.
  let quantizerValues: [Double]
  let labels: [Int32]
  /// `[batches][images][3][height][width]`
  private let images: [Float]

  public init(path: String) throws {
    self.path = path
    let file = try HDF5File.open(path).root
    self.file = file
    func fail(_ text: String) -> FormatError { FormatError(description: "\(path): \(text)") }

    guard try file.hasAttribute("format") else {
      throw fail("is not a trace: attribute 'format' is missing; expected format 'qat-reference-trace', version 1")
    }
    let format = try file.stringAttribute("format")
    guard format == "qat-reference-trace" else {
      throw fail("is not a trace: format is '\(format)'; expected 'qat-reference-trace'")
    }
    let version: Int = try file.attribute("version")
    guard version == 1 else { throw fail("trace version \(version) is not supported; expected 1") }

    func choose<Value>(_ attribute: String, _ values: [(String, Value)]) throws -> Value {
      let found = try file.stringAttribute(attribute)
      guard let value = values.first(where: { $0.0 == found }) else {
        throw fail(
          "attribute '\(attribute)' is '\(found)'; allowed: \(values.map { "'\($0.0)'" }.joined(separator: ", "))")
      }
      return value.1
    }
    func integer(_ attribute: String, in range: ClosedRange<Int>) throws -> Int {
      let value: Int = try file.attribute(attribute)
      guard range.contains(value) else {
        throw fail("attribute '\(attribute)' is \(value); allowed: \(range.lowerBound) to \(range.upperBound)")
      }
      return value
    }
    func number(_ attribute: String, in range: ClosedRange<Double>) throws -> Double {
      let value: Double = try file.attribute(attribute)
      guard range.contains(value) else {
        throw fail("attribute '\(attribute)' is \(value); allowed: \(range.lowerBound) to \(range.upperBound)")
      }
      return value
    }

    let recipe = try choose("recipe", [("fixed-scale", Recipe.spqat), ("learned-range", Recipe.lts)])
    let isFreezing = try choose("method", [("fullqat", false), ("freeze", true)])
    let architecture = try choose("model", ModelSpec.Architecture.allCases.map { ($0.rawValue, $0) })
    let bits = try integer("bits", in: 2...8)
    let classes = try integer("num_classes", in: 2...1000)
    let momentum = try number("momentum", in: 0...1)
    let weightDecay = try number("weight_decay", in: 0...1)
    let modelRate = try number("lr_model", in: 0...1e3)
    let quantizerRate = try number("lr_quant", in: 0...1e3)
    let epochs = try integer("epochs", in: 1...1_000_000)
    let batchesPerEpoch = try integer("batches_per_epoch", in: 1...1_000_000)
    // The recipe fixes the columns; where the trace names them, they have to be those.
    let expectedColumns = recipe == .spqat ? Self.fixedScaleColumns : Self.learnedRangeColumns
    quantizerColumns =
      try file.hasAttribute("quantizer_columns")
      ? file.stringAttribute("quantizer_columns").split(separator: ",").map(String.init) : expectedColumns
    guard quantizerColumns == expectedColumns else {
      throw fail("attribute 'quantizer_columns' is \(quantizerColumns); expected \(expectedColumns) for this recipe")
    }

    let shape = try file.shape("batches/images")
    guard shape.count == 5, shape[2] == 3, shape.allSatisfy({ $0 > 0 }) else {
      throw fail("batches/images has shape \(shape); expected [batches, images, 3, height, width]")
    }
    guard (4...1024).contains(shape[3]), (4...1024).contains(shape[4]), shape[3] == shape[4] else {
      throw fail("batches/images has images of \(shape[4])x\(shape[3]); allowed: square ones of 4 to 1024 pixels")
    }
    let initializing = recipe == .lts ? 1 : 0
    steps = shape[0] - initializing
    imagesPerBatch = shape[1]
    guard steps >= 1 else { throw fail("batches/images has \(shape[0]) batches, which leaves no training step") }
    cleanSteps = try integer("clean_steps", in: 0...steps)

    let width = try file.hasAttribute("width") ? integer("width", in: 2...1024) : 16
    guard width % 2 == 0 else { throw fail("attribute 'width' is \(width); allowed: even numbers") }
    model = ModelSpec(
      architecture: architecture, shortcut: recipe == .spqat ? .pad : .convolution,
      batchNormBeforeLinear: recipe == .spqat, initialization: .kaimingFanIn, classes: classes,
      inputHeight: shape[3], inputWidth: shape[4],
      width: width)
    quantization = QuantizationSpec(
      recipe: recipe, weightBits: bits, activationBits: bits, rangeGradient: recipe == .lts ? .dense : .unfrozen)
    if isFreezing {
      let start = try integer("freeze_start_epoch", in: 0...epochs) * batchesPerEpoch
      let threshold = try number("threshold", in: 0...1e3)
      freezing = FreezingSpec(
        schedule: try choose(
          "threshold_schedule",
          [("fixed", ThresholdSchedule.fixed(threshold)), ("linear", .linear), ("sine", .sine)]),
        startStep: start, totalSteps: epochs * batchesPerEpoch,
        distanceEMA: try number("distance_ema", in: 0...1.0.nextDown))
    } else {
      freezing = nil
    }
    weights = ParameterGroupSpec(
      optimizer: .sgd(momentum: momentum, weightDecay: weightDecay), learningRate: modelRate)
    batchNorm =
      recipe == .lts
      ? weights : ParameterGroupSpec(optimizer: .sgd(momentum: 0, weightDecay: 0), learningRate: modelRate)
    quantizers = ParameterGroupSpec(
      optimizer: recipe == .lts
        ? .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8) : .sgd(momentum: 0, weightDecay: 0),
      learningRate: quantizerRate)

    layers = try file.readStrings("layers")
    let columns = quantizerColumns.count
    loss = try file.read("steps/loss", shape: [steps])
    lossDeviation = try file.read("float32_deviation/loss", shape: [steps])
    frozen = try file.read("steps/frozen", shape: [steps, layers.count])
    quantizerStart = try file.read("quantizer_init", shape: [layers.count, columns])
    quantizerValues = try file.read("steps/quantizer", shape: [steps, layers.count, columns])
    labels = try file.read("batches/labels", shape: [shape[0], imagesPerBatch])
    guard labels.allSatisfy({ $0 >= 0 && $0 < classes }) else {
      throw fail("batches/labels holds a label outside 0...\(classes - 1)")
    }
    images = try file.read("batches/images")
  }

  private static let fixedScaleColumns = ["weight_scale", "activation_scale"]
  private static let learnedRangeColumns = ["upper_weight", "lower_weight", "upper_activation", "lower_activation"]

  /// Batch `index` as NHWC floats.
  func images(batch index: Int) -> [Float] {
    let pixels = model.inputHeight * model.inputWidth
    var result = [Float](repeating: 0, count: imagesPerBatch * 3 * pixels)
    for image in 0..<imagesPerBatch {
      let start = (index * imagesPerBatch + image) * 3 * pixels
      for channel in 0..<3 {
        for pixel in 0..<pixels {
          result[(image * pixels + pixel) * 3 + channel] = images[start + channel * pixels + pixel]
        }
      }
    }
    return result
  }
}
