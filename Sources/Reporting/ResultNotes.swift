import Foundation
import Records

extension ResultTable {
  static func notes(_ rows: [ResultRow], records: [RunRecord], problems: [String]) -> [String] {
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
      if frozen.contains(where: { hasForeseeableSavings($0.setting) }) {
        notes.append(
          "With a linear threshold and without an average of distances (m = 0) the eliminated share follows from the schedule, about "
            + "0.75 × (1 − start) whatever the data: distances spread evenly over half a level's spacing, so that a weight freezes in the "
            + "first half of the time left.")
      }
    }
    let parents = Set(records.compactMap(\.provenance.parentRunID)).count
    if parents > 1 {
      notes.append(
        "Quantized runs start from \(parents) full-precision networks; the variance between those is only in the spreads of "
          + "rows whose seeds start from different ones.")
    }
    if parents == 1 {
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
    let parts = records.compactMap { $0.settings["microbatch"]?.description }
    if !parts.isEmpty {
      notes.append(
        "Batches passed through the network in parts of " + list(parts)
          + " images: batch norm took the statistics of each part, "
          + "quantizers their start from the first; gradients were summed over a step, and weights froze once a step.")
    }
    notes.append("Seeds: " + list(records.filter { $0.kind != .fullPrecision }.map { "\($0.provenance.seed)" }) + ".")
    notes.append("Command: " + list(records.map(\.provenance.commandLine)) + ".")
    notes.append("Commit: " + list(records.map(\.commit)) + ".")
    let skipped = records.filter { $0.outcome.skippedImages != nil || $0.outcome.skippedTestImages != nil }
    notes += skipped.map { run in
      "Corrupt pictures were skipped in \(run.label) (\(run.id)): \(run.outcome.skippedImages ?? 0) times in training, "
        + "\(run.outcome.skippedTestImages ?? 0) in the last evaluation."
    }
    notes += problems.map { "Left out: \($0)." }
    return notes
  }

  /// λ rises from 0 to 1, a distance is at most u/2, and without an average it is compared as it is: with distances spread evenly
  /// min(1, 2λ) of the weights are frozen at λ, in the mean over the time after the start ∫ min(1, 2λ) dλ = 3/4.
  private static func hasForeseeableSavings(_ setting: Setting) -> Bool {
    let criterion = setting.configuration["freezing.criterion"]?.description ?? "distance"
    let momentum = setting.configuration["freezing.distanceEMA"].flatMap { Double($0.description) }
    return criterion == "distance" && momentum == 0 && setting.configuration.text("freezing.threshold") == "linear"
  }

  private static func freezing(_ rows: [ResultRow]) -> String {
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
    let crop = run.settings["images.crop"].map { "images of \($0)x\($0) out of pictures of any size, " } ?? ""
    return "\(run.provenance.datasetName) (\(subset)\(crop)SHA-256 \(run.provenance.datasetHash.prefix(12)))"
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
  var commit: String {
    provenance.gitCommit.prefix(12) + (provenance.isDirty ? " with local changes" : "")
  }
}

/// The distinct texts in order of appearance.
func list(_ texts: [String]) -> String {
  var distinct: [String] = []
  for text in texts where !text.isEmpty && !distinct.contains(text) { distinct.append(text) }
  return distinct.isEmpty ? "not recorded" : distinct.joined(separator: "; ")
}
