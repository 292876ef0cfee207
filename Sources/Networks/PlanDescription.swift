import Kernels

/// A plan in words and bytes.
extension Plan {
  /// Memory of one purpose.
  public struct Memory: Codable, Equatable, Sendable {
    /// What it holds: "values", "levels for fc", "freezing".
    public var name: String
    /// For the whole batch where it grows with that.
    public var bytes: Int
    /// Whether it lies where other steps' tensors and gradients lie at other times.
    public var isShared = false
  }

  /// What a step is called: its kind of layer.
  public func title(of step: Int) -> String {
    switch steps[step].kind {
    case .images: "images"
    case .convolution(let convolution): convolution.hasBias ? "linear" : "convolution"
    case .normalization: "batch norm"
    case .pooling(let pooling):
      switch pooling.kind {
      case .average: "average pool"
      case .maximum: "max pool"
      case .padShortcut: "pad shortcut"
      }
    case .dropout: "dropout"
    }
  }

  /// The operations and passes that the step carries out besides its own, and those of its own that another one does; one
  /// line each.
  public func fusions(of step: Int) -> [String] {
    let output = steps[step].output
    var lines: [String] = []
    switch steps[step].kind {
    case .images, .pooling, .dropout: break
    case .convolution(let convolution):
      switch convolution.arithmetic {
      case .floats: break
      case .quantizedWeights: lines.append("weights of \(convolution.weightBits ?? 32) bits, float input")
      case .quantizedValues: lines.append("weights of \(convolution.weightBits ?? 32) bits, products in floats")
      case .integers: lines.append("weights of \(convolution.weightBits ?? 32) bits, products in integers")
      }
      if let norm = convolution.statisticsOf { lines.append("forms the statistics of \(steps[norm].name)") }
      if case .affine(_, let norm) = convolution.outputGradient {
        lines.append("second backward pass of \(steps[norm].name) as its affine output gradient")
      }
      if let norm = convolution.firstPassOf {
        lines.append("first backward pass of \(steps[norm].name) inside its pieces")
      }
    case .normalization(let normalization):
      lines += steps[step].nodes.dropFirst().map { node in
        switch node.operation {
        case .add: "adds \(steps[steps[step].inputs[1]].name)"
        case .rectify(.relu6): "rectifies, up to 6"
        default: "rectifies"
        }
      }
      if case .inside(let other) = normalization.statistics { lines.append("statistics inside \(steps[other].name)") }
      if case .inside(let other) = normalization.firstPass {
        lines.append("first backward pass inside the pieces of \(steps[other].name)")
      }
      if case .inside(let other) = normalization.secondPass {
        lines.append("second backward pass inside \(steps[other].name)")
      }
    }
    lines += output.copies.map { "quantizes to \($0.bits) bits for \(steps[$0.reader].name)" }
    return lines
  }

  /// The memory of the step's output, weights and state, without its gradients' regions, and without what the back end keeps
  /// for itself.
  public func memory(of step: Int) -> [Memory] {
    let output = steps[step].output
    let count = batch * output.shape.count
    var memory: [Memory] = []
    if output.holdsValues {
      memory.append(
        Memory(
          name: output.holdsSums ? "16-bit sums" : "values", bytes: output.valueBytes * count,
          isShared: output.offset != nil))
    }
    memory += output.copies.map {
      Memory(name: "levels for \(steps[$0.reader].name)", bytes: count, isShared: true)
    }
    switch steps[step].kind {
    case .images: break
    case .convolution(let convolution):
      let weights = convolution.shape.weightCount
      let biases = convolution.hasBias ? convolution.shape.outputChannels : 0
      memory.append(Memory(name: "parameters and gradients", bytes: 8 * (weights + biases)))
      if convolution.weightBits != nil { memory.append(Memory(name: "quantized weights", bytes: 4 * weights)) }
      switch convolution.arithmetic {
      case .floats, .quantizedWeights: break
      case .quantizedValues:
        memory.append(Memory(name: "input from levels", bytes: 4 * convolution.shape.inputCount))
      case .integers: memory.append(Memory(name: "weight levels", bytes: weights))
      }
      // The distance, the level before and the mask.
      if convolution.freezableWeights > 0 {
        memory.append(Memory(name: "freezing", bytes: 7 * weights))
        memory.append(Memory(name: "history of levels", bytes: 22 * weights))
      }
    case .normalization:
      memory.append(Memory(name: "parameters and gradients", bytes: 16 * output.shape.channels))
      memory.append(Memory(name: "running statistics", bytes: 8 * output.shape.channels))
    case .pooling(let pooling):
      if pooling.kind == .maximum { memory.append(Memory(name: "winners", bytes: count)) }
    case .dropout: memory.append(Memory(name: "factors", bytes: 4 * count))
    }
    return memory
  }

  /// The regions that the gradients of the step's output arrive in.
  public func gradientRegions(of step: Int) -> [Int] { steps[step].output.arriving }

  /// All that is allocated: what tensors and gradients share, and what lies apart.
  public var totalBytes: Int {
    steps.indices.reduce(sharedBytes) { total, step in
      memory(of: step).reduce(total) { $0 + ($1.isShared ? 0 : $1.bytes) }
    }
  }
}
