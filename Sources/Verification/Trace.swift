import Diagnostics
public import Networks
public import Quantization
import Recipes
import Storage
public import Training

/// A reference run recorded step by step by another implementation (format "qat-reference-trace", version 1): the network
/// it starts from, its batches, and what came out of every step. docs/method.md, "Replaying a trace", describes the format.
public struct Trace {
  /// The file's, as given; errors name it.
  public let path: String
  /// The network by the trace's recipe, for images of the trace's size.
  public let model: ModelSpec
  /// The recipe's scheme with the trace's bits, for weights and activations alike where the scheme fixes none.
  public let quantization: QuantizationSpec
  /// nil: nothing freezes.
  public let freezing: FreezingSpec?
  /// Rule and constant learning rate of convolution and linear weights and biases.
  public let weights: ParameterGroupSpec
  /// Of batch norm's scales and shifts.
  public let batchNorm: ParameterGroupSpec
  /// Of quantizer scales and ranges.
  public let quantizers: ParameterGroupSpec
  /// Training steps; where quantizers start in a pass of their own, the trace has one batch more for it.
  public let steps: Int
  /// The same in all batches.
  public let imagesPerBatch: Int
  /// Leading steps in which float32 variants of the reference stay close to it.
  public let cleanSteps: Int
  /// Quantized layers, from the input to the output.
  public let layers: [String]
  /// The numbers of a layer's quantizers, in the order of `quantizerStart` and `quantizerValues`.
  public let quantizerColumns: [String]

  let file: HDF5Group
  /// Loss of each step, and the largest deviation of float32 variants from it.
  let loss: [Double]
  let lossDeviation: [Double]
  /// Frozen weights after each step's forward, `[steps][layers]`.
  let frozen: [Int]
  /// `[layers][columns]`; NaN: the layer has no such number.
  let quantizerStart: [Double]
  /// After each step's update, `[steps][layers][columns]`.
  let quantizerValues: [Double]
  /// How often the level of a frozen weight moved, where the trace says so.
  let levelMoves: Int?
  let labels: [Int32]
  /// `[batches][images][3][height][width]`
  private let images: [Float]

  /// - Throws: `Diagnostic` where the file is no trace, or says something that no trace can say.
  public init(path: String) throws {
    self.path = path
    file = try HDF5File.open(path).root
    let attributes = try TraceAttributes(path: path, file: file)
    let recipe = try attributes.choose("recipe", Recipe.all.map { ($0.trace.recipe, $0) })
    let shape = try Self.imageShape(attributes)
    let steps = shape[0] - (recipe.scheme.startsInSeparatePass ? 1 : 0)
    guard steps >= 1 else {
      throw attributes.fail("batches/images has \(shape[0]) batches, which leaves no training step")
    }
    self.steps = steps
    imagesPerBatch = shape[1]
    cleanSteps = try attributes.number("clean_steps", in: 0...steps)
    model = try Self.model(attributes, recipe: recipe, height: shape[3], width: shape[4])
    let bits = try attributes.number("bits", in: 2...8)
    quantization = recipe.quantization(weightBits: bits, activationBits: bits)
    freezing = try Self.freezing(attributes)
    (weights, batchNorm, quantizers) = try Self.optimizers(
      attributes, settings: recipe.settings(for: model.architecture))

    let layers = try file.readStrings("layers")
    let columns = try Self.columns(attributes, recipe: recipe)
    self.layers = layers
    quantizerColumns = columns
    loss = try file.read("steps/loss", shape: [steps])
    lossDeviation = try file.read("float32_deviation/loss", shape: [steps])
    frozen = try file.read("steps/frozen", shape: [steps, layers.count])
    quantizerStart = try file.read("quantizer_init", shape: [layers.count, columns.count])
    quantizerValues = try file.read("steps/quantizer", shape: [steps, layers.count, columns.count])
    levelMoves =
      try file.hasAttribute("frozen_level_moves") ? attributes.number("frozen_level_moves", in: 0...1 << 48) : nil
    labels = try file.read("batches/labels", shape: [shape[0], imagesPerBatch])
    images = try file.read("batches/images")
    try check(attributes)
  }

  private func check(_ attributes: TraceAttributes) throws {
    guard labels.allSatisfy({ $0 >= 0 && $0 < model.classes }) else {
      throw attributes.fail("batches/labels holds a label outside 0...\(model.classes - 1)")
    }
    if let step = lossDeviation.firstIndex(where: { !($0 >= 0 && $0.isFinite) }) {
      throw attributes.fail(
        "float32_deviation/loss is \(lossDeviation[step]) in step \(step + 1); allowed: finite numbers from 0 on")
    }
  }

  // MARK: Parts of the description

  /// `[batches, images, 3, height, width]`
  private static func imageShape(_ attributes: TraceAttributes) throws -> [Int] {
    let shape = try attributes.file.shape("batches/images")
    guard shape.count == 5, shape[2] == 3, shape.allSatisfy({ $0 > 0 }) else {
      throw attributes.fail("batches/images has shape \(shape); expected [batches, images, 3, height, width]")
    }
    guard (4...1024).contains(shape[3]), (4...1024).contains(shape[4]), shape[3] == shape[4] else {
      throw attributes.fail(
        "batches/images has images of \(shape[4])x\(shape[3]); allowed: square ones of 4 to 1024 pixels")
    }
    return shape
  }

  private static func model(
    _ attributes: TraceAttributes, recipe: Recipe, height: Int, width: Int
  ) throws -> ModelSpec {
    let architecture = try attributes.choose("model", ModelSpec.Architecture.allCases.map { ($0.rawValue, $0) })
    let channels = try attributes.number("width", in: 2...1024, default: architecture.family.width)
    guard channels % 2 == 0 else { throw attributes.fail("attribute 'width' is \(channels); allowed: even numbers") }
    var model = recipe.model(
      architecture, classes: try attributes.number("num_classes", in: 2...1000), height: height, width: width,
      channels: channels)
    // Random numbers are each program's own.
    model.dropout = 0
    return model
  }

  private static func freezing(_ attributes: TraceAttributes) throws -> FreezingSpec? {
    let isFreezing = try attributes.choose("method", [("fullqat", false), ("freeze", true)])
    let epochs = try attributes.number("epochs", in: 1...1_000_000)
    let batchesPerEpoch = try attributes.number("batches_per_epoch", in: 1...1_000_000)
    guard isFreezing else { return nil }
    let start = try attributes.number("freeze_start_epoch", in: 0...epochs) * batchesPerEpoch
    let threshold = try attributes.number("threshold", in: 0...1e3)
    return FreezingSpec(
      schedule: try attributes.choose(
        "threshold_schedule",
        [("fixed", ThresholdSchedule.fixed(threshold))] + ThresholdSchedule.named.map { ($0.description, $0) }),
      startStep: start, totalSteps: epochs * batchesPerEpoch,
      distanceEMA: try attributes.number("distance_ema", in: 0...1.0.nextDown))
  }

  private static func optimizers(
    _ attributes: TraceAttributes, settings: Recipe.Settings
  ) throws -> (weights: ParameterGroupSpec, batchNorm: ParameterGroupSpec, quantizers: ParameterGroupSpec) {
    let momentum = try attributes.number("momentum", in: 0.0...1)
    let weightDecay = try attributes.number("weight_decay", in: 0.0...1)
    let modelRate = try attributes.number("lr_model", in: 0...1e3)
    let quantizerRate = try attributes.number("lr_quant", in: 0...1e3)
    let weights = ParameterGroupSpec(
      optimizer: .sgd(momentum: momentum, weightDecay: weightDecay), learningRate: modelRate)
    return (weights, settings.batchNormGroup(besides: weights), settings.quantizerGroup(learningRate: quantizerRate))
  }

  /// The recipe fixes the columns; where the trace names them, they have to be those.
  private static func columns(_ attributes: TraceAttributes, recipe: Recipe) throws -> [String] {
    let expected = recipe.trace.columns
    guard try attributes.file.hasAttribute("quantizer_columns") else { return expected }
    let found = try attributes.file.stringAttribute("quantizer_columns").split(separator: ",").map(String.init)
    guard found == expected else {
      throw attributes.fail("attribute 'quantizer_columns' is \(found); expected \(expected) for this recipe")
    }
    return expected
  }

  // MARK: Batches

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

  func labels(batch index: Int) -> ArraySlice<Int32> {
    labels[index * imagesPerBatch..<(index + 1) * imagesPerBatch]
  }
}
