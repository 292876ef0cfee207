/// A network by its name: a function that chains a graph's operations.
///
/// Two with one name are the same. A further network is a function and an entry of `all`, which configurations, the
/// command line and traces read their choice from.
public struct Architecture: Sendable {
  /// As a configuration says it.
  public let name: String
  /// Chains the network of a specification behind the images and returns the logits.
  let network: @Sendable (inout Graph, Graph.Value, ModelSpec) -> Graph.Value

  /// Every network.
  public static let all: [Architecture] = [.resnet8, .resnet20, .resnet32, .resnet44, .resnet56]

  package init(_ name: String, network: @escaping @Sendable (inout Graph, Graph.Value, ModelSpec) -> Graph.Value) {
    self.name = name
    self.network = network
  }
}

extension Architecture: Hashable {
  public static func == (first: Architecture, second: Architecture) -> Bool { first.name == second.name }
  public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

/// In files and on the command line a network is its name.
extension Architecture: RawRepresentable, CaseIterable, Codable, CustomStringConvertible {
  /// One of `all`; nil for any other name.
  public init?(rawValue: String) {
    guard let found = Self.all.first(where: { $0.name == rawValue }) else { return nil }
    self = found
  }

  /// The name, as configurations write it.
  public var rawValue: String { name }
  public var description: String { name }
  /// As `all`, in its order.
  public static var allCases: [Architecture] { all }
}
