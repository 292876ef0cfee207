public import Diagnostics
import LotteryTicket
public import Records

/// What the recorded levels of an experiment's runs say, each run that freezes judged by the full QAT of the same seed and parent.
public struct ObservedRuns: Sendable {
  /// By id.
  let runs: [String: ObservedRun]
  /// By id: the mean agreement of the final levels of two runs of full QAT like this run's reference that differ in their seed alone.
  let ceilings: [String: Double]
  /// Lines on runs that say nothing, or less, and why.
  public let remarks: [String]

  /// Nothing observed.
  init() {
    runs = [:]
    ceilings = [:]
    remarks = []
  }

  /// - Parameter read: gives a run's record of its levels, nil where it holds none. It is asked once or twice for each run, and
  ///   what it gives is not kept.
  public init(
    _ records: [RunRecord], read: (RunRecord) throws(Diagnostic) -> ObservationRecord?
  ) throws(Diagnostic) {
    var runs: [String: ObservedRun] = [:]
    var ceilings: [String: Double] = [:]
    var (without, unpaired): ([RunRecord], [RunRecord]) = ([], [])
    let settings = Setting.settings(of: records).filter { $0.kind != .fullPrecision }
    var families: [Setting.Family] = []
    for setting in settings where !families.contains(setting.family) { families.append(setting.family) }
    for family in families {
      let members = settings.filter { $0.family == family }.flatMap(\.finished)
      // One for each seed and parent: full QAT, else a shadow run.
      var references: [(run: RunRecord, record: ObservationRecord)] = []
      let free = members.filter(\.kind.trainsEveryWeight).sorted { $0.kind == .fullQAT && $1.kind != .fullQAT }
      for run in free where !references.contains(where: { $0.run.startsLike(run) }) {
        if let record = try read(run) { references.append((run, record)) }
      }
      let ceiling = Self.ceiling(references)
      for run in members {
        let known = references.first { $0.run.id == run.id }?.record
        guard let record = known == nil ? try read(run) : known else {
          without.append(run)
          continue
        }
        let reference = references.first { $0.run.startsLike(run) && $0.record.weights == record.weights }
        if reference == nil { unpaired.append(run) }
        runs[run.id] = ObservedRun(run, record, reference: reference?.record)
        ceilings[run.id] = ceiling
      }
    }
    self.runs = runs
    self.ceilings = ceilings
    remarks = Self.remarks(runs: runs, without: without, unpaired: unpaired)
  }

  /// Over all pairs of different seeds that start from the same network.
  private static func ceiling(_ references: [(run: RunRecord, record: ObservationRecord)]) -> Double? {
    var shares: [Double] = []
    for (index, first) in references.enumerated() {
      for second in references[(index + 1)...]
      where first.run.provenance.parentRunID == second.run.provenance.parentRunID
        && first.record.weights == second.record.weights
      {
        if let share = finalAgreement(first.record, second.record).value { shares.append(share) }
      }
    }
    return shares.isEmpty ? nil : shares.reduce(0, +) / Double(shares.count)
  }

  private static func remarks(
    runs: [String: ObservedRun], without: [RunRecord], unpaired: [RunRecord]
  ) -> [String] {
    var remarks: [String] = []
    if !without.isEmpty {
      remarks.append(
        "No record of levels, so nothing is known of \(without.count) run(s) (made by an earlier program: train them again): "
          + labels(without) + ".")
    }
    if !unpaired.isEmpty {
      remarks.append(
        "No finished full QAT (or shadow run) with the same seed and parent to judge \(unpaired.count) run(s) by: "
          + labels(unpaired) + ".")
    }
    return remarks
  }

  private static func labels(_ runs: [RunRecord]) -> String {
    let shown = runs.prefix(3).map { "\($0.label) (\($0.id))" }.joined(separator: ", ")
    return runs.count > 3 ? "\(shown) and \(runs.count - 3) more" : shown
  }
}

extension RunRecord {
  /// Whether both begin with the same weights and see the same batches.
  fileprivate func startsLike(_ other: RunRecord) -> Bool {
    provenance.seed == other.provenance.seed && provenance.parentRunID == other.provenance.parentRunID
  }
}

extension RunCollection {
  /// Reads the records of levels in the runs' files, one after another.
  ///
  /// - Throws: where a file that could be read before no longer can.
  public func observed() throws(Diagnostic) -> ObservedRuns {
    try ObservedRuns(runs) { (run) throws(Diagnostic) in
      guard let path = files[run.id] else { return nil }
      return try RunFile.read(path, includingTensors: false, includingObservation: true).observation
    }
  }
}
