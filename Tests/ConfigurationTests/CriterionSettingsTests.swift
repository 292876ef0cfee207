import Configuration
import ConfigurationSupport
import Diagnostics
import Quantization
import Testing

@Suite("Settings of freezing criteria")
struct CriterionSettingsTests {
  private static func text(_ freezing: String, method: String = "freeze", more: String = "") -> String {
    #"{"name": "x", "bits": {"weights": 4, "activations": 4}, "method": "\#(method)", "freezing": \#(freezing)\#(more)}"#
  }

  private func freezing(_ section: String) throws -> FreezingSettings {
    try #require(experiment(Self.text(section)).points[0].settings.method.freezing)
  }

  @Test("each criterion has its parameters, and the distance is what nothing is written for")
  func decoding() throws {
    #expect(try freezing(#"{"threshold": 0.1}"#).criterion == .distance)
    let random = try freezing(#"{"criterion": "random", "threshold": "sine", "start": "30%"}"#)
    #expect(random.criterion == .random && random.isPaired && random.schedule == .sine && random.start == .percent(30))
    let clock = try freezing(#"{"criterion": "clock", "stop": "40%"}"#)
    #expect(clock.criterion == .clock && !clock.isPaired && clock.stop == .after(.percent(40)))
    let matched = try freezing(#"{"criterion": "clock", "stop": "match", "threshold": 0.25}"#)
    #expect(matched.isPaired && matched.stop == .matched && matched.schedule == .fixed(0.25))
    let levelChange = try freezing(#"{"criterion": "levelChange", "steps": 12, "start": "2ep"}"#)
    #expect(levelChange.unchangedSteps == 12 && levelChange.start == .epochs(2) && !levelChange.isPaired)
    let shadow = try experiment(Self.text(#"{"threshold": 0.1}"#, method: "shadow")).points[0].settings
    #expect(shadow.method.name == .shadow && shadow.method.freezing?.isShadow == true)
  }

  @Test(
    "what has no effect or is missing is said",
    arguments: [
      (
        #"{"criterion": "distance", "threshold": 0.1, "stop": "40%"}"#,
        #"stop: has no effect with the criterion "distance"; remove it"#
      ),
      (
        #"{"criterion": "clock", "stop": "40%", "threshold": 0.1}"#,
        #"threshold: has no effect with the criterion "clock"; remove it"#
      ),
      (
        #"{"criterion": "clock", "stop": "40%", "start": "10%"}"#,
        #"start: has no effect with the criterion "clock"; remove it"#
      ),
      (
        #"{"criterion": "levelChange", "steps": 3, "threshold": 0.1}"#,
        #"threshold: has no effect with the criterion "levelChange"; remove it"#
      ),
      (
        #"{"criterion": "random", "threshold": 0.1, "steps": 3}"#,
        #"steps: has no effect with the criterion "random"; remove it"#
      ),
      (#"{"criterion": "random"}"#, #"threshold: missing; a number of at least 0, "linear" or "sine""#),
      (#"{"criterion": "clock", "stop": "match"}"#, #"threshold: missing; a number of at least 0, "linear" or "sine""#),
      (
        #"{"criterion": "levelChange"}"#,
        "steps: missing; for how many steps a level has to stay before its weight freezes"
      ),
      (#"{"criterion": "levelChange", "steps": 0}"#, "steps: found 0, expected a whole number from 1 to 2147483647"),
      (
        #"{"criterion": "clock", "stop": "100%"}"#,
        "stop: 100% is not before the run's end (400ep): nothing would ever freeze"
      ),
      (
        #"{"criterion": "clock"}"#,
        #"stop: missing; write a number with a unit: "80ep" (epochs), "20%" (of the run) or "500it" (steps), or "match": "#
          + #"such that as many updates are eliminated as by "distance""#
      ),
      (
        #"{"criterion": "clock", "stop": "mach"}"#,
        #"stop: found "mach", which has no number; write a number with a unit: "80ep" (epochs), "20%" (of the run) or "#
          + #""500it" (steps)"#
      ),
      (
        #"{"criterion": "clok", "stop": "40%"}"#,
        #"criterion: unknown value "clok"; did you mean "clock"? allowed: "distance", "random", "clock", "levelChange""#
      ),
    ])
  func refused(section: String, message: String) {
    let error = #expect(throws: Diagnostic.self) { try experiment(Self.text(section)) }
    #expect(error?.description.hasSuffix("experiment.json: freezing.\(message)") == true, "\(error?.description ?? "")")
  }

  @Test("a sweep over criteria keeps each one's parameters in one section")
  func sweep() throws {
    let text = Self.text(
      #"{"threshold": "linear", "start": "20%", "stop": "40%", "steps": 9}"#,
      more: #", "axes": [{"freezing.criterion": ["distance", "random", "clock", "levelChange"]}]"#)
    let points = try experiment(text).points
    #expect(points.map { $0.settings.method.freezing!.criterion } == [.distance, .random, .clock, .levelChange])
    #expect(points.map { $0.settings.method.freezing!.unchangedSteps } == [nil, nil, nil, 9])
    #expect(points.map { $0.settings.method.freezing!.schedule } == [.linear, .linear, .fixed(0), .fixed(0)])
    #expect(points.map { $0.pair == nil } == [true, false, true, true])
    #expect(points[1].pair?.settings == points[0].settings && points[1].pair?.axisValues == points[0].axisValues)
  }

  @Test("what a criterion does not read makes no further runs, and is no part of what a run is told by")
  func grid() throws {
    let text = Self.text(
      #"{"stop": "40%"}"#,
      more: #", "axes": [{"freezing.threshold": [0.1, 0.2]}, {"freezing.criterion": ["distance", "random", "clock"]}]"#)
    let points = try experiment(text).points
    #expect(points.count == 2 + 2 + 1)
    let clock = try #require(points.first { $0.settings.method.freezing?.criterion == .clock })
    #expect(clock.axisValues.map(\.path.description) == ["freezing.criterion"])
  }
}
