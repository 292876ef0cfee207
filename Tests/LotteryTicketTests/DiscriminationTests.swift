import LotteryTicket
import Records
import Tensor
import Testing

@Suite("Discrimination by distance")
struct DiscriminationTests {
  private let three = Discrimination(ending: [2, 1, 1], leaving: [1, 1, 2])

  @Test("area under the curve of eight weights in three bins, counted by hand")
  func byHand() {
    // Each of the two nearest beats 3 and ties with 1, the next beats 2 and ties with 1, the last ties with 2: 7 + 2.5 + 1 of 16.
    #expect(three.areaUnderCurve == 10.5 / 16)
    #expect(Discrimination(ending: [3, 0], leaving: [0, 5]).areaUnderCurve == 1)
    #expect(Discrimination(ending: [0, 3], leaving: [5, 0]).areaUnderCurve == 0)
    #expect(Discrimination(ending: [4, 4], leaving: [1, 1]).areaUnderCurve == 0.5)
    #expect(Discrimination(ending: [3, 1], leaving: [0, 0]).areaUnderCurve == nil)
    #expect(Discrimination(ending: [0], leaving: [1]).areaUnderCurve == nil)
  }

  @Test("the area is the share of pairs in the right order")
  func pairs() throws {
    var random = CounterRandom(seed: 3, stream: 0)
    for _ in 0..<20 {
      let ending = (0..<9).map { _ in random.bounded(6) }
      let leaving = (0..<9).map { _ in random.bounded(6) }
      let (mine, theirs) = (weights(ending), weights(leaving))
      guard !mine.isEmpty, !theirs.isEmpty else { continue }
      let wins = mine.reduce(0.0) { sum, bin in
        theirs.reduce(sum) { $0 + (bin < $1 ? 1 : bin == $1 ? 0.5 : 0) }
      }
      let area = try #require(Discrimination(ending: ending, leaving: leaving).areaUnderCurve)
      #expect(abs(area - wins / Double(mine.count * theirs.count)) < 1e-12)
    }
  }

  private func weights(_ counts: [Int]) -> [Int] {
    counts.enumerated().flatMap { [Int](repeating: $0.offset, count: $0.element) }
  }

  @Test("precision and recall at each threshold, counted by hand")
  func decisions() {
    let decisions = three.decisions(upperEdges: [0.25, 0.5, .infinity])
    #expect(decisions.map(\.threshold) == [0.25, 0.5])
    #expect(decisions.map(\.decided) == [Share(3, of: 8), Share(5, of: 8)])
    #expect(decisions.map(\.precision) == [Share(2, of: 3), Share(3, of: 5)])
    #expect(decisions.map(\.recall) == [Share(2, of: 4), Share(3, of: 4)])
  }

  @Test("a histogram's layers are added, with or without those that were decided upon")
  func histogram() {
    let (layers, steps) = (2, [1, 9])
    var counts = [Int32](repeating: 0, count: steps.count * layers * DistanceBins.count * 4)
    func place(_ moment: Int, _ layer: Int, _ bin: Int) -> Int {
      ((moment * layers + layer) * DistanceBins.count + bin) * 4
    }
    // Undecided and leaving, undecided and ending, decided and leaving, decided and ending.
    counts.replaceSubrange(place(1, 0, 7)..<place(1, 0, 7) + 4, with: [1, 2, 3, 4])
    counts.replaceSubrange(place(1, 1, 7)..<place(1, 1, 7) + 4, with: [10, 20, 30, 40])
    counts.replaceSubrange(place(1, 1, 200)..<place(1, 1, 200) + 4, with: [5, 6, 7, 8])
    let histograms = DistanceHistograms(steps: steps, counts: counts)
    #expect(Discrimination(histograms, moment: 0, includingDecided: true).weights == 0)
    var open = Discrimination(histograms, moment: 1, includingDecided: false)
    #expect(open.leaving[7] == 11 && open.ending[7] == 22 && open.leaving[200] == 5 && open.ending[200] == 6)
    #expect(open.weights == 44)
    let all = Discrimination(histograms, moment: 1, includingDecided: true)
    #expect(all.leaving[7] == 44 && all.ending[7] == 66 && all.weights == 136)
    // λ = 8/200 is the upper edge of bin 7; the bin beyond a spacing has no threshold.
    let decisions = all.decisions()
    #expect(decisions.count == 200 && decisions[7].threshold == 0.04)
    #expect(decisions[6].decided.hits == 0 && decisions[7].decided.hits == 110 && decisions[199].decided.hits == 110)
    open += all
    #expect(open.weights == 180)
  }
}
