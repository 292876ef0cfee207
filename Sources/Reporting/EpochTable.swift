import Records
import Tables

/// All epochs of all runs in one long table, a row for each run and epoch: what data frames, and programs that draw from
/// them, start from.
enum EpochTable {
  /// In the order of the results' rows, then of seeds and epochs.
  ///
  /// The columns of an epoch are those of a run's file, shares in [0, 1] among them; before them stand the run's place in the sweep (the
  /// names of the results' table) and `id`, by which the table of runs can be joined.
  static func table(of records: [RunRecord]) -> Table {
    typealias Column = Table.Column
    let settings = Setting.settings(of: records)
    let runs = settings.flatMap { setting in setting.runs.map { (setting: setting, run: $0) } }
    let rows = runs.flatMap { row in row.run.epochs.map { _ in row } }
    func strings(_ value: (RunRecord) -> String) -> Column.Values { .strings(rows.map { value($0.run) }) }
    func integers(_ value: (RunRecord) -> Int) -> Column.Values { .integers(rows.map { value($0.run) }) }
    let before = [
      Column("id", description: "Names the run's file", strings(\.id)),
      Column("label", description: "How it differs from the others", strings(\.label)),
      Column("kind", description: "fullPrecision, fullQAT or freeze", strings(\.kind.rawValue)),
      Column(
        "method", description: "full precision, full QAT, or the recipe's freezing",
        .strings(rows.map(\.setting.method))),
      Column("recipe", description: "Generation of the published code", strings(\.recipe.rawValue)),
      Column(
        "weight_bits", unit: "bit", description: "Bits of a weight, 0 for full precision",
        integers { $0.bits?.weights ?? 0 }),
      Column(
        "activation_bits", unit: "bit", description: "Bits of an activation, 0 for full precision",
        integers { $0.bits?.activations ?? 0 }),
    ]
    let after = [
      Column("seed", description: "Seed of all random numbers", integers(\.provenance.seed)),
      Column(
        "parent", description: "Full-precision run it started from", strings { $0.provenance.parentRunID ?? "" }),
      Column("status", description: "finished, diverged or running", strings(\.outcome.status.rawValue)),
      Column(
        "exclusive", description: "Whether the run had the machine to itself, so that its seconds mean something",
        .booleans(rows.map(\.run.provenance.isExclusive))),
    ]
    let epochs = RunRecord.epochTable(of: runs.map(\.run)).columns
    var names = UniqueNames((before + after + epochs).map(\.name))
    let axes = axisNames(settings).flatMap { axis in
      axisColumns(axis, values: rows.map { $0.setting.axis(axis) ?? "" }, &names)
    }
    return Table(title: "Epochs of all runs", columns: before + axes + after + epochs)
  }
}
