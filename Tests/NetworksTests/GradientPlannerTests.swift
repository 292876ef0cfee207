import Networks
import Tensor
import Testing

struct GradientPlannerTests {
  @Test("no memory serves two gradients at once, and all of it is reused", arguments: 1...20 as ClosedRange<UInt64>)
  func randomLifetimes(seed: UInt64) {
    struct Lifetime {
      var slot: GradientSlot
      var count: Int
      var start: Int
      var end: Int
    }
    var random = CounterRandom(seed: seed, stream: 0)
    let planner = GradientPlanner()
    var past: [Lifetime] = []
    var living: [Lifetime] = []
    var alive = 0
    var mostAlive = 0
    for time in 0..<200 {
      if living.isEmpty || random.bounded(5) < 3 && living.count < 6 {
        let count = 1 + random.bounded(100)
        living.append(Lifetime(slot: planner.acquire(count: count), count: count, start: time, end: .max))
        alive += 1
        mostAlive = max(mostAlive, alive)
      } else {
        var ended = living.remove(at: random.bounded(living.count))
        ended.end = time
        planner.release(ended.slot)
        past.append(ended)
        alive -= 1
      }
    }
    planner.allocate()
    let all = past + living
    for lifetime in all { #expect(lifetime.slot.buffer.count >= lifetime.count) }
    for (index, first) in all.enumerated() {
      for second in all[(index + 1)...] where first.start < second.end && second.start < first.end {
        #expect(first.slot.buffer !== second.slot.buffer)
      }
    }
    #expect(Set(all.map { ObjectIdentifier($0.slot.buffer) }).count == mostAlive)
    #expect(planner.total <= 100 * mostAlive)
  }
}

extension GradientPlannerTests {
  @Test("memory with two users is reused after both have released it")
  func sharedSlot() {
    let planner = GradientPlanner()
    let shared = planner.acquire(count: 10)
    planner.retain(shared)
    #expect(!planner.isExclusive(shared))
    planner.release(shared)
    #expect(planner.isExclusive(shared))
    let other = planner.acquire(count: 10)
    planner.release(shared)
    let next = planner.acquire(count: 10)
    planner.allocate()
    #expect(other.buffer !== shared.buffer)
    #expect(next.buffer === shared.buffer)
  }
}
