public import Kernels
public import Quantization

/// What a network computes: nodes with their shapes, in an order in which they can run. It holds no memory and calls no
/// kernel; a `Plan` decides how it is carried out.
public struct Graph: Sendable {
  /// The extents of one image's tensor. Memory is NHWC.
  public struct Shape: Hashable, Sendable, CustomStringConvertible {
    /// Rows of pixels.
    public var height: Int
    /// Pixels of a row.
    public var width: Int
    /// Numbers of a pixel, innermost in memory.
    public var channels: Int

    /// Extents are not checked here: `Graph.init` and the operations refuse what cannot be.
    public init(height: Int, width: Int, channels: Int) {
      self.height = height
      self.width = width
      self.channels = channels
    }

    /// Elements of one image.
    public var count: Int { height * width * channels }
    /// "height x width x channels"
    public var description: String { "\(height)x\(width)x\(channels)" }
  }

  /// The output of a node.
  public struct Value: Hashable, Sendable {
    /// 0-based, into `nodes`.
    public let node: Int
  }

  /// The rectangle of pixels that a convolution or a pooling sees at once.
  public struct Window: Hashable, Sendable {
    /// Rows of pixels.
    public var height: Int
    /// Pixels of a row.
    public var width: Int
    /// Rows and columns between two windows.
    public var stride: Int
    /// Rows and columns of zeros on every side; pooling for maxima leaves them out instead.
    public var padding: Int

    /// Whether a window fits is checked by the operation that it is for.
    public init(height: Int, width: Int, stride: Int = 1, padding: Int = 0) {
      self.height = height
      self.width = width
      self.stride = stride
      self.padding = padding
    }
  }

  /// What a node computes from its inputs.
  public enum Operation: Hashable, Sendable {
    /// The images that the network starts from.
    case images
    /// `groups` divides both channel counts; as many groups as input channels: depthwise. A linear layer is a convolution of
    /// 1×1 images with a bias. Where the network is quantized the node quantizes its weights and its input, as its `place`
    /// says.
    case convolution(Window, groups: Int, hasBias: Bool, place: Place)
    case batchNorm
    case add
    case rectify(Rectifier)
    /// Means; the padding counts as zeros.
    case averagePool(Window)
    case maxPool(Window)
    /// In training each number is 0 with probability `rate`, the others are divided by 1 − `rate`; elsewhere nothing changes
    /// (Srivastava et al. 2014, scaled in training as in PyTorch).
    case dropout(rate: Double)
    /// Every `stride`-th pixel, with zero channels in equal numbers on both sides.
    case padShortcut(stride: Int)
  }

  /// Where a convolution stands in the network: recipes quantize the ends otherwise than the rest.
  public typealias Place = QuantizationScheme.Place

  /// An operation in its place: what it reads and what shape comes out.
  public struct Node: Sendable {
    /// PyTorch's name where the node has parameters.
    public let name: String
    /// With its constants; weights lie elsewhere.
    public let operation: Operation
    /// Outputs of earlier nodes: none for the images, two for an addition, else one.
    public let inputs: [Value]
    /// Of the output.
    public let shape: Shape

    /// What the node rectifies by; nil: it is another operation.
    var rectifier: Rectifier? { if case .rectify(let rectifier) = operation { rectifier } else { nil } }
  }

  /// In an order in which they can run: the images first, each behind all that it reads.
  public private(set) var nodes: [Node] = []
  /// The scores of the classes, 1 × 1 × classes; the loss starts from them.
  public private(set) var logits: Value
  /// Why the operations put together so far cannot run, with the node's name: the first reason found.
  private var problem: String?

  /// Builds a graph over images of this shape.
  /// - Parameter network: chains the operations and returns the logits.
  /// - Throws: `NetworkError` where shapes do not fit, in one line.
  public init(images: Shape, network: (inout Graph, Value) -> Value) throws(NetworkError) {
    logits = Value(node: 0)
    let input = append("images", .images, [], images)
    if images.height < 1 || images.width < 1 || images.channels < 1 { fail("images", "have shape \(images)") }
    logits = network(&self, input)
    let shape = nodes[logits.node].shape
    if shape.height != 1 || shape.width != 1 { fail(nodes[logits.node].name, "is \(shape); logits are 1x1") }
    if let problem { throw NetworkError(description: problem) }
  }

  /// Of one image.
  /// - Precondition: The value is this graph's.
  public func shape(of value: Value) -> Shape { nodes[value.node].shape }

  private mutating func append(_ name: String, _ operation: Operation, _ inputs: [Value], _ shape: Shape) -> Value {
    nodes.append(Node(name: name, operation: operation, inputs: inputs, shape: shape))
    return Value(node: nodes.count - 1)
  }

  private mutating func fail(_ name: String, _ reason: String) {
    if problem == nil { problem = "\(name) \(reason)" }
  }
}

/// Why a network cannot be built or planned, in one line.
public struct NetworkError: Error, Equatable, CustomStringConvertible {
  public let description: String

  package init(description: String) { self.description = description }
}

// MARK: Operations

/// Each appends a node and returns its output; the shape follows from the input's.
extension Graph {
  /// A convolution with square windows, without bias. `padding` nil: half the kernel, so that a stride of 1 keeps the size.
  public mutating func convolution(
    _ name: String, _ input: Value, channels: Int, kernel: Int, stride: Int = 1, padding: Int? = nil, groups: Int = 1,
    place: Place = .middle
  ) -> Value {
    let inputs = shape(of: input).channels
    if channels < 1 || groups < 1 || inputs % groups != 0 || channels % groups != 0 {
      fail(name, "cannot take \(inputs) channels to \(channels) in \(groups) groups")
    }
    let window = Window(height: kernel, width: kernel, stride: stride, padding: padding ?? kernel / 2)
    return append(
      name, .convolution(window, groups: groups, hasBias: false, place: place), [input],
      windowed(name, input, window, channels: channels))
  }

  /// A linear layer with bias, over an input of 1×1 pixels.
  public mutating func linear(_ name: String, _ input: Value, outputs: Int, place: Place = .last) -> Value {
    let shape = shape(of: input)
    if shape.height != 1 || shape.width != 1 { fail(name, "takes one pixel, not \(shape)") }
    return append(
      name, .convolution(Window(height: 1, width: 1), groups: 1, hasBias: true, place: place), [input],
      Shape(height: 1, width: 1, channels: outputs))
  }

  /// Over each channel, with its own γ and β; keeps the shape.
  public mutating func batchNorm(_ name: String, _ input: Value) -> Value {
    append(name, .batchNorm, [input], shape(of: input))
  }

  /// Two values of one shape, added up.
  public mutating func add(_ first: Value, _ second: Value) -> Value {
    let name = "\(nodes[first.node].name).add"
    if shape(of: first) != shape(of: second) { fail(name, "adds \(shape(of: second)) to \(shape(of: first))") }
    return append(name, .add, [first, second], shape(of: first))
  }

  /// By a rectifier, max(x, 0) unless another one is given; keeps the shape.
  public mutating func rectify(_ input: Value, by rectifier: Rectifier = .relu) -> Value {
    append("\(nodes[input.node].name).\(rectifier)", .rectify(rectifier), [input], shape(of: input))
  }

  /// The mean of every channel over all pixels.
  public mutating func globalAveragePool(_ name: String, _ input: Value) -> Value {
    let shape = shape(of: input)
    let window = Window(height: shape.height, width: shape.width, stride: max(shape.height, shape.width))
    return append(name, .averagePool(window), [input], Shape(height: 1, width: 1, channels: shape.channels))
  }

  /// `padding` nil: half the kernel.
  public mutating func maxPool(_ name: String, _ input: Value, kernel: Int, stride: Int, padding: Int? = nil) -> Value {
    let window = Window(height: kernel, width: kernel, stride: stride, padding: padding ?? kernel / 2)
    if kernel * kernel > 255 { fail(name, "has windows of \(kernel)x\(kernel); at most 255 positions are possible") }
    return append(
      name, .maxPool(window), [input], windowed(name, input, window, channels: shape(of: input).channels))
  }

  /// Keeps the shape; `rate` is at least 0 and below 1.
  public mutating func dropout(_ name: String, _ input: Value, rate: Double) -> Value {
    if !(rate >= 0 && rate < 1) { fail(name, "drops a share of \(rate); allowed: from 0 to below 1") }
    return append(name, .dropout(rate: rate), [input], shape(of: input))
  }

  /// The shortcut without parameters between two stages of a ResNet.
  public mutating func padShortcut(_ name: String, _ input: Value, channels: Int, stride: Int) -> Value {
    let inputs = shape(of: input).channels
    if channels < inputs { fail(name, "cannot pad \(inputs) channels to \(channels)") }
    return append(
      name, .padShortcut(stride: stride), [input],
      windowed(name, input, Window(height: 1, width: 1, stride: stride), channels: channels))
  }

  private mutating func windowed(_ name: String, _ input: Value, _ window: Window, channels: Int) -> Shape {
    let shape = shape(of: input)
    let height = shape.height + 2 * window.padding
    let width = shape.width + 2 * window.padding
    guard window.height >= 1, window.width >= 1, window.stride >= 1, (0..<window.height).contains(window.padding),
      height >= window.height, width >= window.width
    else {
      fail(
        name, "sees \(window.height)x\(window.width) pixels with padding \(window.padding), its input has \(shape)")
      return Shape(height: 1, width: 1, channels: channels)
    }
    return Shape(
      height: (height - window.height) / window.stride + 1, width: (width - window.width) / window.stride + 1,
      channels: channels)
  }
}
