import Records
import Tables

extension ResultTable {
  static func runTable(_ records: [RunRecord]) -> Table {
    typealias Column = Table.Column
    func doubles(_ value: (RunRecord) -> Double?) -> Column.Values { .doubles(records.map { value($0) ?? .nan }) }
    func percent(_ value: (RunRecord) -> Double?) -> Column.Values { doubles { value($0).map { 100 * $0 } } }
    func strings(_ value: (RunRecord) -> String) -> Column.Values { .strings(records.map(value)) }
    return Table(
      title: "Runs",
      columns: [
        Column("id", description: "Names the run's file", strings(\.id)),
        Column("label", description: "How it differs from the others", strings(\.label)),
        Column("kind", description: "fullPrecision, fullQAT or freeze", strings(\.kind.rawValue)),
        Column("seed", description: "Seed of all random numbers", .integers(records.map(\.provenance.seed))),
        Column("status", description: "finished, diverged or running", strings(\.outcome.status.rawValue)),
        Column("top1", unit: "%", description: "Test accuracy after the last epoch", percent(\.outcome.finalTopOne)),
        Column(
          "best_top1", unit: "%", description: "Best epoch's, chosen on test data: not a result",
          percent(\.outcome.bestTopOne)),
        Column(
          "weight_updates_eliminated", unit: "%", description: "Frozen / freezable weights, mean over all steps",
          percent(\.outcome.weightUpdatesEliminated)),
        Column(
          "backward_flops_eliminated", unit: "%", description: "Share of the backward pass's MACs saved",
          percent(\.outcome.backwardFLOPsEliminated)),
        Column(
          "backward_seconds", unit: "s", description: "Time of input and weight gradients",
          doubles(\.outcome.backwardSeconds)),
        Column(
          "training_seconds", unit: "s", description: "Time of training without evaluation", doubles(\.trainingSeconds)),
        Column(
          "exclusive", description: "Whether the run had the machine to itself",
          .booleans(records.map(\.provenance.isExclusive))),
        Column("steps", description: "Training steps", .integers(records.map(\.outcome.steps))),
        Column(
          "parent", description: "Full-precision run it started from", strings { $0.provenance.parentRunID ?? "" }),
        Column("commit", description: "Commit of the source", strings(\.commit)),
        Column("command", description: "Command", strings(\.provenance.commandLine)),
      ])
  }
}
