import Configuration
import Foundation
public import Records

/// Experiments of one root share their runs: an id says everything that changes a run's outcome, so a run that one of them
/// has finished is finished for all.
extension ResultsDirectory {
  /// A finished run of this id under another experiment of the same root, the first by name; nil where there is none.
  ///
  /// `wholly`: with its tensors and observation.
  /// Files that cannot be read count as absent: the run can be trained here whatever is wrong there.
  public func finishedElsewhere(
    _ id: String, wholly: Bool = false
  ) -> (experiment: String, record: RunRecord)? {
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).sorted()
    for other in names.map({ ResultsDirectory(root: root, name: $0) })
    where other.name != name && FileManager.default.fileExists(atPath: other.runFile(id)) {
      if let record = try? other.record(id, includingTensors: wholly, includingObservation: wholly),
        record.outcome.status == .finished
      {
        return (other.name, record)
      }
    }
    return nil
  }

  /// Files a run here that another experiment of the same root has finished.
  ///
  /// The copy bears this experiment's label and axes, by which its tables and figures sort; everything else, times too,
  /// stays as it was recorded there. It replaces its file in one piece (`replaceFile`), like that of a run trained here.
  /// - Returns: the other experiment's name; nil where nothing was filed: none has finished it, there is a file here, or
  ///   another process is training it.
  /// - Throws: where the copy cannot be written.
  public func takeOver(_ run: PlannedRun) throws -> String? {
    guard !FileManager.default.fileExists(atPath: runFile(run.id)), finishedElsewhere(run.id) != nil,
      let lock = try RunLock(path: lock(run.id))
    else { return nil }
    defer { withExtendedLifetime(lock) {} }
    // Another process may have filed it between the look and the lock.
    guard !FileManager.default.fileExists(atPath: runFile(run.id)),
      let found = finishedElsewhere(run.id, wholly: true)
    else { return nil }
    var record = found.record
    record.label = run.label
    record.axes = run.recordedAxes
    try RunFile.write(record, to: runFile(run.id))
    unlink(checkpoint(run.id))
    return found.experiment
  }
}

extension PlannedRun {
  /// `axisValues` as run files hold them.
  var recordedAxes: [AxisSetting] {
    axisValues.map { AxisSetting(name: $0.path.description, value: $0.value.plain) }
  }
}
