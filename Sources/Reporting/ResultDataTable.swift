import Foundation
import Records
import Statistics
import Tables

extension ResultTable {
  static func dataTable(_ rows: [ResultRow], caption: String) -> Table {
    typealias Column = Table.Column
    func doubles(_ value: (SettingSummary) -> Double?) -> Column.Values {
      .doubles(rows.map { value($0.summary) ?? .nan })
    }
    func strings(_ value: (ResultRow) -> String) -> Column.Values { .strings(rows.map(value)) }
    func seconds(_ name: String, _ what: String, _ value: @escaping (SettingSummary) -> SettingSummary.Seconds)
      -> [Column]
    {
      func part(_ number: (Double, Summary?) -> Double?) -> Column.Values {
        doubles { if case .measured(let mean, let ratio) = value($0) { number(mean, ratio) } else { nil } }
      }
      return [
        Column("\(name)_seconds", unit: "s", description: "\(what), mean over the seeds", part { mean, _ in mean }),
        Column(
          "\(name)_ratio", description: "\(what) over that of full QAT, mean over the seeds that both have",
          part { _, ratio in ratio?.mean }),
        Column(
          "\(name)_ratio_standard_error", description: "Standard error of that mean",
          part { _, ratio in ratio?.standardError }),
      ]
    }
    var columns = [
      Column(
        "weight_bits", unit: "bit", description: "Bits of a weight, 0 for full precision",
        .integers(rows.map { $0.setting.bits?.weights ?? 0 })),
      Column(
        "activation_bits", unit: "bit", description: "Bits of an activation, 0 for full precision",
        .integers(rows.map { $0.setting.bits?.activations ?? 0 })),
      Column(
        "method", description: "full precision, full QAT, or the recipe's freezing", strings { $0.setting.method }),
      Column("recipe", description: "Generation of the published code", strings { $0.setting.recipe.rawValue }),
    ]
    columns += [
      Column(
        "other_settings", description: "What else tells rows apart that would read the same",
        strings { $0.distinction }),
      Column("n", description: "Seeds averaged", .integers(rows.map { $0.setting.finished.count })),
      Column(
        "not_finished", description: "Runs that diverged, failed or were interrupted: not averaged",
        .integers(rows.map { $0.setting.unfinished.count })),
      Column("top1", unit: "%", description: "Top-1 accuracy after the last epoch, mean", doubles { $0.topOne?.mean }),
      Column("top1_standard_error", unit: "%", description: "Standard error", doubles { $0.topOne?.standardError }),
      Column(
        "best_top1", unit: "%", description: "Best epoch's top-1, mean: chosen on test data, so not a result",
        doubles { $0.bestTopOne?.mean }),
      Column(
        "pairs", description: "Seeds that this row and full QAT both finished",
        .integers(rows.map { $0.summary.difference?.count ?? 0 })),
      Column(
        "difference", unit: "points", description: "Top-1 less that of full QAT with the same seed, mean",
        doubles { $0.difference?.mean }),
      Column(
        "difference_standard_error", unit: "points", description: "Standard error",
        doubles { $0.difference?.standardError }),
      Column(
        "weight_updates_eliminated", unit: "%", description: "Frozen / freezable weights, mean over all steps",
        doubles { $0.weightUpdatesEliminated?.mean }),
      Column(
        "weight_updates_eliminated_standard_error", unit: "%", description: "Standard error",
        doubles { $0.weightUpdatesEliminated?.standardError }),
      Column(
        "backward_flops_eliminated", unit: "%",
        description: "Frozen share x weight-gradient MACs / MACs of input and weight gradients, all layers",
        doubles { $0.backwardFLOPsEliminated?.mean }),
      Column(
        "backward_flops_eliminated_standard_error", unit: "%", description: "Standard error",
        doubles { $0.backwardFLOPsEliminated?.standardError }),
    ]
    columns += seconds("backward", "Time of input and weight gradients") { $0.backward }
    columns += seconds("training", "Time of training without evaluation") { $0.training }
    columns += [
      Column("published", description: "The papers' value for this row", strings { $0.summary.published }),
      Column("dataset", description: "Data set", strings { list($0.setting.runs.map(\.provenance.datasetName)) }),
      Column("commit", description: "Commit of the source", strings { list($0.setting.runs.map(\.commit)) }),
      Column("command", description: "Command", strings { list($0.setting.runs.map(\.provenance.commandLine)) }),
    ]
    var names = UniqueNames(columns.map(\.name))
    let axes = (rows.first?.axes ?? []).indices.flatMap { index in
      axisColumns(rows[0].axes[index].name, values: rows.map { $0.axes[index].value }, &names)
    }
    // Behind weight bits, activation bits, method and recipe.
    columns.insert(contentsOf: axes, at: 4)
    return Table(title: caption, columns: columns)
  }
}

/// An axis of a sweep as text, and as numbers where it has some; a value a row, "" where the row is not on the axis.
func axisColumns(_ axis: String, values: [String], _ names: inout UniqueNames) -> [Table.Column] {
  let wanted = axis.replacingOccurrences(of: ".", with: "_")
  let text = Table.Column(
    names.name(wanted, prefix: "axis_"), description: "Value on the sweep's axis \(axis)", .strings(values))
  let numbers = values.map(axisNumber)
  guard numbers.contains(where: { $0 != nil }) else { return [text] }
  return [
    text,
    Table.Column(
      names.name(text.name + "_number", prefix: "axis_"),
      description: "The same as a number: shares of the run as fractions, missing for words",
      .doubles(numbers.map { $0 ?? .nan })),
  ]
}
