import Synchronization
import Tensor
import Testing

struct ThreadPoolTests {
  @Test("every task runs once in every round, on one of the pool's threads", arguments: 1...5)
  func everyTaskOnce(threads: Int) {
    let pool = ThreadPool(threads: threads)
    let outOfRange = Atomic<Int>(0)
    for round in 0..<500 {
      // Also fewer tasks than threads, and none at all.
      let tasks = round % 41
      let runs = Buffer<Int32>(count: tasks)
      pool.run(tasks) { task, worker in
        if worker < 0 || worker >= threads { outOfRange.wrappingAdd(1, ordering: .relaxed) }
        runs[task] += 1
      }
      #expect(runs.allSatisfy { $0 == 1 }, "round \(round)")
    }
    #expect(outOfRange.load(ordering: .relaxed) == 0)
  }

  @Test("a worker's index is its own: scratch memory by worker is never shared")
  func workersAreDistinct() {
    let pool = ThreadPool(threads: 4)
    let busy = Buffer<Int32>(count: 4)
    let collisions = Atomic<Int>(0)
    for _ in 0..<50 {
      pool.run(64) { task, worker in
        busy[worker] += 1
        var sum = 0
        for index in 0..<200 { sum &+= index &* task }
        if busy[worker] != 1 || sum < 0 { collisions.wrappingAdd(1, ordering: .relaxed) }
        busy[worker] -= 1
      }
    }
    #expect(collisions.load(ordering: .relaxed) == 0)
    #expect(busy.allSatisfy { $0 == 0 })
  }

  @Test("what tasks wrote is seen when the run returns, and pools come and go")
  func results() {
    for threads in [1, 3, 2, 8] {
      let pool = ThreadPool(threads: threads)
      #expect(pool.threads == threads)
      let values = Buffer<Int>(count: 1000)
      for round in 1...20 {
        pool.run(1000) { task, _ in values[task] += task * round }
      }
      #expect(values.enumerated().allSatisfy { $0.element == $0.offset * 210 })
    }
  }

  @Test("threads that have gone to sleep wake up for the next run")
  func sleepingThreads() async throws {
    let pool = ThreadPool(threads: 3)
    for _ in 0..<3 {
      try await Task.sleep(for: .milliseconds(20))
      let runs = Buffer<Int32>(count: 100)
      pool.run(100) { task, _ in runs[task] += 1 }
      #expect(runs.allSatisfy { $0 == 1 })
    }
  }
}
