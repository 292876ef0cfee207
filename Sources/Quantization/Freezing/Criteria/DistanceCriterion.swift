extension FreezingCriterion {
  /// The published one: D̄ ≤ λ·u after the start.
  public static let distance = FreezingCriterion(
    name: "distance", parameters: [.threshold, .start]
  ) { state, moment, backend in
    state.advance(
      moment,
      thresholdDistance: moment.threshold.map { Float($0 * Double(moment.spacing)) }, on: backend)
  }
}
