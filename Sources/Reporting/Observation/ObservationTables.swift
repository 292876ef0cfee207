import Files
import LotteryTicket
public import Records
import Statistics
public import Storage
public import Tables

/// The tables of `spqat observe`: what the recorded levels of an experiment's runs say, for programs and for readers.
public struct ObservationTables: Sendable {
  /// Of `PREFIX.h5`.
  public static let format = FileFormat(name: "spqat-observation", version: 1)

  /// For programs, a row a run and what else the name says; shares in [0, 1].
  public let data: [(name: String, table: Table)]
  /// For readers, a row a setting, in percent, means over the seeds.
  public let readable: [Table]
  /// What the columns mean, and what is left out and why.
  public let notes: [String]

  /// - Parameter name: the experiment's.
  public init(_ records: [RunRecord], observed: ObservedRuns, name: String) {
    let settings = ObservedSetting.settings(of: records, observed)
    let runs = settings.flatMap { setting in setting.runs.map { (setting: setting, run: $0) } }
    data = [
      ("shares", Self.shares(runs)), ("layers", Self.layers(runs)), ("identification", Self.identification(runs)),
      ("discrimination", Self.discrimination(runs)), ("thresholds", Self.thresholds(runs)),
      ("distances", Self.distances(runs)),
    ].filter { $0.1.rowCount > 0 }
    readable = [
      Self.readableShares(settings, name: name), Self.readableIdentification(settings, name: name),
      Self.readableThresholds(settings, name: name),
    ].filter { $0.rowCount > 0 }
    notes = Self.notes(settings) + observed.remarks
  }

  /// Whether no run holds a record of its levels.
  public var isEmpty: Bool { data.isEmpty }

  /// The readable tables, and the notes as a list below them.
  public func markdown() -> String {
    (readable.map { $0.markdown() } + [notes.map { "- \($0)\n" }.joined()]).joined(separator: "\n")
  }

  /// Writes `PREFIX.h5` with all tables for programs, each of them as `PREFIX-NAME.csv`, and the readable ones as `PREFIX.md`.
  ///
  /// - Returns: the paths written.
  public func write(prefix: String) throws -> [String] {
    try HDF5File.writeAtomically(to: "\(prefix).h5") { root in
      try Self.format.stamp(root)
      try root.write(notes.joined(separator: "\n"), to: "notes")
      for (name, table) in data { try root.write(table, to: name) }
    }
    for (name, table) in data { try replaceFile(at: "\(prefix)-\(name).csv", with: table.csv()) }
    try replaceFile(at: "\(prefix).md", with: markdown())
    return ["\(prefix).h5"] + data.map { "\(prefix)-\($0.name).csv" } + ["\(prefix).md"]
  }

  // MARK: - For programs

  private typealias Row = (setting: ObservedSetting, run: ObservedRun)
  private typealias Column = Table.Column

  private static func leading(_ rows: [Row]) -> [Column] {
    func strings(_ value: (Row) -> String) -> Column.Values { .strings(rows.map(value)) }
    return [
      Column("id", description: "Names the run's file", strings(\.run.run.id)),
      Column("bits", description: "Weights and activations", strings(\.setting.bits)),
      Column("setting", description: "Method, and values on the sweep's axes", strings(\.setting.name)),
      Column("kind", description: "What the run trained", strings(\.run.run.kind.rawValue)),
      Column("seed", description: "Seed of all random numbers", .integers(rows.map(\.run.run.provenance.seed))),
    ]
  }

  private static func shareColumns(_ shares: [ObservedRun.Shares]) -> [Column] {
    func doubles(_ value: (ObservedRun.Shares) -> Double?) -> Column.Values {
      .doubles(shares.map { value($0) ?? .nan })
    }
    return [
      Column("step", description: "Training forward, from 1", .integers(shares.map(\.step))),
      Column("progress", description: "step / all steps", doubles(\.progress)),
      Column("settled", description: "S(t): weights that have their final level and keep it", doubles(\.settled)),
      Column(
        "reached", description: "R(t): weights that have their final level, at recorded moments", doubles(\.reached)),
      Column("chance", description: "C(t): R(t) if the levels had nothing to do with one another", doubles(\.chance)),
      Column(
        "decided", description: "Weights frozen, or in a shadow run those that would have been", doubles(\.decided)),
    ]
  }

  private static func shares(_ runs: [Row]) -> Table {
    let rows = runs.flatMap { row in row.run.shares.map { (row: row, shares: $0) } }
    return Table(
      title: "Settled and reached shares",
      columns: leading(rows.map(\.row)) + shareColumns(rows.map(\.shares)) + [
        Column(
          "ceiling", description: "Mean agreement of the final levels of two seeds of full QAT",
          .doubles(rows.map { $0.row.setting.ceilings[$0.row.run.run.id] ?? .nan }))
      ])
  }

  private static func layers(_ runs: [Row]) -> Table {
    let rows = runs.flatMap { row in
      row.run.layers.enumerated().flatMap { position, layer in
        layer.shares.map { (row: row, position: position, layer: layer.layer, shares: $0) }
      }
    }
    return Table(
      title: "Settled and reached shares by layer",
      columns: leading(rows.map(\.row)) + [
        Column("position", description: "From the input", .integers(rows.map(\.position))),
        Column("layer", .strings(rows.map(\.layer))),
      ] + shareColumns(rows.map(\.shares)))
  }

  private static func identification(_ runs: [Row]) -> Table {
    let rows = runs.compactMap { row in row.run.identification.map { (row: row, value: $0) } }
    func doubles(_ value: (Identification) -> Double?) -> Column.Values {
      .doubles(rows.map { value($0.value) ?? .nan })
    }
    return Table(
      title: "Identification",
      columns: leading(rows.map(\.row)) + [
        Column("criterion", .strings(rows.map { $0.row.run.run.criterion })),
        Column(
          "decided", description: "Weights that the criterion decided upon, of all that it may",
          doubles(\.decided.value)),
        Column(
          "agreement", description: "A: decided weights whose level then is the one that full QAT ends with",
          doubles(\.agreement.value)),
        Column("chance", description: "A if the two levels had nothing to do with one another", doubles(\.chance)),
        Column(
          "clock", description: "Full QAT's agreement with its own end at the moments of the decisions",
          doubles(\.clock.value)),
        Column(
          "undecided", description: "Agreement of the weights undecided at the same moments", doubles(\.undecided)),
        Column(
          "comparable", description: "A of those decided weights that have undecided ones beside them",
          doubles(\.comparable.value)),
        Column("lift", description: "comparable / undecided", doubles(\.lift)),
        Column(
          "ceiling", description: "Mean agreement of the final levels of two seeds of full QAT",
          .doubles(rows.map { $0.row.setting.ceilings[$0.row.run.run.id] ?? .nan })),
        Column(
          "final", description: "All weights whose last level is the one that full QAT ends with",
          doubles(\.final.value)),
        Column(
          "auc", description: "Area under the ROC curve of minus the distance, mean over the recorded steps",
          .doubles(rows.map { $0.row.run.areaUnderCurve ?? .nan })),
        Column(
          "top1", description: "Test accuracy after the last epoch",
          .doubles(rows.map { $0.row.run.run.outcome.finalTopOne ?? .nan })),
        Column(
          "weight_updates_eliminated", description: "Frozen / freezable weights, mean over all steps",
          .doubles(rows.map { $0.row.run.run.outcome.weightUpdatesEliminated ?? .nan })),
      ])
  }

  private static func discrimination(_ runs: [Row]) -> Table {
    let rows = runs.flatMap { row in row.run.discriminations.map { (row: row, step: $0.step, value: $0.discrimination) }
    }
    return Table(
      title: "Distances as a sign of final levels",
      columns: leading(rows.map(\.row)) + [
        Column("step", description: "Training forward, from 1", .integers(rows.map(\.step))),
        Column("weights", description: "Weights looked at", .integers(rows.map(\.value.weights))),
        Column(
          "ending", description: "Of them, those that end with their level",
          .integers(rows.map { $0.value.ending.reduce(0, +) })),
        Column(
          "auc", description: "Area under the ROC curve of minus the distance, ties counted half",
          .doubles(rows.map { $0.value.areaUnderCurve ?? .nan })),
      ])
  }

  /// Of runs that train every weight and keep averages: elsewhere frozen weights end with their level as a matter of course.
  private static func thresholds(_ runs: [Row]) -> Table {
    let rows = runs.filter { $0.run.isShadow }.flatMap { row in
      row.run.discriminations.flatMap { step, discrimination in
        discrimination.decisions().map { (row: row, step: step, decision: $0) }
      }
    }
    func doubles(_ value: (Discrimination.Decision) -> Double?) -> Column.Values {
      .doubles(rows.map { value($0.decision) ?? .nan })
    }
    return Table(
      title: "Precision and recall by threshold",
      columns: leading(rows.map(\.row)) + [
        Column("step", description: "Training forward, from 1", .integers(rows.map(\.step))),
        Column("threshold", description: "λ, in spacings of a level", doubles(\.threshold)),
        Column("decided", description: "Weights with an average distance up to λ", doubles(\.decided.value)),
        Column("precision", description: "Of them, those that end with their level", doubles(\.precision.value)),
        Column("recall", description: "Of those that end with their level, the ones up to λ", doubles(\.recall.value)),
      ])
  }

  private static func distances(_ runs: [Row]) -> Table {
    let rows = runs.flatMap { row in
      DistanceBins.upperEdges.indices.map { (row: row, bin: $0) }
    }.filter { $0.bin < $0.row.run.distances.start.count }
    func doubles(_ value: (ObservedRun.Distances, Int) -> Double?) -> Column.Values {
      .doubles(rows.map { value($0.row.run.distances, $0.bin) ?? .nan })
    }
    return Table(
      title: "Distances to levels",
      columns: leading(rows.map(\.row)) + [
        Column(
          "distance", description: "D/u, upper end of a bin", .doubles(rows.map { DistanceBins.upperEdges[$0.bin] })),
        Column("start", description: "Share of the weights in the first step", doubles { $0.start[$1] }),
        Column(
          "decision", description: "Share of the decided weights in the step of the decision",
          doubles { $0.decision?[$1] }),
        Column("end", description: "Share of the weights in the last step", doubles { $0.end[$1] }),
      ])
  }
}
