import Datasets
import Diagnostics
import Foundation
import Kernels
import Networks
import Quantization
import Records
import Tensor
import Testing
import Training

/// Threads of one process in the place of processes that MPI connects.
private final class ThreadProcess: Communicator {
  /// What is on its way, by sender and receiver.
  private final class Post: @unchecked Sendable {
    private let condition = NSCondition()
    private var messages: [[Int]: [[UInt8]]] = [:]

    func send(_ bytes: [UInt8], from sender: Int, to receiver: Int) {
      condition.withLock { messages[[sender, receiver], default: []].append(bytes) }
      condition.broadcast()
    }

    func receive(from sender: Int, to receiver: Int) -> [UInt8] {
      condition.lock()
      defer { condition.unlock() }
      while messages[[sender, receiver], default: []].isEmpty { condition.wait() }
      return messages[[sender, receiver], default: []].removeFirst()
    }
  }

  private final class Results<Value>: @unchecked Sendable {
    let lock = NSLock()
    var all: [Int: Result<Value, any Error>] = [:]
  }

  let rank: Int
  let size: Int
  private(set) var bytesSent = 0
  private let post: Post

  private init(rank: Int, of size: Int, post: Post) {
    (self.rank, self.size, self.post) = (rank, size, post)
  }

  func exchange(
    _ sent: UnsafeRawBufferPointer, receiving received: UnsafeMutableRawBufferPointer, with partner: Int
  ) {
    bytesSent += sent.count
    post.send(Array(sent), from: rank, to: partner)
    received.copyBytes(from: post.receive(from: partner, to: rank))
  }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {
    if rank == root {
      for other in 0..<size where other != root { post.send(Array(bytes), from: root, to: other) }
    } else {
      bytes.copyBytes(from: post.receive(from: root, to: rank))
    }
  }

  /// What `body` gives on each of them, in order.
  static func run<Value: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (any Communicator) throws -> Value
  ) -> [Result<Value, any Error>] {
    let post = Post()
    let results = Results<Value>()
    let done = DispatchSemaphore(value: 0)
    for rank in 0..<count {
      let thread = Thread {
        let result = Result { try body(ThreadProcess(rank: rank, of: count, post: post)) }
        results.lock.withLock { results.all[rank] = result }
        done.signal()
      }
      thread.stackSize = 8 << 20
      thread.start()
    }
    for _ in 0..<count { done.wait() }
    return (0..<count).compactMap { results.all[$0] }
  }
}

/// What a run leaves, without what differs between two executions.
private struct Trace: Sendable, Equatable {
  var tensors: [String: [UInt32]]
  var epochs: [EpochRecord]
  var bytesSent: [Int]

  init(_ session: TrainingSession) {
    tensors = session.tensorBits
    epochs = session.timelessEpochs
    bytesSent = session.epochs.map { $0.bytesSent ?? 0 }
  }
}

@Suite("Processes that train a run together")
struct ProcessesTests {
  private static func trained(_ spec: TrainingSpec, by count: Int) throws -> [Trace] {
    try ThreadProcess.run(count) { process in
      let session = try TrainingSession(
        spec: spec, data: SmallRuns.data, normalization: Normalization(SmallRuns.data.manifest),
        threads: 1 + process.rank % 2, processes: process)
      _ = try session.train { _ in .proceed }
      return Trace(session)
    }.map { try $0.get() }
  }

  /// 24 images make 4 slices, the 4 left over at an epoch's end one: some processes have the same.
  @Test("give the bits of one", arguments: SmallRuns.Method.allCases, [nil, 12] as [Int?])
  func bits(method: SmallRuns.Method, microbatch: Int?) throws {
    var spec = SmallRuns.spec(method)
    spec.batchSize = 24
    spec.microbatch = microbatch
    let alone = Trace(try SmallRuns.finished(spec))
    #expect(alone.bytesSent.allSatisfy { $0 == 0 })
    for count in [2, 4] {
      for trace in try Self.trained(spec, by: count) {
        #expect(trace.tensors == alone.tensors, "\(count) processes")
        #expect(trace.epochs == alone.epochs, "\(count) processes")
        #expect(trace.bytesSent.allSatisfy { $0 > 0 })
      }
    }
  }

  @Test("send less the more weights are frozen")
  func bytes() throws {
    var spec = SmallRuns.spec(.ltsFreeze, totalSteps: 14)
    spec.batchSize = 24
    let traces = try Self.trained(spec, by: 2)
    let epochs = traces[0].epochs
    let last = try #require(epochs.last)
    #expect(last.frozenShare > 0.5 && epochs[0].frozenShare < 0.1)
    // Both epochs have three steps.
    #expect(Double(traces[0].bytesSent[epochs.count - 2]) < 0.9 * Double(traces[0].bytesSent[0]))
  }

  @Test("end together with the fault of one of them")
  func fault() throws {
    for (count, faulty) in [(2, 0), (2, 1), (4, 3)] {
      let results = ThreadProcess.run(count) { process in
        try process.together {
          if process.rank == faulty { throw Diagnostic(cause: .noSpace, "disk", "is full", remedy: "make room") }
          return process.rank
        }
      }
      for result in results {
        #expect(throws: Diagnostic(cause: .noSpace, "disk", "is full", remedy: "make room")) { try result.get() }
      }
    }
    #expect(
      try ThreadProcess.run(4) { process in try process.together { process.rank } }.map { try $0.get() } == [
        0, 1, 2, 3,
      ])
  }

  @Test("of which one has other masks write no checkpoint")
  func masks() throws {
    let results = ThreadProcess.run(2) { process in
      var spec = SmallRuns.spec(.spqatFreeze)
      spec.batchSize = 24
      let session = try TrainingSession(
        spec: spec, data: SmallRuns.data, normalization: Normalization(SmallRuns.data.manifest), threads: 1,
        processes: process)
      try session.checkAgreement()
      if process.rank == 1, let freezing = session.learner.network.convolutions.lazy.compactMap(\.freezing).first {
        freezing.frozen[0] = 1
      }
      try session.checkAgreement()
      return 0
    }
    for result in results {
      #expect { try result.get() } throws: { "\($0)".hasPrefix("process 1: other weights are frozen after step 0") }
    }
  }
}
