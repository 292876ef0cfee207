public import Kernels
public import Tensor

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Updates parameters by their group's rule; the state (velocities, moments) lives here.
public final class Optimizer {
  /// A parameter with its state.
  public final class Entry {
    /// Shared with the network: its values are overwritten by `update`, its gradients only read.
    public let parameter: Parameter
    /// SGD's velocity or Adam's first moment; nil for SGD without momentum.
    public let first: Buffer<Float>?
    /// Adam's second moment.
    public let second: Buffer<Float>?

    init(_ parameter: Parameter, _ optimizer: OptimizerSpec, on backend: any Backend) {
      self.parameter = parameter
      func zeros() -> Buffer<Float> { backend.allocate(Float.self, count: parameter.count) }
      switch optimizer {
      case .sgd(let momentum, _):
        first = momentum == 0 ? nil : zeros()
        second = nil
      case .adam:
        first = zeros()
        second = zeros()
      }
    }
  }

  /// In the order of the parameters that the optimizer was made of.
  public let entries: [Entry]
  private let groups: [ParameterGroup: ParameterGroupSpec]
  /// What the threads share.
  private let pieces: [(entry: Int, elements: Range<Int>)]

  /// State of zeros for `parameters`, each by the rule of its group; SGD without momentum keeps none.
  public init(
    parameters: [Parameter], weights: ParameterGroupSpec, batchNorm: ParameterGroupSpec, quantizers: ParameterGroupSpec,
    on backend: any Backend
  ) {
    let groups: [ParameterGroup: ParameterGroupSpec] = [
      .weights: weights, .batchNorm: batchNorm, .quantizers: quantizers,
    ]
    self.groups = groups
    entries = parameters.map { Entry($0, groups[$0.group]!.optimizer, on: backend) }
    pieces = entries.enumerated().flatMap { index, entry in
      let count = entry.parameter.count
      return stride(from: 0, to: count, by: Self.pieceSize).map { (index, $0..<min($0 + Self.pieceSize, count)) }
    }
  }

  private static let pieceSize = 1 << 14

  /// One update from the parameters' gradients.
  /// - Parameters:
  ///   - step: 1-based, for Adam's bias correction.
  ///   - factor: the schedule's factor on every learning rate.
  public func update(step: Int, factor: Double, on backend: any Backend) {
    backend.pool.run(pieces.count) { task, _ in
      let (index, elements) = pieces[task]
      let entry = entries[index]
      let group = groups[entry.parameter.group]!
      let rate = group.learningRate * factor
      switch group.optimizer {
      case .sgd(let momentum, let weightDecay):
        backend.sgd(
          entry.parameter, elements, velocity: entry.first, rate: Float(rate), momentum: Float(momentum),
          weightDecay: Float(weightDecay))
      case .adam(let beta1, let beta2, let epsilon):
        backend.adam(
          entry.parameter, elements, first: entry.first!, second: entry.second!, step: step, rate: rate,
          beta1: beta1, beta2: beta2, epsilon: epsilon)
      }
    }
  }
}

extension LearningRateSchedule {
  /// The factor on the learning rate in training step `step` (1-based).
  public func factor(step: Int) -> Double {
    switch self {
    case .constant: return 1
    case .step(let milestones, let factor):
      return milestones.reduce(1) { step > $1 ? $0 * factor : $0 }
    case .cosine(let totalSteps):
      return (1 + cos(.pi * Double(step - 1) / Double(totalSteps))) / 2
    }
  }
}
