import Configuration
import ConfigurationSupport
import Testing

@Suite("Warnings about experiments")
struct ExperimentWarningsTests {
  @Test("fixed thresholds that freeze nearly everything at once are warned of")
  func warnings() throws {
    func warnings(_ freezing: String, method: String = "freeze") throws -> [String] {
      try experiment(
        #"""
        {"name": "x", "bits": {"weights": 4, "activations": 4}, "method": "\#(method)", "freezing": \#(freezing)}
        """#
      ).warnings
    }
    let warning = try #require(warnings(#"{"threshold": 0.5}"#).first)
    #expect(
      warning.hasSuffix(
        "experiment.json: freezing.threshold: a fixed 0.5 with distanceEMA 0 freezes nearly every weight at once, since none "
          + "within the range is farther than half a spacing from its level; use less than 0.5, or an average"))
    for silent in [
      #"{"threshold": 0.49}"#, #"{"threshold": "linear"}"#, #"{"threshold": 0.7, "distanceEMA": 0.9}"#,
      #"{"criterion": "clock", "stop": "40%"}"#,
    ] {
      #expect(try warnings(silent) == [])
    }
    #expect(try warnings(#"{"threshold": 0.5}"#, method: "shadow") == [])
  }
}
