/// Seconds of the tasks that a pool was asked to run, section by section: one `ThreadPool.run` is a section.
public final class TaskProfile {
  /// Of each section, in the order of its tasks.
  public private(set) var sections: [[Double]]

  /// Without sections, unless given.
  public init(sections: [[Double]] = []) { self.sections = sections }

  func run(_ tasks: Int, _ body: (Int) -> Void) {
    var seconds: [Double] = []
    seconds.reserveCapacity(tasks)
    // One look at the clock a task, which counts as a part of it.
    var last = ContinuousClock.now
    for task in 0..<tasks {
      body(task)
      let now = ContinuousClock.now
      seconds.append((now - last) / .seconds(1))
      last = now
    }
    sections.append(seconds)
  }

  /// Seconds of all tasks together.
  public var total: Double { sections.reduce(0) { $0 + $1.reduce(0, +) } }

  /// Seconds of each section's longest task, together: what no number of threads gets below.
  public var longest: Double { sections.reduce(0) { $0 + ($1.max() ?? 0) } }

  /// Seconds that so many threads take for the sections one after the other, each thread taking the next task when it has
  /// finished one, as a pool's do. Passing work on takes no time here.
  public func seconds(onThreads threads: Int) -> Double {
    sections.reduce(0) { total, section in
      var ends = [Double](repeating: 0, count: threads)
      for task in section {
        let first = ends.indices.min { ends[$0] < ends[$1] }!
        ends[first] += task
      }
      return total + ends.max()!
    }
  }
}
