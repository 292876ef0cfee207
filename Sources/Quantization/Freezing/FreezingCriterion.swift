public import Kernels
public import Tensor

/// What a layer shows a criterion in one training forward.
public struct FreezingMoment {
  /// Of the training forward, from 1.
  public var number: Int
  /// λ; nil during the warm-up, in which nothing freezes.
  public var threshold: Double?
  /// What happens to levels and distances in this forward.
  public var rule: FreezingStep.Rule
  /// m
  public var distanceEMA: Double
  /// The grid in force in this forward.
  public var grid: WeightGrid
  /// u
  public var spacing: Float
  /// The layer's weights before quantization, as many as its state has.
  public var weights: Buffer<Float>
}

/// Decides which of a layer's unfrozen weights freeze in a training forward.
public struct FreezingCriterion: Hashable, Sendable, CustomStringConvertible {
  /// As configurations and stored runs name it.
  public let name: String
  private let advance: @Sendable (FreezingState, FreezingMoment, any Backend) -> Void

  /// - Parameter advance: takes a layer's state through one training forward, which it must do in every one: keeps levels
  ///   and distances up to date, and sets what freezes.
  public init(
    name: String, advance: @escaping @Sendable (FreezingState, FreezingMoment, any Backend) -> Void
  ) {
    self.name = name
    self.advance = advance
  }

  /// Changes `state` in place; to be called once in each training forward, the warm-up's too.
  public func advance(_ state: FreezingState, _ moment: FreezingMoment, on backend: any Backend) {
    advance(state, moment, backend)
  }

  /// D̄ ≤ λ·u: the published one.
  public static let distance = FreezingCriterion(name: "distance") { state, moment, backend in
    state.advance(
      moment.grid,
      step: FreezingStep(
        number: moment.number, rule: moment.rule, distanceEMA: Float(moment.distanceEMA), spacing: moment.spacing,
        thresholdDistance: moment.threshold.map { Float($0 * Double(moment.spacing)) }),
      weights: moment.weights, on: backend)
  }

  /// Every criterion that configurations can name.
  public static let all = [distance]

  /// One of `all`; nil for any other name.
  public init?(named name: String) {
    guard let criterion = Self.all.first(where: { $0.name == name }) else { return nil }
    self = criterion
  }

  public var description: String { name }

  public static func == (a: FreezingCriterion, b: FreezingCriterion) -> Bool { a.name == b.name }
  public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}
