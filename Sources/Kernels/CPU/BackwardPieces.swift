import Tensor

/// One backward pass of a convolution: its slices by node, and the pieces in which they are worked on.
struct BackwardPieces {
  let tree: BatchTree
  /// The slices that are this process's.
  let own: Range<Int>
  /// Nodes of that part of the tree, each with a weight gradient of its own.
  let nodes: Int
  let imagesPerPiece: Int
  let input: ConvolutionInput
  /// Unfrozen weights alone.
  let sparse: Bool

  init(
    _ share: BatchShare, mostNodes: Int, imagesPerPiece: Int, input: ConvolutionInput,
    sparse: Bool
  ) {
    tree = share.tree
    own = share.leaves
    nodes = min(mostNodes, own.count)
    self.imagesPerPiece = imagesPerPiece
    self.input = input
    self.sparse = sparse
  }

  func slices(of node: Int) -> Range<Int> {
    let count = own.count / nodes
    return own.lowerBound + node * count..<own.lowerBound + (node + 1) * count
  }

  /// Some slices piece by piece, in order: a piece has the images of as many slices as fit, a power of two, or a part of one's.
  func overPieces(of slices: Range<Int>, _ body: (_ piece: Range<Int>, _ slices: Range<Int>) -> Void) {
    var atOnce = 1
    while 2 * atOnce <= slices.count && 2 * atOnce * tree.largestSlice <= imagesPerPiece { atOnce *= 2 }
    for group in stride(from: slices.lowerBound, to: slices.upperBound, by: atOnce) {
      let end = tree[group + atOnce - 1].upperBound
      var first = tree[group].lowerBound
      while first < end {
        let piece = first..<min(first + imagesPerPiece, end)
        body(piece, group..<group + atOnce)
        first = piece.upperBound
      }
    }
  }
}
