public import Kernels
public import Tensor

/// What a layer shows a criterion in one training forward.
public struct FreezingMoment {
  /// Of the training forward, from 1.
  public var number: Int
  /// t, as the recipe's clock counts training forwards.
  public var time: Int
  /// λ; nil during the warm-up, and under criteria that read none.
  public var threshold: Double?
  /// What happens to levels and distances in this forward.
  public var rule: FreezingStep.Rule
  /// The settings of the run.
  public var spec: FreezingSpec
  /// The time after which everything freezes; nil under criteria that read none.
  public var stop: Int?
  /// How many weights of this layer freeze in this forward of the run that this one is paired with; 0 without such a run.
  public var pairedCount: Int
  /// Of this layer and forward alone.
  public var random: CounterRandom
  /// The grid in force in this forward.
  public var grid: WeightGrid
  /// u
  public var spacing: Float
  /// The layer's weights before quantization, as many as its state has.
  public var weights: Buffer<Float>
}

/// Decides which of a layer's unfrozen weights freeze in a training forward.
public struct FreezingCriterion: Hashable, Sendable, CustomStringConvertible {
  /// What a criterion may read of the settings; raw values are the settings' names.
  public enum Parameter: String, CaseIterable, Sendable {
    /// λ by the steps since the start.
    case threshold
    /// How long nothing freezes.
    case start
    /// When everything freezes.
    case stop
    /// For how many steps a level has to stay.
    case steps
  }

  /// As configurations and stored runs name it.
  public let name: String
  /// The settings that it reads; others have no effect.
  public let parameters: Set<Parameter>
  /// Whether it takes its counts from a run that has the same settings but for the criterion `distance`.
  public let isPaired: Bool
  private let advance: @Sendable (FreezingState, FreezingMoment, any Backend) -> Void

  /// - Parameter advance: takes a layer's state through one training forward, which it must do in every one: keeps levels
  ///   and distances up to date, and sets what freezes.
  public init(
    name: String, parameters: Set<Parameter>, isPaired: Bool = false,
    advance: @escaping @Sendable (FreezingState, FreezingMoment, any Backend) -> Void
  ) {
    self.name = name
    self.parameters = parameters
    self.isPaired = isPaired
    self.advance = advance
  }

  /// Changes `state` in place; to be called once in each training forward, the warm-up's too.
  public func advance(_ state: FreezingState, _ moment: FreezingMoment, on backend: any Backend) {
    advance(state, moment, backend)
  }

  /// Every criterion that configurations can name; each has a file of its own.
  public static let all = [distance, random, clock, levelChange]

  /// One of `all`; nil for any other name.
  public init?(named name: String) {
    guard let criterion = Self.all.first(where: { $0.name == name }) else { return nil }
    self = criterion
  }

  public var description: String { name }

  public static func == (a: FreezingCriterion, b: FreezingCriterion) -> Bool { a.name == b.name }
  public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}
