public import Diagnostics
import Files
import Foundation
public import Records

/// A run's event file, FOLDER/LABEL-ID/events.out.tfevents.spqat, which TensorBoard may read while it grows.
///
/// Its bytes follow from the run's record. A run that resumes keeps those that its checkpoint knows of and goes on behind them,
/// so that no point is there twice, and a TensorBoard that is running goes on too.
public final class TensorBoardLog {
  /// Where it is.
  public let path: String
  private let file: GrowingFile
  private var events: EventRecords

  /// Makes the file hold what is known of the run, and nothing else.
  /// - Parameters:
  ///   - folder: is made where it is missing.
  ///   - started: as in the run's provenance.
  ///   - distances: of the steps in a range.
  public init(
    in folder: String, id: String, label: String, started: String, epochs: [EpochRecord],
    distances: (ClosedRange<Int>) -> [WeightDistances]
  ) throws(Diagnostic) {
    let subfolder = "\(folder)/\(Self.name(id: id, label: label))"
    do {
      try FileManager.default.createDirectory(atPath: subfolder, withIntermediateDirectories: true)
    } catch {
      throw Diagnostic(cause: .system, subfolder, "cannot be made", remedy: "choose another folder for TensorBoard")
    }
    path = "\(subfolder)/events.out.tfevents.spqat"
    events = EventRecords(started: (try? Date(started, strategy: .iso8601))?.timeIntervalSince1970 ?? 0)
    file = try GrowingFile(at: path, holding: events.header + events.records(of: epochs, distances: distances))
  }

  /// Appends the epochs that are new.
  public func update(
    _ epochs: [EpochRecord], distances: (ClosedRange<Int>) -> [WeightDistances]
  ) throws(Diagnostic) {
    let new = events.records(of: epochs, distances: distances)
    if !new.isEmpty { try file.append(new) }
  }

  /// The label for people and the id; underscores for spaces and what paths do not like.
  static func name(id: String, label: String) -> String {
    let plain = "\(label.prefix(180))-\(id.prefix(40))".map { character in
      character.isASCII && (character.isLetter || character.isNumber || "._=+,%-".contains(character)) ? character : "_"
    }
    return String(plain)
  }
}

extension RunRecord {
  /// Writes the run's event file as a live one is written, in place of what is there.
  /// - Parameter folder: TensorBoard's, which holds a folder for each run; the record has its observation.
  /// - Returns: the file's path.
  public func writeTensorBoard(in folder: String) throws(Diagnostic) -> String {
    let log = try TensorBoardLog(in: folder, id: id, label: label, started: provenance.started, epochs: epochs) {
      observation?.distances.totals(in: $0) ?? []
    }
    return log.path
  }
}
