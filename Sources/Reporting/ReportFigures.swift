import Records
import Statistics
import Tables

/// The figures of an experiment and the tables that they are drawn from.
struct ReportFigures {
  /// By file name, without ".csv".
  var tables: [(name: String, table: Table)] = []
  var figures: [Figure] = []
  /// Lines on figures that cannot be drawn, and why.
  var omissions: [String] = []

  let summaries: [SettingSummary]
  /// Settings with the same bits and training, in the order of tables.
  let families: [[SettingSummary]]

  /// - Parameter observed: what the runs' recorded levels say.
  init(runs: [RunRecord], observed: ObservedRuns) {
    summaries = SettingSummary.summaries(of: runs)
    var families: [[SettingSummary]] = []
    for summary in summaries where summary.setting.kind != .fullPrecision {
      if let index = families.firstIndex(where: { $0[0].setting.family == summary.setting.family }) {
        families[index].append(summary)
      } else {
        families.append([summary])
      }
    }
    self.families = families
    addTradeOff()
    addBits()
    addSweeps()
    addCurves()
    addSecondsPerStep()
    addFLOPsAgainstSeconds()
    addAccuracyAgainstSeconds()
    addSettling(observed)
    addIdentification(observed)
    addDistances(observed)
    addLayers()
  }

  mutating func add(_ name: String, _ columns: [Table.Column], title: String) {
    tables.append((name, Table(title: title, columns: columns)))
  }

  // MARK: - Names

  func familyName(_ summary: SettingSummary) -> String {
    let recipes = Set(families.map { $0[0].setting.recipe }).count > 1 ? " \(summary.setting.recipe.rawValue)" : ""
    let bits = summary.setting.bits.map { "W\($0.weights)/A\($0.activations)" } ?? ""
    let sameBits = families.filter {
      $0[0].setting.bits == summary.setting.bits && $0[0].setting.recipe == summary.setting.recipe
    }
    let number = sameBits.firstIndex { $0[0].setting.family == summary.setting.family } ?? 0
    return bits + recipes + (sameBits.count > 1 ? " (\(number + 1))" : "")
  }

  /// Within its family.
  func name(_ summary: SettingSummary) -> String { name(summary, axes: summary.setting.axes[...]) }

  private func name(_ summary: SettingSummary, axes: ArraySlice<AxisSetting>) -> String {
    guard summary.setting.kind == .freeze else { return summary.setting.method }
    let names = axisNames(summaries.map(\.setting))
    // The method's name says which criterion decides.
    let axes = axes.filter { $0.name != "freezing.criterion" }.map { axis in
      switch axis.name {
      case "freezing.threshold": Double(axis.value) == nil ? axis.value : "λ = \(axis.value)"
      case "freezing.start": "start \(axis.value)"
      default: "\(shortAxisName(axis.name, among: names)) \(axis.value)"
      }
    }
    return ([summary.setting.method] + (axes.isEmpty ? [] : [axes.joined(separator: ", ")])).joined(separator: " ")
  }

  /// The name without the last axis, whose values then tell the points of the series apart. Criteria are series of their own.
  func series(_ summary: SettingSummary) -> String {
    let axes = summary.setting.axes
    return name(summary, axes: axes.last?.name == "freezing.criterion" ? axes[...] : axes.dropLast())
  }

  /// What the recipes at hand call freezing, for captions: "SpQAT", "SpQAT or LTS".
  var freezingNames: String {
    let names = Set(summaries.filter { $0.setting.kind == .freeze }.map(\.setting.method)).sorted()
    return names.isEmpty ? "freezing" : names.joined(separator: " or ")
  }
}
