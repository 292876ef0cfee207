import Kernels
import Quantization
public import Tensor

/// A named part of what a layer keeps from step to step. Checkpoints, final tensors, imports and exports walk lists of these.
public struct LayerState {
  /// What a part is to its layer; readers and writers choose parts by it.
  public enum Role: Sendable, CaseIterable {
    /// Weights, biases and batch norm's scales and shifts.
    case parameter
    /// Scales and ranges of quantizers, learned or fixed.
    case quantizer
    /// Batch norm's running mean and variance.
    case statistic
    /// One byte a weight, nonzero where frozen.
    case mask
    /// What decides which weights freeze next, and what is recorded of their levels.
    case freezing
    /// The levels of the weights as they are: follow from weights and quantizer.
    case level
  }

  /// The layer's name: "layer1.0.conv1".
  public let layer: String
  /// Without the layer: "weight", "running_mean", "frozen".
  public let name: String
  /// From which follows whether files and comparisons take the part.
  public let role: Role
  /// In this project's layout.
  public let values: StateValues
  private let ownShape: [Int]
  private let isLinear: Bool

  init(_ name: String, of layer: String, role: Role, shape: [Int], isLinear: Bool = false, _ values: StateValues) {
    self.layer = layer
    self.name = name
    self.role = role
    self.values = values
    self.isLinear = isLinear
    ownShape = shape
  }

  init(_ parameter: Parameter, of layer: String, isLinear: Bool = false) {
    self.init(
      String(parameter.name.dropFirst(layer.count + 1)), of: layer,
      role: parameter.group == .quantizers ? .quantizer : .parameter, shape: parameter.shape, isLinear: isLinear,
      .floats(parameter.value))
  }

  /// PyTorch's name: "layer1.0.conv1.weight".
  public var fullName: String { "\(layer).\(name)" }

  /// In PyTorch's layout, as `export` and `restore` have it.
  public var shape: [Int] { PyTorchLayout.shape(ownShape, isLinear: isLinear) }

  /// `values`, or others of the same shape such as a gradient, in PyTorch's layout.
  public func export<Element>(_ values: Buffer<Element>) -> [Element] {
    PyTorchLayout.export(values, shape: ownShape)
  }

  /// Takes over values in PyTorch's layout.
  /// - Precondition: There are as many as `buffer` holds.
  public func restore<Element>(_ values: [Element], into buffer: Buffer<Element>) {
    PyTorchLayout.import(values, shape: ownShape, into: buffer)
  }
}

extension Layer {
  /// The parameters alone.
  public var state: [LayerState] { parameters.map { LayerState($0, of: name) } }
  /// Does nothing: from parameters alone nothing follows.
  public func didRestoreState() {}
}

extension BatchNormalization {
  /// γ and β, then the running statistics by PyTorch's names, `running_mean` and `running_var`.
  public var state: [LayerState] {
    parameters.map { LayerState($0, of: name) } + [
      LayerState("running_mean", of: name, role: .statistic, shape: [runningMean.count], .floats(runningMean)),
      LayerState("running_var", of: name, role: .statistic, shape: [runningVariance.count], .floats(runningVariance)),
    ]
  }
}

extension Convolution {
  /// What PyTorch has two modules for.
  public enum Kind: String, Sendable {
    case convolution
    case linear
  }

  /// Linear layers are those with a bias: convolutions have batch norm behind them.
  public var kind: Kind { bias == nil ? .convolution : .linear }

  /// The parameters; `level` where weights are quantized; `frozen`, `distance`, `previous_index` and `level_moves`
  /// where they freeze, with what is recorded of their levels.
  public var state: [LayerState] {
    let isLinear = kind == .linear
    func likeWeight(_ name: String, _ role: LayerState.Role, _ values: StateValues) -> LayerState {
      LayerState(name, of: self.name, role: role, shape: weight.shape, isLinear: isLinear, values)
    }
    var state = parameters.map { LayerState($0, of: name, isLinear: isLinear) }
    if weightQuantizer != nil { state.append(likeWeight("level", .level, .derived(currentLevels))) }
    if let freezing {
      state += [
        likeWeight("frozen", .mask, .bytes(freezing.frozen)),
        likeWeight("distance", .freezing, .floats(freezing.distance)),
        likeWeight("previous_index", .freezing, .indices(freezing.previousIndex)),
        LayerState(
          "level_moves", of: name, role: .freezing, shape: [],
          .counter(get: { freezing.levelMoves }, set: { freezing.restore(levelMoves: $0) })),
        likeWeight("settling_step", .freezing, .steps(freezing.history.settlingStep)),
        likeWeight("level_changes", .freezing, .steps(freezing.history.levelChanges)),
        likeWeight("freezing_step", .freezing, .steps(freezing.history.freezingStep)),
        likeWeight("freezing_index", .freezing, .indices(freezing.history.freezingIndex)),
        likeWeight("freezing_distance", .freezing, .floats(freezing.history.freezingDistance)),
      ]
      if freezing.isShadow { state.append(likeWeight("decided", .freezing, .bytes(freezing.decided))) }
    }
    return state
  }

  /// Counts the frozen weights and has the sparse gradient's index built again.
  public func didRestoreState() {
    if let freezing { freezing.restore(levelMoves: freezing.levelMoves) }
    forgetIndex()
  }
}
