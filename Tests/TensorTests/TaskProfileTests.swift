import Tensor
import Testing

/// Where a step's time could go on more cores.
struct TaskProfileTests {
  @Test("every task runs once, on the calling thread, and its seconds are kept by section")
  func sections() {
    let pool = ThreadPool(threads: 3)
    let profile = TaskProfile()
    pool.profile = profile
    var order: [Int] = []
    pool.run(4) { task, worker in
      #expect(worker == 0)
      order.append(task)
    }
    pool.run(1) { _, _ in }
    pool.profile = nil
    pool.run(2) { _, _ in }
    #expect(order == [0, 1, 2, 3])
    #expect(profile.sections.map(\.count) == [4, 1])
    #expect(profile.sections.allSatisfy { $0.allSatisfy { $0 >= 0 } })
  }

  @Test("threads take the next task when they have finished one")
  func makespan() {
    let profile = TaskProfile(sections: [[3, 1, 1, 1], [2, 2, 2]])
    #expect(profile.total == 12)
    #expect(profile.longest == 5)
    #expect(profile.seconds(onThreads: 1) == 12)
    // 3 beside 1 + 1 + 1, then 2 + 2 beside 2.
    #expect(profile.seconds(onThreads: 2) == 7)
    #expect(profile.seconds(onThreads: 8) == profile.longest)
  }
}
