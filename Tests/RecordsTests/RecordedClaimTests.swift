import Foundation
import Records
import Statistics
import TestSupport
import Testing

@Suite("Recorded claims")
struct RecordedClaimTests {
  @Test("the first claim stays, another one is marked by the runs that had ended")
  func recording() throws {
    let folder = try TemporaryFolder()
    #expect(try RecordedClaim.read(in: folder.path) == nil)
    let claim = Claim(margin: 0.3, confidence: 0.9, test: .equivalence)
    try RecordedClaim.record(claim, in: folder.path, runsBefore: 0)
    #expect(try RecordedClaim.read(in: folder.path) == RecordedClaim(claim, runsBefore: 0))
    try RecordedClaim.record(claim, in: folder.path, runsBefore: 5)
    #expect(try RecordedClaim.read(in: folder.path)?.runsBefore == 0)
    let other = Claim(margin: 0.4, confidence: 0.9, test: .equivalence)
    try RecordedClaim.record(other, in: folder.path, runsBefore: 5)
    #expect(try RecordedClaim.read(in: folder.path)?.claim == other)
    #expect(try RecordedClaim.read(in: folder.path)?.runsBefore == 5)
  }

  @Test(
    "what is no claim is refused",
    arguments: [
      "", "{}", #"{"margin": -1, "confidence": 0.95, "test": "equivalence", "runsBefore": 0}"#,
      #"{"margin": 1, "confidence": 1.5, "test": "equivalence", "runsBefore": 0}"#,
      #"{"margin": 1, "confidence": 0.9, "test": "zebra", "runsBefore": 0}"#,
      #"{"margin": 1, "confidence": 0.9, "test": "equivalence", "runsBefore": -2}"#,
      #"{"margin": 1, "confidence": 0.9, "test": "equivalence", "runsBefore": 4611686018427387904}"#,
    ])
  func refused(text: String) throws {
    let folder = try TemporaryFolder()
    try text.write(toFile: RecordedClaim.path(in: folder.path), atomically: true, encoding: .utf8)
    #expect(throws: (any Error).self) { try RecordedClaim.read(in: folder.path) }
  }
}
