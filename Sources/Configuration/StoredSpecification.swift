public import Datasets
import Networks
import Quantization
public import Training

/// What a stored run was trained with, read back from its canonical form.
public struct StoredSpecification: Sendable {
  public var spec: TrainingSpec
  public var normalization: Normalization
  public var subset: Int?

  /// - Parameter file: where the canonical form comes from, for messages.
  public init(canonicalForm: String, file: String) throws {
    let reader: CanonicalReader
    do {
      reader = CanonicalReader(value: try JSONParser.parse(Array(canonicalForm.utf8)))
      spec = try TrainingSpec(reader)
      let mean = try reader.numbers("data.mean")
      let deviation = try reader.numbers("data.standardDeviation")
      guard mean.count == 3, deviation.count == 3, deviation.allSatisfy({ $0 > 0 }) else {
        throw CanonicalReader.Missing(key: "data.mean")
      }
      normalization = Normalization(mean: mean, standardDeviation: deviation)
      subset = reader.value["data.subset"]?.integer
    } catch let missing as CanonicalReader.Missing {
      throw ConfigurationError(
        file: file, problem: "its configuration has no usable \"\(missing.key)\"; it was written by another version")
    } catch {
      throw ConfigurationError(
        file: file, problem: "its configuration is not readable; it was written by another program")
    }
  }
}

private struct CanonicalReader {
  struct Missing: Error {
    var key: String
  }

  var value: JSONValue

  func string(_ key: String) throws -> String {
    guard case .string(let text)? = value[key] else { throw Missing(key: key) }
    return text
  }

  func choice<Choice: RawRepresentable>(_ key: String) throws -> Choice where Choice.RawValue == String {
    guard let choice = Choice(rawValue: try string(key)) else { throw Missing(key: key) }
    return choice
  }

  func integer(_ key: String) throws -> Int {
    guard let integer = value[key]?.integer else { throw Missing(key: key) }
    return integer
  }

  func number(_ key: String) throws -> Double {
    guard case .number(let number)? = value[key] else { throw Missing(key: key) }
    return number
  }

  func bool(_ key: String, default defaultValue: Bool? = nil) throws -> Bool {
    if case .bool(let flag)? = value[key] { return flag }
    guard let defaultValue, value[key] == nil else { throw Missing(key: key) }
    return defaultValue
  }

  func numbers(_ key: String) throws -> [Double] {
    guard case .array(let values)? = value[key] else { throw Missing(key: key) }
    return try values.map { element in
      guard case .number(let number) = element else { throw Missing(key: key) }
      return number
    }
  }

  func group(_ key: String) throws -> ParameterGroupSpec {
    let optimizer: OptimizerSpec
    switch try string("\(key).rule") {
    case "sgd":
      optimizer = .sgd(momentum: try number("\(key).momentum"), weightDecay: try number("\(key).weightDecay"))
    case "adam":
      optimizer = .adam(
        beta1: try number("\(key).beta1"), beta2: try number("\(key).beta2"), epsilon: try number("\(key).epsilon"))
    default: throw Missing(key: "\(key).rule")
    }
    return ParameterGroupSpec(optimizer: optimizer, learningRate: try number("\(key).learningRate"))
  }
}

extension TrainingSpec {
  fileprivate init(_ reader: CanonicalReader) throws {
    let model = ModelSpec(
      architecture: try reader.choice("model.architecture"), shortcut: try reader.choice("model.shortcut"),
      batchNormBeforeLinear: try reader.bool("model.batchNormBeforeLinear"),
      initialization: try reader.choice("model.initialization"), classes: try reader.integer("model.classes"),
      inputHeight: try reader.integer("model.inputHeight"), inputWidth: try reader.integer("model.inputWidth"))
    guard (try? model.graph()) != nil else { throw CanonicalReader.Missing(key: "model.inputHeight") }
    let totalSteps = try reader.integer("totalSteps")

    var quantization: QuantizationSpec?
    if reader.value["quantization.recipe"] != nil {
      let weightBits = try reader.integer("quantization.weightBits")
      let activationBits = try reader.integer("quantization.activationBits")
      guard (2...8).contains(weightBits), (2...8).contains(activationBits) else {
        throw CanonicalReader.Missing(key: "quantization.weightBits")
      }
      quantization = QuantizationSpec(
        recipe: try reader.choice("quantization.recipe"), weightBits: weightBits, activationBits: activationBits,
        rangeGradient: try reader.choice("quantization.rangeGradient"))
    }

    var freezing: FreezingSpec?
    if let threshold = reader.value["freezing.threshold"] {
      let schedule: ThresholdSchedule
      switch threshold {
      case .number(let fraction): schedule = .fixed(fraction)
      case .string("linear"): schedule = .linear
      case .string("sine"): schedule = .sine
      default: throw CanonicalReader.Missing(key: "freezing.threshold")
      }
      freezing = FreezingSpec(
        schedule: schedule, startStep: try reader.integer("freezing.startStep"),
        totalSteps: try reader.integer("freezing.totalSteps"), distanceEMA: try reader.number("freezing.distanceEMA"))
    }

    let learningRate: LearningRateSchedule
    switch try reader.string("learningRate.schedule") {
    case "constant": learningRate = .constant
    case "step":
      learningRate = .step(
        milestones: try reader.numbers("learningRate.milestones").map { Int($0) },
        factor: try reader.number("learningRate.factor"))
    case "cosine": learningRate = .cosine(totalSteps: try reader.integer("learningRate.totalSteps"))
    default: throw CanonicalReader.Missing(key: "learningRate.schedule")
    }

    let weights = try reader.group("optimizer.weights")
    self.init(
      model: model, quantization: quantization, freezing: freezing, weights: weights,
      batchNorm: try reader.group("optimizer.batchNorm"),
      // Full precision stores none, having none to train.
      quantizers: quantization == nil ? weights : try reader.group("optimizer.quantizers"),
      learningRateSchedule: learningRate, batchSize: try reader.integer("batchSize"),
      dropLastPartialBatch: try reader.bool("dropLastPartialBatch"), totalSteps: totalSteps,
      augment: try reader.bool("augment", default: true), seed: UInt64(max(0, try reader.integer("seed"))))
  }
}
