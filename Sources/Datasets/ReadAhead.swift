import Diagnostics
import Foundation
import Tensor

/// A ring of batches that threads fill in the order in which they will be asked for, image by image.
///
/// Batches are numbered through all epochs. Threads work on the ring's batches from the one that is asked for next on, and wait
/// where all are made. Who asks for another than the next (at the start, after resuming, for another evaluation) makes them
/// begin there. All state but the pixels is behind the condition's lock.
final class ReadAhead: @unchecked Sendable {
  /// One batch of the ring.
  struct Batch {
    /// Through all epochs; -1: none.
    var number = -1
    /// Images in it.
    var count = 0
    /// Images that are still to be made.
    var pending = 0
    /// `[count][side][side][3]`
    let pixels: UnsafeMutablePointer<UInt8>
    let labels: UnsafeMutablePointer<Int32>
    /// What was wrong with pictures, by position in the batch.
    var faults: [Int: Diagnostic] = [:]
  }

  /// An image to be made.
  private struct Task {
    var slot: Int
    var position: Int
    var picture: Int
    var epoch: Int
  }

  private let order: PictureBatches.Order
  private let imageCount: Int
  private let batchCount: Int
  private let repeats: Bool
  private let memory: Buffer<UInt8>
  private let labels: Buffer<Int32>

  private let condition = NSCondition()
  private var ring: [Batch]
  /// The batch that is asked for next.
  private var expected = 0
  /// The next image to hand out, by its place among the needed ones.
  private var next = (batch: 0, position: 0)
  /// Positions in the batch that images are handed out of.
  private var needed: [Int] = []
  private var inWork = 0
  private var isRunning = false
  private var isStopping = false
  /// The order of the epoch that images are handed out of.
  private var permutation: (epoch: Int, pictures: [Int]?)?

  init(order: PictureBatches.Order, imageCount: Int, batchCount: Int, slots: Int, repeats: Bool) {
    self.order = order
    self.imageCount = imageCount
    self.batchCount = batchCount
    self.repeats = repeats
    let size = min(order.batchSize, imageCount)
    let bytes = size * order.crop.size.rgbBytes
    let memory = Buffer<UInt8>(count: slots * bytes)
    let labels = Buffer<Int32>(count: slots * size)
    self.memory = memory
    self.labels = labels
    ring = memory.withUnsafeMutableBufferPointer { pixels in
      labels.withUnsafeMutableBufferPointer { labels in
        (0..<slots).map { Batch(pixels: pixels.baseAddress! + $0 * bytes, labels: labels.baseAddress! + $0 * size) }
      }
    }
  }

  var slotCount: Int { ring.count }
  var bytes: Int { memory.count }

  // MARK: Who asks

  /// Lends a batch that is made whole; waits for it.
  func withBatch<Result>(epoch: Int, batch: Int, _ body: (Batch) throws -> Result) rethrows -> Result {
    let number = epoch * batchCount + batch
    condition.lock()
    if !isRunning || number != expected { begin(at: number) }
    let slot = number % ring.count
    while ring[slot].number != number || ring[slot].pending > 0 { condition.wait() }
    let made = ring[slot]
    condition.unlock()
    defer {
      condition.lock()
      expected = number + 1
      condition.broadcast()
      condition.unlock()
    }
    return try body(made)
  }

  /// Under the lock.
  private func begin(at number: Int) {
    // What is in work writes into the ring's memory.
    isRunning = false
    while inWork > 0 { condition.wait() }
    for slot in ring.indices { ring[slot].number = -1 }
    expected = number
    next = (number, 0)
    isRunning = true
    condition.broadcast()
  }

  // MARK: Threads

  /// Makes images until `stop`; the body of a reader thread.
  func work(_ maker: ImageMaker) {
    condition.lock()
    while !isStopping {
      guard let task = nextTask() else {
        condition.wait()
        continue
      }
      inWork += 1
      let target = ring[task.slot].pixels + task.position * order.crop.size.rgbBytes
      condition.unlock()
      var fault: Diagnostic?
      do throws(Diagnostic) {
        try maker.make(picture: task.picture, epoch: task.epoch, into: target)
      } catch {
        fault = error
      }
      condition.lock()
      inWork -= 1
      ring[task.slot].faults[task.position] = fault
      ring[task.slot].pending -= 1
      if ring[task.slot].pending == 0 || inWork == 0 { condition.broadcast() }
    }
    condition.unlock()
  }

  func stop() {
    condition.lock()
    isStopping = true
    condition.broadcast()
    condition.unlock()
  }

  /// Under the lock.
  private func nextTask() -> Task? {
    guard isRunning, next.batch < expected + ring.count, repeats || next.batch < batchCount else { return nil }
    let (epoch, batch) = next.batch.quotientAndRemainder(dividingBy: batchCount)
    let slot = next.batch % ring.count
    let first = batch * order.batchSize
    if next.position == 0 {
      let count = min(order.batchSize, imageCount - first)
      ring[slot].number = next.batch
      needed = order.needed(count).flatMap(\.self)
      ring[slot].count = count
      ring[slot].pending = needed.count
      ring[slot].faults = [:]
    }
    if permutation?.epoch != epoch { permutation = (epoch, order.permutation(epoch: epoch)) }
    let position = needed[next.position]
    let picture = permutation?.pictures?[first + position] ?? first + position
    ring[slot].labels[position] = order.split.pictures[picture].label
    next = next.position + 1 < needed.count ? (next.batch, next.position + 1) : (next.batch + 1, 0)
    return Task(slot: slot, position: position, picture: picture, epoch: epoch)
  }
}

/// Threads that run one function each until it ends by itself.
final class ReaderThreads {
  let count: Int
  private var handles: [pthread_t] = []

  /// `Shortage` ends the program where threads cannot be had.
  init(_ count: Int, _ run: @escaping @Sendable () -> Void) {
    precondition(count >= 1, "somebody reads")
    self.count = count
    for _ in 0..<count { handles.append(startThread(of: "\(count) threads that read images", run)) }
  }

  /// Waits for all of them.
  func join() {
    for handle in handles { pthread_join(handle, nil) }
    handles = []
  }
}
