extension FreezingCriterion {
  /// What the papers' observation suggests on its own: after the start, a weight freezes whose level has been the same in
  /// `steps` comparisons with the step before. Steps before the start count.
  public static let levelChange = FreezingCriterion(
    name: "levelChange", parameters: [.start, .steps]
  ) { state, moment, backend in
    state.advance(
      moment, unchangedSteps: moment.time > moment.spec.startStep ? moment.spec.unchangedSteps : nil, on: backend)
  }
}
