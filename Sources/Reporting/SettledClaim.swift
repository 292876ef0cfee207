public import Diagnostics
import Records
public import Statistics

/// The claim that a comparison tests, and when it was chosen.
public struct SettledClaim: Equatable, Sendable {
  /// When a claim was chosen.
  public enum Origin: Equatable, Sendable {
    /// Written down with the results before any run had ended.
    case beforeTraining
    /// Written down with the results when this many runs had ended.
    case duringTraining(runs: Int)
    /// With the results at hand: by a flag, or because nothing was written down.
    case afterwards
  }

  /// Margin, confidence and test.
  public let claim: Claim
  /// When it was chosen.
  public let origin: Origin
  /// Whether results were there before the claim, which may then have been chosen by what they show.
  public var isChosenAfterwards: Bool { origin != .beforeTraining }

  /// A claim that is made with the results at hand, unless told otherwise.
  public init(_ claim: Claim = Claim(), origin: Origin = .afterwards) {
    self.claim = claim
    self.origin = origin
  }

  /// With a part of the claim changed, which makes it another one.
  public func replacing(margin: Double?, confidence: Double?, test: Claim.Test?) -> SettledClaim {
    let changed = Claim(
      margin: margin ?? claim.margin, confidence: confidence ?? claim.confidence, test: test ?? claim.test)
    return changed == claim ? self : SettledClaim(changed)
  }

  /// The claim that was recorded with these results, each a folder; the usual one, chosen afterwards, where none was, or not the
  /// same one with all of them.
  /// - Throws: where a recorded claim cannot be understood.
  public static func recorded(in folders: [String]) throws(Diagnostic) -> SettledClaim {
    var recorded: [RecordedClaim?] = []
    for folder in folders { recorded.append(try RecordedClaim.read(in: folder)) }
    let claims = recorded.map { $0?.claim }
    guard let first = claims.first, let claim = first, claims.allSatisfy({ $0 == claim }) else { return SettledClaim() }
    let runs = recorded.reduce(0) { $0 + ($1?.runsBefore ?? 0) }
    return SettledClaim(claim, origin: runs == 0 ? .beforeTraining : .duringTraining(runs: runs))
  }
}
