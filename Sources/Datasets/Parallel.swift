import Diagnostics
import Synchronization
import Tensor

/// Reports work done, as (done, total). Called from one thread at a time, with `done` rising to `total`.
public typealias ProgressHandler = @Sendable (_ done: Int, _ total: Int) -> Void

/// Runs `body(state, index)` for every index below `count` on up to `threads` threads, each with a state of its own.
///
/// Throws the error of the lowest failing index, whatever the number of threads: indices are handed out in order, so
/// every index below a failing one is done before the error is chosen.
func forEachIndex<State>(
  below count: Int, threads: Int, progress: ProgressHandler?, state: @autoclosure @Sendable () -> State,
  _ body: @Sendable (State, Int) throws(Diagnostic) -> Void
) throws(Diagnostic) {
  precondition(threads >= 1, "at least one thread does the work")
  let next = Atomic(0)
  let failure = Mutex<(index: Int, error: Diagnostic)?>(nil)
  let done = Mutex(0)
  let reportEvery = max(1, count / 500)
  let workers = min(threads, max(count, 1))
  ThreadPool(threads: workers).run(workers) { _, _ in
    let own = state()
    while true {
      let index = next.add(1, ordering: .relaxed).oldValue
      if index >= count || failure.withLock({ $0.map { $0.index < index } ?? false }) { return }
      do throws(Diagnostic) {
        try body(own, index)
      } catch {
        failure.withLock { if $0.map({ index < $0.index }) ?? true { $0 = (index, error) } }
        return
      }
      done.withLock { done in
        done += 1
        if done % reportEvery == 0 || done == count { progress?(done, count) }
      }
    }
  }
  if let failure = failure.withLock({ $0 }) { throw failure.error }
}

/// An array that `fill` writes whole, made without clearing it first.
func bytes(
  count: Int, _ fill: (SharedBytes) throws(Diagnostic) -> Void
) throws(Diagnostic) -> [UInt8] {
  var failure: Diagnostic?
  Shortage.check(bytes: count, for: "decoded images")
  let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
    do throws(Diagnostic) {
      try fill(SharedBytes(pointer: buffer.baseAddress!))
      initialized = count
    } catch {
      failure = error
    }
  }
  if let failure { throw failure }
  return bytes
}

/// Threads write to disjoint parts of what this points to.
struct SharedBytes: @unchecked Sendable {
  let pointer: UnsafeMutablePointer<UInt8>
}
