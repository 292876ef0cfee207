import LotteryTicket
import Records
import Statistics

/// The observed runs of one setting, a seed each.
struct ObservedSetting {
  let setting: Setting
  /// Bits of weights and activations.
  let bits: String
  /// Method, and values on the sweep's axes.
  let name: String
  /// By seed; at least one.
  let runs: [ObservedRun]
  /// By the runs' ids.
  let ceilings: [String: Double]

  /// Those with a run that holds a record of its levels, in the order of tables.
  static func settings(of records: [RunRecord], _ observed: ObservedRuns) -> [ObservedSetting] {
    let all = Setting.settings(of: records)
    let names = axisNames(all)
    return all.compactMap { setting in
      let runs = setting.runs.compactMap { observed.runs[$0.id] }
      guard !runs.isEmpty else { return nil }
      // The method's name says which criterion decides.
      let axes = setting.axes.filter { $0.name != "freezing.criterion" }.map {
        "\(shortAxisName($0.name, among: names)) \($0.value)"
      }
      return ObservedSetting(
        setting: setting, bits: setting.bits?.description ?? "",
        name: ([setting.method] + (axes.isEmpty ? [] : [axes.joined(separator: ", ")])).joined(separator: " "),
        runs: runs,
        ceilings: observed.ceilings)
    }
  }

  /// Over the runs that have this value; nil where none has.
  func summary(_ value: (ObservedRun) -> Double?) -> Summary? { Summary(runs.compactMap(value)) }

  var ceiling: Double? { summary { ceilings[$0.run.id] }?.mean }
}

extension ObservedRun {
  /// Whether a criterion decided and nothing was frozen.
  var isShadow: Bool { run.kind.trainsEveryWeight && run.kind != .fullQAT }
}

extension RunRecord {
  /// Who decided which weights freeze; the published one goes without saying.
  var criterion: String { kind == .fullQAT ? "" : settings.text("freezing.criterion") ?? "distance" }
}
