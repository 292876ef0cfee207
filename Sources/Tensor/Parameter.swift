/// Which learning rate and rule a parameter trains with.
public enum ParameterGroup: String, Sendable, CaseIterable {
  /// Convolution and linear weights and biases.
  case weights
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
  public let group: ParameterGroup
  public let value: Buffer<Float>
  public let gradient: Buffer<Float>
  /// One byte a weight, nonzero where frozen: the optimizer leaves those alone. Shared with the freezing state.
  public var frozen: Buffer<UInt8>?

  public init(name: String, shape: [Int], group: ParameterGroup) {
    self.name = name
    self.shape = shape
    self.group = group
    let count = shape.reduce(1, *)
    value = Buffer(count: count)
    gradient = Buffer(count: count)
  }

  public var count: Int { value.count }

  /// The value of a parameter that is one number.
  public var scalar: Float {
    get { value[0] }
    set { value[0] = newValue }
  }
}
