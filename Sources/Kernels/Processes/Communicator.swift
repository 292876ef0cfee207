/// The processes that carry out one run together, as one of them sees them: their number is a power of two, and every one has a
/// node of the batch's tree.
///
/// All of them call the same members in the same order, on the thread that drives the training.
public protocol Communicator: AnyObject {
  /// This process's number, from 0.
  var rank: Int { get }
  /// How many there are; 1: nothing is ever sent.
  var size: Int { get }
  /// Bytes that this process has sent in `exchange`.
  var bytesSent: Int { get }

  /// Sends bytes to another process and receives as many from it.
  func exchange(_ sent: UnsafeRawBufferPointer, receiving received: UnsafeMutableRawBufferPointer, with partner: Int)
  /// Gives all processes what one of them has.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int)
}

extension Communicator {
  /// Whether this process is the one that writes files and tells of progress.
  public var isFirst: Bool { rank == 0 }

  /// Adds up the top of a batch's tree, above the processes' nodes: every process gives the sums of its node and gets those of
  /// the batch.
  ///
  /// In each round two processes whose nodes are siblings exchange their sums and both form the parent's; a + b has the bits of
  /// b + a. Where the batch has fewer slices than there are processes, several of them have the same one, and form the same sums.
  public func addUp<Number: FloatingPoint & BitwiseCopyable>(
    _ sums: UnsafeMutableBufferPointer<Number>, of tree: BatchTree
  ) {
    combine(sums, of: tree) { own, other, _ in
      for index in own.indices { own[index] += other[index] }
    }
  }

  /// The same with any other way to form a parent's numbers from its children's.
  /// - Parameter combine: writes to the first; the last says whether this process has the left child.
  func combine<Number: BitwiseCopyable>(
    _ numbers: UnsafeMutableBufferPointer<Number>, of tree: BatchTree,
    _ combine: (UnsafeMutableBufferPointer<Number>, UnsafeMutableBufferPointer<Number>, _ isLeft: Bool) -> Void
  ) {
    guard size > 1, !numbers.isEmpty else { return }
    withUnsafeTemporaryAllocation(of: Number.self, capacity: numbers.count) { others in
      var distance = size / tree.nodes(among: size)
      while distance < size {
        exchange(
          UnsafeRawBufferPointer(numbers), receiving: UnsafeMutableRawBufferPointer(others), with: rank ^ distance)
        combine(numbers, others, rank & distance == 0)
        distance *= 2
      }
    }
  }
}
