import Files
import Foundation
public import Records
public import Storage
public import Tables

/// The table of an experiment: a row for each setting, averaged over the seeds.
public struct ResultTable: Sendable {
  /// One sentence on what the table shows.
  public let caption: String
  /// What a reader must know to trust and repeat it: n, spread, data, command, commit, failures.
  public let notes: [String]
  /// Numbers in columns of their own, for programs; a missing number is NaN.
  public let data: Table
  /// The same for readers: text with mean ± standard error.
  public let readable: Table
  /// A row for each run, finished or not.
  public let runs: Table

  /// - Parameter problems: lines on files that could not be read, repeated in the notes.
  public init(runs records: [RunRecord], caption: String, problems: [String] = []) {
    // In the order of the rows, so that nothing depends on the order of the files.
    let records = Setting.settings(of: records).flatMap(\.runs)
    let rows = Self.rows(records)
    self.caption = caption
    notes = Self.notes(rows, records: records, problems: problems)
    data = Self.dataTable(rows, caption: caption)
    readable = Self.readableTable(rows, caption: caption)
    runs = Self.runTable(records)
  }

  public static let format = FileFormat(name: "spqat-table", version: 1)

  public func markdown() -> String {
    readable.markdown() + "\n" + notes.map { "- \(Self.escapedForMarkdown($0))\n" }.joined()
  }

  /// The notes are part of the caption, so that they stay with the table wherever LaTeX floats it.
  public func latex() -> String {
    Table(title: ([caption + "."] + notes).joined(separator: " "), columns: readable.columns).latex()
  }

  /// Writes `PREFIX.h5` (`/table`, `/runs`, and caption and notes as attributes of the root), `PREFIX.md`, `PREFIX.csv` and
  /// `PREFIX.tex`, each replaced as a whole.
  public func write(prefix: String) throws {
    try HDF5File.writeAtomically(to: prefix + ".h5") { root in
      try Self.format.stamp(root)
      try root.setAttribute("caption", to: caption)
      try root.write(notes.joined(separator: "\n"), to: "notes")
      try root.write(data, to: "table")
      try root.write(runs, to: "runs")
    }
    try replaceFile(at: prefix + ".md", with: markdown())
    try replaceFile(at: prefix + ".csv", with: data.csv())
    try replaceFile(at: prefix + ".tex", with: latex())
  }

  private static func escapedForMarkdown(_ text: String) -> String {
    var result = ""
    for character in text {
      if "\\*_`<[]".contains(character) { result += "\\" }
      result.append(character)
    }
    return result
  }

  // MARK: - Rows

  private struct Row {
    let summary: SettingSummary
    /// Values of the sweep's further axes, by name.
    let axes: [(name: String, value: String)]
    /// What tells this row from others that would read the same.
    let distinction: String
    var setting: Setting { summary.setting }
  }

  private static func rows(_ records: [RunRecord]) -> [Row] {
    let summaries = SettingSummary.summaries(of: records)
    let names = axisNames(summaries)
    let visible = summaries.map { summary in
      ([summary.setting.recipe.rawValue, "\(summary.setting.bits?.description ?? "")", summary.setting.method]
        + names.map { summary.setting.axis($0) ?? "" }).joined(separator: "\u{1F}")
    }
    return summaries.indices.map { index in
      let alike = summaries.indices.filter { visible[$0] == visible[index] }.map { summaries[$0].setting }
      let mine = summaries[index].setting.configuration
      let keys = Set(alike.flatMap(\.configuration.values.keys)).filter { key in
        alike.contains { $0.configuration[key] != mine[key] }
      }
      return Row(
        summary: summaries[index], axes: names.map { ($0, summaries[index].setting.axis($0) ?? "") },
        distinction: keys.sorted().map { "\($0)=\(mine[$0]?.description ?? "default")" }.joined(separator: ", "))
    }
  }

  /// In the order of the sweep.
  private static func axisNames(_ summaries: [SettingSummary]) -> [String] {
    var names: [String] = []
    for axis in summaries.flatMap(\.setting.axes) where !names.contains(axis.name) { names.append(axis.name) }
    return names
  }

  // MARK: - Tables

  private static func dataTable(_ rows: [Row], caption: String) -> Table {
    typealias Column = Table.Column
    func doubles(_ value: (SettingSummary) -> Double?) -> Column.Values {
      .doubles(rows.map { value($0.summary) ?? .nan })
    }
    func strings(_ value: (Row) -> String) -> Column.Values { .strings(rows.map(value)) }
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
      Column("method", description: "full precision, full QAT or SpQAT", strings { $0.setting.method }),
      Column("recipe", description: "Generation of the published code", strings { $0.setting.recipe.rawValue }),
    ]
    for (index, axis) in (rows.first?.axes ?? []).enumerated() {
      columns.append(
        Column(
          axis.name.replacingOccurrences(of: ".", with: "_"), description: "Value on the sweep's axis \(axis.name)",
          strings { $0.axes[index].value }))
    }
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
    return Table(title: caption, columns: columns)
  }

  private static func readableTable(_ rows: [Row], caption: String) -> Table {
    typealias Column = Table.Column
    let severalRecipes = Set(rows.map(\.setting.recipe)).count > 1
    var columns: [Column] = []
    func add(_ name: String, _ heading: String, unless isMissing: Bool = false, _ value: (Row) -> String) {
      guard !isMissing else { return }
      columns.append(Column(name, heading: heading, .strings(rows.map(value))))
    }
    add("bits", "W/A bits") { $0.setting.bits?.description ?? "32/32" }
    add("method", "Method") { $0.setting.method }
    add("recipe", "Recipe", unless: !severalRecipes) { $0.setting.recipe.rawValue }
    for (index, axis) in (rows.first?.axes ?? []).enumerated() {
      add(axis.name, axisHeading(axis.name)) { $0.axes[index].value.isEmpty ? "–" : $0.axes[index].value }
    }
    add("other", "Other settings", unless: rows.allSatisfy(\.distinction.isEmpty)) { $0.distinction }
    add("top1", "Top-1 (%)") { text($0.summary.topOne, decimals: 2) }
    add("n", "n") { "\($0.setting.finished.count)" }
    add("difference", "Difference to full QAT (points)") { row in
      guard let difference = row.summary.difference else { return "–" }
      let pairs = difference.count == row.setting.finished.count ? "" : " (\(difference.count) pairs)"
      return text(difference, decimals: 2, signed: true) + pairs
    }
    add("updates", "Weight updates eliminated (%)") { text($0.summary.weightUpdatesEliminated, decimals: 1) }
    add("flops", "Backward FLOPs eliminated (%)") { text($0.summary.backwardFLOPsEliminated, decimals: 1) }
    add("backward", "Backward time (× full QAT)") { text($0.summary.backward) }
    add("training", "Training time (× full QAT)") { text($0.summary.training) }
    add("published", "Published") { $0.summary.published }
    return Table(title: caption, columns: columns)
  }

  private static func runTable(_ records: [RunRecord]) -> Table {
    typealias Column = Table.Column
    func doubles(_ value: (RunRecord) -> Double?) -> Column.Values { .doubles(records.map { value($0) ?? .nan }) }
    func strings(_ value: (RunRecord) -> String) -> Column.Values { .strings(records.map(value)) }
    return Table(
      title: "Runs",
      columns: [
        Column("id", description: "Names the run's file", strings(\.id)),
        Column("label", description: "How it differs from the others", strings(\.label)),
        Column("kind", description: "fullPrecision, fullQAT or freeze", strings(\.kind.rawValue)),
        Column("seed", description: "Seed of all random numbers", .integers(records.map(\.provenance.seed))),
        Column("status", description: "finished, diverged, failed or running", strings(\.outcome.status.rawValue)),
        Column("top1", description: "Test accuracy after the last epoch", doubles(\.outcome.finalTopOne)),
        Column(
          "best_top1", description: "Best epoch's, chosen on test data: not a result", doubles(\.outcome.bestTopOne)),
        Column(
          "weight_updates_eliminated", description: "Frozen / freezable weights, mean over all steps",
          doubles(\.outcome.weightUpdatesEliminated)),
        Column(
          "backward_flops_eliminated", description: "Share of the backward pass's MACs saved",
          doubles(\.outcome.backwardFLOPsEliminated)),
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

  /// "91.20 ± 0.15", "91.20 ± –" for one value, "–" for none.
  private static func text(_ summary: Summary?, decimals: Int, signed: Bool = false) -> String {
    guard let summary else { return "–" }
    let mean = String(format: signed ? "%+.\(decimals)f" : "%.\(decimals)f", summary.mean)
    return mean + " ± " + (summary.standardError.map { String(format: "%.\(decimals)f", $0) } ?? "–")
  }

  private static func text(_ seconds: SettingSummary.Seconds) -> String {
    switch seconds {
    case .notMeasured: "not measured"
    case .measured(let mean, let ratio):
      String(format: "%.1f s", mean) + (ratio.map { String(format: " (%.2f)", $0.mean) } ?? "")
    }
  }

  // MARK: - Notes

  private static func notes(_ rows: [Row], records: [RunRecord], problems: [String]) -> [String] {
    var notes = [
      "Top-1: test accuracy after the last epoch; mean ± standard error of the mean over n seeds; – where n = 1. "
        + "Differences are paired by seed."
    ]
    let frozen = rows.filter { $0.setting.kind == .freeze }
    if !frozen.isEmpty {
      notes.append(
        "Weight updates eliminated: frozen / freezable weights, mean over all steps. Backward FLOPs eliminated: frozen share × "
          + "weight-gradient MACs / (input-gradient + weight-gradient MACs), over all layers.")
      notes.append("Freezing: " + freezing(frozen) + ".")
    }
    let sharesParent = Set(records.compactMap(\.provenance.parentRunID)).count == 1
    if sharesParent {
      notes.append(
        "All quantized runs start from one full-precision network, whose own variance is in none of the spreads.")
    }
    let withoutBaseline = frozen.filter { $0.summary.baseline == nil }
    if !withoutBaseline.isEmpty {
      notes.append("\(withoutBaseline.count) row(s) have no full-QAT run with the same settings to be compared with.")
    }
    let hasSeconds = rows.contains { if case .measured = $0.summary.training { true } else { false } }
    if rows.contains(where: { if case .notMeasured = $0.summary.training { true } else { false } }) {
      notes.append("Times are not measured where a run shared the machine with others or ran on another machine.")
    }
    if hasSeconds {
      notes.append(
        "Backward time: input and weight gradients. Training time: everything but evaluation. Machine: "
          + list(
            records.map {
              "\($0.provenance.cpuModel), \($0.provenance.threads) threads, \($0.provenance.instructionSet)"
            })
          + ".")
    }
    for run in rows.flatMap(\.setting.unfinished) {
      let reason = run.outcome.message.map { ": \($0)" } ?? ""
      notes.append("Not averaged: \(run.label) (\(run.id)) \(run.outcome.status.rawValue)\(reason).")
    }
    notes.append("Data: " + list(records.map(dataDescription)) + ".")
    notes.append("Training: " + list(rows.map { length($0.setting) }) + ".")
    notes.append("Seeds: " + list(records.filter { $0.kind != .fullPrecision }.map { "\($0.provenance.seed)" }) + ".")
    notes.append("Command: " + list(records.map(\.provenance.commandLine)) + ".")
    notes.append("Commit: " + list(records.map(\.commit)) + ".")
    notes += problems.map { "Left out: \($0)." }
    return notes
  }

  private static func freezing(_ rows: [Row]) -> String {
    let varied = Set(rows.flatMap { $0.axes.filter { !$0.value.isEmpty }.map(\.name) })
    return list(
      rows.map { row in
        let configuration = row.setting.configuration
        var parts: [String] = []
        if !varied.contains("freezing.threshold"), let schedule = configuration["freezing.threshold"] {
          parts.append("threshold \(schedule)")
        }
        if !varied.contains("freezing.start"), let start = configuration["freezing.startStep"] {
          parts.append("start after step \(start)" + (configuration["totalSteps"].map { " of \($0)" } ?? ""))
        }
        if !varied.contains("freezing.distanceEMA"), let momentum = configuration["freezing.distanceEMA"] {
          parts.append("EMA momentum \(momentum)")
        }
        return parts.isEmpty ? "as in the rows" : parts.joined(separator: ", ")
      })
  }

  private static func dataDescription(_ run: RunRecord) -> String {
    let subset = run.settings["data.subset"].map { "a fixed subset of \($0) training images, " } ?? ""
    return "\(run.provenance.datasetName) (\(subset)SHA-256 \(run.provenance.datasetHash.prefix(12)))"
  }

  private static func length(_ setting: Setting) -> String {
    let run = setting.runs[0]
    let epochs = setting.runs.compactMap(\.epochs.last?.epoch).max() ?? 0
    let kind = setting.kind == .fullPrecision ? "full precision" : "quantized"
    let batch = run.settings["batchSize"].map { " of \($0) images" } ?? ""
    return "\(kind) \(epochs) epoch\(epochs == 1 ? "" : "s") (\(run.outcome.steps) steps\(batch))"
  }
}

extension RunRecord {
  /// The abbreviated commit, marked where the source had been changed.
  fileprivate var commit: String {
    provenance.gitCommit.prefix(12) + (provenance.isDirty ? " with local changes" : "")
  }
}

/// The distinct texts in order of appearance.
private func list(_ texts: [String]) -> String {
  var distinct: [String] = []
  for text in texts where !text.isEmpty && !distinct.contains(text) { distinct.append(text) }
  return distinct.isEmpty ? "not recorded" : distinct.joined(separator: "; ")
}

/// Writes the table of an experiment's runs as `PREFIX.h5`, `.md`, `.csv` and `.tex`.
///
/// - Parameters:
///   - runs: all of them, also full-precision and unfinished ones.
///   - caption: one sentence without a full stop.
///   - prefix: such as "results/table2"; the folder exists.
public func writeTables(runs: [RunRecord], caption: String, prefix: String) throws {
  try ResultTable(runs: runs, caption: caption).write(prefix: prefix)
}

extension RunCollection {
  /// A caption for the collection's table: name, networks and data.
  public var caption: String {
    let names: [String: String] = ["resnet20": "ResNet-20"]
    let models = runs.compactMap { $0.settings.text("model.architecture") }.map { names[$0] ?? $0 }
    let title =
      switch name {
      case "table2": "Table 2: full QAT beside SpQAT by bit width"
      default: "\(name): full QAT beside SpQAT"
      }
    return "\(title), \(models.isEmpty ? "" : list(models) + " on ")\(list(runs.map(\.provenance.datasetName)))"
  }
}
