/// So many of so many weights.
public struct Share: Equatable, Sendable {
  /// Those that have it.
  public var hits: Int
  /// Those that might.
  public var count: Int

  /// `hits` of `count`.
  public init(_ hits: Int, of count: Int) {
    self.hits = hits
    self.count = count
  }

  /// In [0, 1]; nil of nothing.
  public var value: Double? { count > 0 ? Double(hits) / Double(count) : nil }

  static func + (left: Share, right: Share) -> Share { Share(left.hits + right.hits, of: left.count + right.count) }
}
