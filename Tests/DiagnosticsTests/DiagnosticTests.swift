import Diagnostics
import Testing

@Suite("Diagnostics")
struct DiagnosticTests {
  @Test("Subject, place, problem and remedy in one line")
  func line() {
    #expect("\(Diagnostic("a.json", "is empty"))" == "a.json: is empty")
    #expect(
      "\(Diagnostic("a.json", at: "bits.weights", "is 9; allowed: 2 to 8", remedy: "choose one of these"))"
        == "a.json: bits.weights: is 9; allowed: 2 to 8; choose one of these")
  }

  @Test("A name with control characters does not break the line or the terminal")
  func controlCharacters() {
    #expect("\(Diagnostic("a\nb\u{1B}[31m\u{7F}", "is no file"))" == "a\\u{a}b\\u{1b}[31m\\u{7f}: is no file")
    #expect("\(Diagnostic("é – λ", "is no file"))" == "é – λ: is no file")
  }
}
