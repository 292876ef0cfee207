/// Which learning rate and rule a parameter trains with.
public enum ParameterGroup: String, Sendable, CaseIterable {
  /// Convolution and linear weights and biases.
  case weights
  /// Scales and shifts of channels.
  case batchNorm
  /// Quantizer scales and ranges.
  case quantizers
}

/// A named tensor that training changes, with its gradient.
public final class Parameter {
  /// PyTorch's name, for example "layer1.0.conv1.weight".
  public let name: String
  /// In this project's layout: convolution weights are output channel, kernel row, kernel column, input channel.
  public let shape: [Int]
  /// Learning rate and rule of training are set by group.
  public let group: ParameterGroup
  /// Zeros at first; the parameter's own memory, written by the optimizer and where weights are loaded.
  public let value: Buffer<Float>
  /// Of the loss with respect to `value`, element by element; overwritten by backward passes, not added to.
  public let gradient: Buffer<Float>
  /// One byte a weight, nonzero where frozen: the optimizer leaves those alone. Shared with the freezing state.
  public var frozen: Buffer<UInt8>?

  /// Zeros, none of them frozen. An empty `shape` is one number.
  public init(name: String, shape: [Int], group: ParameterGroup) {
    self.name = name
    self.shape = shape
    self.group = group
    let count = shape.reduce(1, *)
    value = Buffer(count: count)
    gradient = Buffer(count: count)
  }

  /// Elements: the product of `shape`.
  public var count: Int { value.count }

  /// The value of a parameter that is one number.
  public var scalar: Float {
    get { value[0] }
    set { value[0] = newValue }
  }
}
