extension FreezingCriterion {
  /// A control that looks at no weight: all freeze once t is past the stop.
  public static let clock = FreezingCriterion(name: "clock", parameters: [.stop]) { state, moment, backend in
    let isOver = moment.stop.map { moment.time > $0 } ?? false
    state.advance(moment, thresholdDistance: isOver ? .infinity : nil, on: backend)
  }
}
