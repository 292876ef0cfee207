/// How a convolution's backward pass is cut into tasks: by nodes of the batch's tree, each with a weight gradient of its own, and
/// by blocks of output channels too where nodes alone would be fewer than the threads, or their gradients too many numbers. No sum
/// depends on it.
struct BackwardTasks: Equatable {
  /// Of this process's part of the tree: a power of two.
  let nodes: Int
  /// Parts of the output channels; 1: a node's task forms both gradients of each piece while it is in the cache.
  let blocks: Int
  /// Weight gradients of a block that a thread has at most, beside the task's own, and not yet added up: one a level of the
  /// node's tree, and one for the pieces of a slice.
  let pendingSums: Int
  /// Weight gradients of all tasks and threads together.
  let floats: Int

  /// Sums of weight gradients that threads may have together: 64 MiB.
  static let partialBudget = 16 << 20
  /// Blocks begin at multiples of so many channels.
  private static let channelsAtOnce = 8

  /// - Parameter leaves: slices that are this process's.
  init(weights: Int, channels: Int, groups: Int, leaves: Int, threads: Int) {
    func divided(into blocks: Int) -> (nodes: Int, pendingSums: Int, floats: Int) {
      func floats(_ nodes: Int) -> Int {
        let block = weights / channels * Self.channels(of: 0, among: blocks, all: channels).count
        return nodes * weights + threads * Self.pendingSums(leaves / nodes) * block
      }
      // Enough for the threads to be equally busy, as few as that allows.
      var nodes = 1
      while nodes < leaves && nodes * blocks < 4 * threads { nodes *= 2 }
      while nodes / 2 * blocks >= threads && floats(nodes) > Self.partialBudget { nodes /= 2 }
      return (nodes, Self.pendingSums(leaves / nodes), floats(nodes))
    }
    var blocks = 1
    var division = divided(into: blocks)
    while division.nodes * blocks < threads || division.floats > Self.partialBudget,
      groups == 1, 2 * blocks * Self.channelsAtOnce <= channels
    {
      blocks *= 2
      division = divided(into: blocks)
    }
    self.blocks = blocks
    nodes = division.nodes
    pendingSums = division.pendingSums
    floats = division.floats
  }

  /// The channels of a block; none has more than the first.
  static func channels(of block: Int, among blocks: Int, all: Int) -> Range<Int> {
    guard blocks > 1 else { return 0..<all }
    let parts = (all + channelsAtOnce - 1) / channelsAtOnce
    func start(_ block: Int) -> Int { min(all, channelsAtOnce * ((parts * block + blocks - 1) / blocks)) }
    return start(block)..<start(block + 1)
  }

  /// While the gradients of so many slices are added up like a binary counter.
  private static func pendingSums(_ slices: Int) -> Int { slices.trailingZeroBitCount + 1 }
}
