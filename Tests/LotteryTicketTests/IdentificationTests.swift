import LotteryTicket
import Records
import Testing

@Suite("Identification of settled weights")
struct IdentificationTests {
  /// Weights of ten steps, looked at in steps 1, 4, 7 and 10.
  private func record(
    levels: [[UInt8]], settling: [Int32]? = nil, decisions: (steps: [Int32], levels: [UInt8])? = nil
  ) -> ObservationRecord {
    let none = DistanceHistograms(steps: [], counts: [])
    return ObservationRecord(
      moments: [1, 4, 7, 10], levels: levels.flatMap(\.self),
      settlingSteps: settling ?? [Int32](repeating: 10, count: levels.count),
      levelChanges: [Int32](repeating: 1, count: levels.count),
      decisions: decisions.map { .init(steps: $0.steps, levels: $0.levels, distances: []) }, distances: none,
      meanDistances: nil)
  }

  private var run: ObservationRecord {
    record(
      levels: [[1, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 1], [1, 1, 0, 0], [0, 0, 2, 2], [1, 1, 0, 1]],
      decisions: ([2, 4, 5, 0, 10, 0], [0, 1, 1, 0, 2, 0]))
  }

  private var reference: ObservationRecord {
    record(
      levels: [[1, 0, 0, 0], [0, 0, 2, 2], [0, 0, 0, 1], [0, 0, 0, 0], [2, 2, 2, 2], [1, 1, 1, 1]],
      settling: [2, 6, 9, 0, 3, 0])
  }

  @Test("agreement, chance, clock and lift of six weights, counted by hand")
  func byHand() throws {
    let identification = try #require(Identification(run, reference: reference))
    #expect(identification.decided == Share(4, of: 6))
    // Decided at levels 0, 1, 1, 2 where full QAT ends with 0, 2, 1, 2.
    #expect(identification.agreement == Share(3, of: 4))
    #expect(identification.chance == 5.0 / 16)
    // Full QAT settles in steps 2, 6, 9 and 3: the first and the last before their decisions in steps 2 and 10; in step 4 it has level 0 and
    // ends with 2, in step 5, as far as step 4 tells, 0 and 1.
    #expect(identification.clock == Share(2, of: 4))
    // Undecided after steps 4, 7 and 10 agree 2 of 4, 2 of 3 and 2 of 2, for two, one and one decided weights.
    #expect(identification.comparable == Share(3, of: 4))
    let undecided = try #require(identification.undecided)
    #expect(abs(undecided - (0.5 + 0.5 + 2.0 / 3 + 1) / 4) < 1e-15)
    #expect(abs(try #require(identification.lift) - 0.75 / (2 / 3.0)) < 1e-12)
    #expect(identification.final == Share(5, of: 6))
  }

  @Test("a level that full QAT has at a recorded moment, leaves and comes back to counts for the clock")
  func clockComesBack() throws {
    let decided = record(
      levels: [[0, 0, 0, 0], [0, 0, 0, 0]], decisions: ([5, 3], [0, 0]))
    let other = record(levels: [[1, 0, 1, 0], [1, 0, 1, 0]])
    // Step 5 is judged by step 4, step 3 by step 1.
    #expect(Identification(decided, reference: other)?.clock == Share(1, of: 2))
  }

  @Test("where all weights are decided upon at once there is nothing to compare them with")
  func allAtOnce() throws {
    let run = record(levels: [[0, 0, 0, 0], [1, 1, 1, 1]], decisions: ([4, 4], [0, 1]))
    let identification = try #require(Identification(run, reference: run))
    #expect(identification.comparable == Share(0, of: 0) && identification.undecided == nil)
    #expect(identification.lift == nil)
    #expect(identification.agreement.value == 1)
  }

  @Test("nothing decided, nothing identified")
  func nothing() {
    #expect(Identification(reference, reference: reference) == nil)
    let never = record(levels: [[0, 0, 0, 0]], decisions: ([0], [0]))
    #expect(Identification(never, reference: never) == nil)
  }

  @Test("the ceiling is the agreement of final levels")
  func ceiling() {
    #expect(finalAgreement(run, reference) == Share(5, of: 6))
    #expect(finalAgreement(run, run).value == 1)
  }
}
