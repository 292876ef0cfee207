/// The name of a recipe as files hold it: a generation of the published code.
public struct RecipeName: RawRepresentable, Hashable, Codable, Sendable {
  /// As in configurations and files.
  public let rawValue: String

  /// Any name: files of later programs are read too.
  public init(rawValue: String) { self.rawValue = rawValue }

  /// Of "Partly scratch-off lottery tickets in quantization-aware training", first version.
  public static let spqat = RecipeName(rawValue: "spqat")
  /// Of its successor (arXiv:2211.08544).
  public static let lts = RecipeName(rawValue: "lts")

  /// What its paper calls training that freezes settled weights: "SpQAT", "LTS".
  public var freezingName: String {
    switch self {
    case .spqat: "SpQAT"
    default: rawValue.uppercased()
    }
  }
}
