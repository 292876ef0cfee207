/// The name of a recipe as files hold it: a generation of the published code.
public struct RecipeName: RawRepresentable, Hashable, Codable, Sendable {
  /// As in configurations and files.
  public let rawValue: String

  /// Any name: files of later programs are read too.
  public init(rawValue: String) { self.rawValue = rawValue }
}
