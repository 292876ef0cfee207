import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Runs numbered tasks on a fixed set of threads, the caller's among them, and waits for all of them.
///
/// Which thread runs a task is left to chance; callers make results independent of it by giving each task its own output.
/// A run allocates nothing.
public final class ThreadPool: @unchecked Sendable {
  /// The caller's included: at least 1.
  public let threads: Int
  /// While it is there, the caller runs every task itself, one after the other, and their seconds are recorded: what the
  /// division of the work allows can be seen on a machine with fewer cores.
  public var profile: TaskProfile?
  private let state: State
  private var handles: [pthread_t] = []

  private final class State: @unchecked Sendable {
    let generation = Atomic<Int>(0)
    let nextTask = Atomic<Int>(0)
    let busyWorkers = Atomic<Int>(0)
    let nextWorker = Atomic<Int>(1)
    var taskCount = 0
    var body: ((Int, Int) -> Void)?
    var isStopping = false
    var mutex = pthread_mutex_t()
    var condition = pthread_cond_t()

    init() {
      pthread_mutex_init(&mutex, nil)
      pthread_cond_init(&condition, nil)
    }

    deinit {
      pthread_mutex_destroy(&mutex)
      pthread_cond_destroy(&condition)
    }

    func work(as worker: Int) {
      guard let body else { return }
      while true {
        let task = nextTask.wrappingAdd(1, ordering: .relaxed).oldValue
        if task >= taskCount { return }
        body(task, worker)
      }
    }

    /// Spins briefly for the next generation, since tasks come in quick succession, then sleeps.
    func wait(after seen: Int) -> Int {
      for _ in 0..<4000 {
        let now = generation.load(ordering: .acquiring)
        if now != seen { return now }
      }
      pthread_mutex_lock(&mutex)
      defer { pthread_mutex_unlock(&mutex) }
      while generation.load(ordering: .acquiring) == seen { pthread_cond_wait(&condition, &mutex) }
      return generation.load(ordering: .acquiring)
    }

    func publish() {
      pthread_mutex_lock(&mutex)
      generation.wrappingAdd(1, ordering: .releasing)
      pthread_cond_broadcast(&condition)
      pthread_mutex_unlock(&mutex)
    }

    func workerLoop() {
      let worker = nextWorker.wrappingAdd(1, ordering: .relaxed).oldValue
      var seen = 0
      while true {
        seen = wait(after: seen)
        if isStopping { return }
        work(as: worker)
        busyWorkers.wrappingSubtract(1, ordering: .releasing)
      }
    }
  }

  /// Starts `threads` − 1 threads, which end with the pool. `Shortage` ends the program where they cannot be had.
  /// - Precondition: `threads` is at least 1.
  public init(threads: Int) {
    precondition(threads >= 1)
    self.threads = threads
    state = State()
    for _ in 1..<threads { handles.append(startThread(of: "\(threads) threads") { [state] in state.workerLoop() }) }
  }

  deinit {
    state.isStopping = true
    state.publish()
    for handle in handles { pthread_join(handle, nil) }
  }

  /// Calls `body(task, worker)` once for every task in 0..<tasks; `worker` is in 0..<threads and names the thread, for
  /// scratch memory. Returns when all are done. Not to be called from within a task.
  public func run(_ tasks: Int, _ body: (_ task: Int, _ worker: Int) -> Void) {
    if let profile {
      profile.run(tasks) { body($0, 0) }
      return
    }
    if threads == 1 || tasks <= 1 {
      for task in 0..<tasks { body(task, 0) }
      return
    }
    withoutActuallyEscaping(body) { body in
      state.body = body
      state.taskCount = tasks
      state.nextTask.store(0, ordering: .relaxed)
      state.busyWorkers.store(threads - 1, ordering: .relaxed)
      state.publish()
      state.work(as: 0)
      var spins = 0
      while state.busyWorkers.load(ordering: .acquiring) != 0 {
        spins += 1
        if spins > 4000 { sched_yield() }
      }
      state.body = nil
    }
  }
}
