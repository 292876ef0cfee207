import Tensor
import Testing

struct CounterRandomTests {
  /// Known answers published with the Random123 library (kat_vectors, philox4x32 10).
  @Test(
    "Philox4x32-10 gives the published answers",
    arguments: [
      (
        SIMD4<UInt32>(repeating: 0), SIMD2<UInt32>(repeating: 0),
        SIMD4<UInt32>(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8)
      ),
      (
        SIMD4<UInt32>(repeating: 0xffff_ffff), SIMD2<UInt32>(repeating: 0xffff_ffff),
        SIMD4<UInt32>(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd)
      ),
      (
        SIMD4<UInt32>(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344), SIMD2<UInt32>(0xa409_3822, 0x299f_31d0),
        SIMD4<UInt32>(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1)
      ),
    ])
  func publishedAnswers(counter: SIMD4<UInt32>, key: SIMD2<UInt32>, answer: SIMD4<UInt32>) {
    #expect(CounterRandom.philox(counter: counter, key: key) == answer)
  }

  @Test("A sequence walks the counter, under the seed as key")
  func sequence() {
    var random = CounterRandom(seed: 0x0000_0002_0000_0001, stream: 0x0000_0004_0000_0003, purpose: .augmentation)
    let drawn = (0..<8).map { _ in random.next() }
    let expected = (0..<2).flatMap { block in
      let words = CounterRandom.philox(counter: SIMD4(UInt32(block), 2, 3, 4), key: SIMD2(1, 2))
      return (0..<4).map { words[$0] }
    }
    #expect(drawn == expected)
  }

  @Test("Seeds, streams and purposes give different sequences")
  func independence() {
    func draw(_ seed: UInt64, _ stream: UInt64, _ purpose: CounterRandom.Purpose) -> [UInt32] {
      var random = CounterRandom(seed: seed, stream: stream, purpose: purpose)
      return (0..<4).map { _ in random.next() }
    }
    let all = [
      draw(1, 1, .initialization), draw(2, 1, .initialization), draw(1, 2, .initialization), draw(1, 1, .batchOrder),
    ]
    #expect(Set(all).count == all.count)
    #expect(draw(1, 1, .subset) == draw(1, 1, .subset))
  }

  @Test("Uniform numbers fill [0, 1) with mean 1/2 and variance 1/12")
  func uniformMoments() {
    var random = CounterRandom(seed: 7, stream: 0)
    let count = 100_000
    for draw in [{ (r: inout CounterRandom) in Double(r.uniform()) }, { $0.uniformDouble() }] {
      var sum = 0.0
      var squares = 0.0
      var inside = true
      for _ in 0..<count {
        let value = draw(&random)
        inside = inside && value >= 0 && value < 1
        sum += value
        squares += value * value
      }
      let mean = sum / Double(count)
      #expect(inside)
      #expect(abs(mean - 0.5) < 0.005)
      #expect(abs(squares / Double(count) - mean * mean - 1.0 / 12) < 0.002)
    }
  }

  @Test("Normal numbers have mean 0, variance 1 and kurtosis 3")
  func normalMoments() {
    var random = CounterRandom(seed: 11, stream: 3)
    let values = (0..<100_000).map { _ in Double(random.normal()) }
    let count = Double(values.count)
    #expect(abs(values.reduce(0, +) / count) < 0.015)
    #expect(abs(values.reduce(0) { $0 + $1 * $1 } / count - 1) < 0.02)
    #expect(abs(values.reduce(0) { $0 + $1 * $1 * $1 * $1 } / count - 3) < 0.15)
  }

  @Test("Bounded draws are even over the range", arguments: [1, 2, 3, 9, 1000])
  func boundedIsEven(range: Int) {
    var random = CounterRandom(seed: 5, stream: UInt64(range))
    var hits = [Int](repeating: 0, count: range)
    let each = 2_000
    for _ in 0..<(each * range) { hits[random.bounded(range)] += 1 }
    // Six standard deviations of a binomial count.
    let slack = 6 * Double(each).squareRoot()
    #expect(hits.allSatisfy { abs(Double($0 - each)) < slack })
  }

  @Test("A permutation holds every index once and repeats for its seed", arguments: [0, 1, 2, 257])
  func permutations(count: Int) {
    var random = CounterRandom(seed: 3, stream: 9)
    var again = random
    let order = random.permutation(count)
    #expect(order.sorted() == Array(0..<count))
    #expect(order == again.permutation(count))
    if count > 2 { #expect(order != Array(0..<count)) }
  }
}
