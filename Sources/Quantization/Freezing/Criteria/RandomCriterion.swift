extension FreezingCriterion {
  /// A control for `distance`: in every layer and step as many weights freeze as in the paired run, drawn uniformly from those
  /// that are not frozen yet.
  public static let random = FreezingCriterion(
    name: "random", parameters: [.threshold, .start], isPaired: true
  ) { state, moment, backend in
    var random = moment.random
    state.choose(moment.pairedCount, by: &random)
    state.advance(moment, on: backend)
  }
}
