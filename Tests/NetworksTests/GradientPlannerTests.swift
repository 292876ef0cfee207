import Networks
import Tensor
import Testing

struct GradientPlannerTests {
  @Test("no region serves two gradients at once, and all of them are reused", arguments: 1...20 as ClosedRange<UInt64>)
  func randomLifetimes(seed: UInt64) {
    struct Lifetime {
      var region: Int
      var count: Int
      var start: Int
      var end: Int
    }
    var random = CounterRandom(seed: seed, stream: 0)
    var planner = GradientPlanner()
    var past: [Lifetime] = []
    var living: [Lifetime] = []
    var mostAlive = 0
    for time in 0..<200 {
      if living.isEmpty || random.bounded(5) < 3 && living.count < 6 {
        let count = 1 + random.bounded(100)
        living.append(Lifetime(region: planner.acquire(count: count), count: count, start: time, end: .max))
        mostAlive = max(mostAlive, living.count)
      } else {
        var ended = living.remove(at: random.bounded(living.count))
        ended.end = time
        planner.release(ended.region)
        past.append(ended)
      }
    }
    let all = past + living
    for lifetime in all { #expect(planner.counts[lifetime.region] >= lifetime.count) }
    for (index, first) in all.enumerated() {
      for second in all[(index + 1)...] where first.start < second.end && second.start < first.end {
        #expect(first.region != second.region)
      }
    }
    #expect(Set(all.map(\.region)).count == mostAlive)
    #expect(planner.counts.count == mostAlive)
  }

  @Test("a region with two users is reused after both have released it")
  func sharedRegion() {
    var planner = GradientPlanner()
    let shared = planner.acquire(count: 10)
    planner.retain(shared)
    #expect(!planner.isExclusive(shared))
    planner.release(shared)
    #expect(planner.isExclusive(shared))
    let other = planner.acquire(count: 10)
    planner.release(shared)
    let next = planner.acquire(count: 10)
    #expect(other != shared)
    #expect(next == shared)
  }
}
