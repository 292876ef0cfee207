import Networks
import Tensor
import Testing

struct GradientPlannerTests {
  @Test("a region lives until its last user has released it")
  func sharedRegion() {
    var planner = GradientPlanner()
    planner.time = 3
    let shared = planner.acquire(count: 10)
    planner.retain(shared)
    #expect(!planner.isExclusive(shared))
    planner.time = 4
    planner.release(shared)
    #expect(planner.isExclusive(shared))
    #expect(planner.regions[shared].death == nil)
    let other = planner.acquire(count: 20)
    planner.time = 6
    planner.release(shared)
    #expect(other != shared)
    #expect(planner.regions.map(\.count) == [10, 20])
    #expect(planner.regions.map(\.birth) == [3, 4])
    #expect(planner.regions.map(\.death) == [6, nil])
  }
}

struct SharedMemoryTests {
  typealias Piece = SharedMemory.Piece

  @Test("what lives at the same time lies apart", arguments: 1...20 as ClosedRange<UInt64>)
  func randomLives(seed: UInt64) {
    var random = CounterRandom(seed: seed, stream: 0)
    let pieces = (0..<60).map { _ in
      let birth = random.bounded(100)
      return Piece(bytes: 1 + random.bounded(1000), life: birth...(birth + random.bounded(30)))
    }
    let memory = SharedMemory(pieces)
    func place(_ piece: Int) -> Range<Int> { memory.offsets[piece]..<memory.offsets[piece] + pieces[piece].bytes }
    for first in pieces.indices {
      #expect(memory.offsets[first] % 64 == 0)
      #expect(place(first).upperBound <= memory.bytes)
      for second in pieces[..<first].indices where pieces[first].life.overlaps(pieces[second].life) {
        #expect(!place(first).overlaps(place(second)))
      }
    }
    #expect(memory.bytes < pieces.reduce(0) { $0 + $1.bytes })
  }

  @Test("a piece takes the place of those that are gone, and a hole that fits")
  func reuse() {
    let one = SharedMemory([Piece(bytes: 128, life: 0...1), Piece(bytes: 128, life: 2...3)])
    #expect(one.offsets == [0, 0] && one.bytes == 128)
    // Lives that touch at one time overlap.
    let two = SharedMemory([Piece(bytes: 100, life: 0...2), Piece(bytes: 64, life: 2...3)])
    #expect(two.offsets == [0, 128] && two.bytes == 192)
    let hole = SharedMemory([
      Piece(bytes: 320, life: 0...0), Piece(bytes: 256, life: 0...9), Piece(bytes: 64, life: 1...9),
    ])
    #expect(hole.offsets == [0, 320, 0] && hole.bytes == 576)
    #expect(SharedMemory([]).bytes == 0)
  }
}
