#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The freezing threshold λ over training, as a fraction of a level's spacing u: a constant, or one of `named`.
public struct ThresholdSchedule: Hashable, Sendable, CustomStringConvertible {
  /// What configurations, labels and stored runs call a schedule.
  public enum Label: Hashable, Sendable {
    /// The constant λ ≥ 0 itself.
    case constant(Double)
    case name(String)
  }

  /// Schedules with equal labels are equal.
  public let label: Label
  private let value: @Sendable (Double) -> Double

  private init(_ label: Label, _ value: @escaping @Sendable (Double) -> Double) {
    self.label = label
    self.value = value
  }

  /// λ
  /// - Parameter progress: (t − T_w) / (T − T_w), above 0.
  public func threshold(at progress: Double) -> Double { value(progress) }

  /// The same λ ≥ 0 throughout.
  public static func fixed(_ threshold: Double) -> ThresholdSchedule {
    ThresholdSchedule(.constant(threshold)) { _ in threshold }
  }

  /// λ = (t − T_w) / (T − T_w)
  public static let linear = ThresholdSchedule(.name("linear")) { $0 }
  /// λ = sin(π/2 · (t − T_w) / (T − T_w))
  public static let sine = ThresholdSchedule(.name("sine")) { sin(.pi / 2 * $0) }

  /// Every schedule that is chosen by its name.
  public static let named = [linear, sine]
  /// What `init(named:)` takes: "linear" and "sine".
  public static var names: [String] { named.map(\.description) }

  /// One of `named`; nil for any other name.
  public init?(named name: String) {
    guard let schedule = Self.named.first(where: { $0.label == .name(name) }) else { return nil }
    self = schedule
  }

  public var description: String {
    switch label {
    case .constant(let threshold): threshold.description
    case .name(let name): name
    }
  }

  public static func == (a: ThresholdSchedule, b: ThresholdSchedule) -> Bool { a.label == b.label }
  public func hash(into hasher: inout Hasher) { hasher.combine(label) }
}
