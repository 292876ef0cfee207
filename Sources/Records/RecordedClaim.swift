public import Diagnostics
import Files
import Foundation
public import Statistics

/// What an experiment set out to show, as it was written down when it was trained: the file `comparison.json` beside the
/// folder `runs`. It is no part of a run's id, since it changes no run.
public struct RecordedClaim: Codable, Equatable, Sendable {
  /// Points of top-1.
  public var margin: Double
  /// Of one-sided tests and of intervals, such as 0.95.
  public var confidence: Double
  public var test: Claim.Test
  /// Runs beside full precision that had ended when this claim was written down: above 0 it was chosen afterwards.
  public var runsBefore: Int

  public init(_ claim: Claim, runsBefore: Int) {
    margin = claim.margin
    confidence = claim.confidence
    test = claim.test
    self.runsBefore = runsBefore
  }

  /// nil where the file holds numbers that are no claim.
  public var claim: Claim? { Claim(checking: margin, confidence: confidence, test: test) }

  public static func path(in folder: String) -> String { "\(folder)/comparison.json" }

  /// - Parameter folder: of the experiment's results.
  /// - Returns: nil where nothing was recorded.
  /// - Throws: where the file cannot be understood, in one line.
  public static func read(in folder: String) throws(Diagnostic) -> RecordedClaim? {
    let path = path(in: folder)
    guard let data = FileManager.default.contents(atPath: path) else { return nil }
    guard let recorded = try? JSONDecoder().decode(RecordedClaim.self, from: data), recorded.claim != nil,
      (0...Int(Int32.max)).contains(recorded.runsBefore)
    else {
      throw Diagnostic(
        path, "is not a recorded comparison", remedy: "remove it, and give --margin, --confidence and --test")
    }
    return recorded
  }

  /// Writes the claim down unless the same one is there already. A claim that is changed once runs have ended stays marked by
  /// `runsBefore`.
  /// - Parameters:
  ///   - folder: of the experiment's results; it exists.
  ///   - runsBefore: quantized runs that have ended.
  public static func record(_ claim: Claim, in folder: String, runsBefore: Int) throws {
    if let recorded = try? read(in: folder), recorded.claim == claim { return }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    let text = String(decoding: try encoder.encode(RecordedClaim(claim, runsBefore: runsBefore)), as: UTF8.self)
    try replaceFile(at: path(in: folder), with: text + "\n")
  }
}
