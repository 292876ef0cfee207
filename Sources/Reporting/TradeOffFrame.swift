import Records
import Statistics

/// The ranges of the figure's axes, and where in them labels can be read.
struct TradeOffFrame {
  /// Percent, from 0 to this.
  let eliminated: Double
  /// Percent.
  let topOne: ClosedRange<Double>
  private let baselines: [Double]

  init(_ summaries: [SettingSummary]) {
    let farthest = summaries.compactMap(\.weightUpdatesEliminated?.mean).max() ?? 0
    eliminated = min(100, max(10, (farthest * 1.15 / 10).rounded(.up) * 10))
    let ends = summaries.compactMap(\.topOne).flatMap { summary in
      [summary.mean - (summary.standardError ?? 0), summary.mean + (summary.standardError ?? 0)]
    }
    let (lowest, highest) = (ends.min() ?? 0, ends.max() ?? 100)
    let margin = max(0.1, (highest - lowest) * 0.1)
    topOne = (lowest - margin)...(highest + margin)
    baselines = summaries.filter { $0.setting.kind == .fullQAT }.compactMap(\.topOne?.mean)
  }

  /// A place for each setting's label, in percent of both axes.
  func labels(_ summaries: [SettingSummary]) -> [LabelLayout.Place] {
    // About what gnuplot leaves of the figure beside legend and axes.
    var layout = LabelLayout(width: 620, height: 350)
    let (perUpdate, perPoint) = (layout.width / eliminated, layout.height / span)
    layout.lines = baselines.map { ($0 - topOne.lowerBound) * perPoint }
    let places = layout.places(
      summaries.map { summary in
        LabelLayout.Item(
          point: LabelLayout.Point(
            x: (summary.weightUpdatesEliminated?.mean ?? 0) * perUpdate,
            y: ((summary.topOne?.mean ?? 0) - topOne.lowerBound) * perPoint),
          text: summary.setting.axes.last?.value ?? "",
          errorX: (summary.weightUpdatesEliminated?.standardError ?? 0) * perUpdate,
          errorY: (summary.topOne?.standardError ?? 0) * perPoint)
      })
    func percent(_ point: LabelLayout.Point) -> LabelLayout.Point {
      LabelLayout.Point(x: point.x / perUpdate, y: topOne.lowerBound + point.y / perPoint)
    }
    return places.map { LabelLayout.Place(center: percent($0.center), lead: $0.lead.map(percent)) }
  }

  private var span: Double { topOne.upperBound - topOne.lowerBound }
}
