import Configuration
import ConfigurationSupport
import Statistics
import Testing

@Suite("What an experiment claims")
struct ComparisonSettingsTests {
  private func claim(_ section: String) throws -> Claim? {
    try experiment(#"{"comparison": \#(section), "# + TinyExperiment.text.dropFirst()).claim
  }

  @Test("nothing by default; margin, confidence and test where given, the usual values elsewhere")
  func decoding() throws {
    #expect(try experiment(TinyExperiment.text).claim == nil)
    #expect(try claim("{}") == Claim(margin: 0.5, confidence: 0.95, test: .nonInferiority))
    #expect(
      try claim(#"{"margin": 1, "confidence": 0.9, "test": "equivalence"}"#)
        == Claim(margin: 1, confidence: 0.9, test: .equivalence))
  }

  @Test("changes no run")
  func points() throws {
    let with = try experiment(#"{"comparison": {"margin": 1}, "# + TinyExperiment.text.dropFirst())
    #expect(try with.points == experiment(TinyExperiment.text).points)
  }

  @Test(
    "what cannot be is refused with the key and what is allowed",
    arguments: [
      (#"{"margin": 0}"#, "comparison.margin: found 0, expected a number above 0 and at most 100, in points of top-1"),
      (
        #"{"confidence": 95}"#,
        "comparison.confidence: found 95, expected a number from 0.5 to below 1, such as 0.95"
      ),
      (
        #"{"test": "equal"}"#,
        #"comparison.test: unknown value "equal"; allowed: "nonInferiority", "equivalence""#
      ),
      (#"{"alpha": 0.05}"#, #"comparison.alpha: unknown key "alpha"; allowed: "margin", "confidence", "test""#),
    ])
  func errors(section: String, message: String) throws {
    do {
      _ = try claim(section)
      Issue.record("accepted")
    } catch {
      #expect("\(error)".hasSuffix(message), "\(error)")
    }
  }
}
