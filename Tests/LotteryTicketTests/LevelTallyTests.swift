import LotteryTicket
import TestSupport
import Testing

@Suite("Settled and reached shares, and chance")
struct LevelTallyTests {
  /// Four weights at three moments.
  private static let levels: [UInt8] = [0, 1, 1] + [1, 1, 1] + [2, 0, 2] + [0, 0, 0]

  @Test("reached share and chance of four weights, counted by hand")
  func byHand() throws {
    let tally = LevelTally(Self.levels[...], moments: 3)
    #expect(tally.weights == 4 && tally.moments == 3)
    #expect((0..<3).map { tally.reachedShare(at: $0) } == [0.75, 0.75, 1])
    // Shares of levels 0, 1, 2: first 2/4, 1/4, 1/4, then 2/4, 2/4, 0, at the end 1/4, 2/4, 1/4.
    #expect((0..<3).map { tally.chance(at: $0) } == [0.3125, 0.375, 0.375])
  }

  @Test("layers add up to the network, wherever their weights lie")
  func sums() {
    let levels: [UInt8] = (0..<300).map { UInt8(($0 * 7919 + $0 / 11) % 16) }
    var sum = LevelTally(moments: 6)
    for range in [0..<60, 60..<66, 66..<300] { sum += LevelTally(levels[range], moments: 6) }
    #expect(sum == LevelTally(levels[...], moments: 6))
    #expect(sum.reachedShare(at: 5) == 1)
    #expect(LevelTally(moments: 6).reachedShare(at: 0) == nil && LevelTally(moments: 6).chance(at: 0) == nil)
  }

  @Test("settled share of weights that settle in steps 3, 0, 7 and 5")
  func settled() {
    let steps: [Int32] = [9, 3, 0, 7, 5]
    #expect(settledShares(steps[1...], at: [0, 1, 3, 6, 7, 100]) == [0.25, 0.25, 0.5, 0.75, 1, 1])
    #expect(settledShares([], at: [1]) == nil)
    // No decision stands as step 0.
    #expect(decidedShares(steps[1...], at: [0, 3, 6, 7]) == [0, 0.25, 0.5, 0.75])
  }

  @Test("agreement by chance of two lists")
  func chance() {
    #expect(chanceAgreement([0, 1, 1, 2], [0, 2, 1, 2]) == 5.0 / 16)
    #expect(chanceAgreement([255, 255], [255]) == 1)
    #expect(chanceAgreement([], [1]) == nil)
  }
}
