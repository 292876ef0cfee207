import Records

/// A setting as a row of a table.
struct ResultRow {
  let summary: SettingSummary
  /// Values of the sweep's further axes, by name.
  let axes: [(name: String, value: String)]
  /// What tells this row from others that would read the same.
  let distinction: String
  var setting: Setting { summary.setting }

  static func rows(of records: [RunRecord]) -> [ResultRow] {
    let summaries = SettingSummary.summaries(of: records)
    let names = axisNames(summaries.map(\.setting))
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
      return ResultRow(
        summary: summaries[index], axes: names.map { ($0, summaries[index].setting.axis($0) ?? "") },
        distinction: keys.sorted().map { "\($0)=\(mine[$0]?.description ?? "default")" }.joined(separator: ", "))
    }
  }
}
