public import Tensor

/// The slices of a batch over which sums are formed, and the order in which they are added up: a binary tree whose leaves are the
/// slices.
///
/// Both depend on the number of images alone, so sums have the same bits for any number of threads. A node's images are one
/// run of the batch, so that whoever has all of them forms the node's sum alone.
public struct BatchTree: Sendable, Equatable {
  /// Most slices that a batch is cut into.
  public static let maximumLeaves = 64

  /// Of the batch, at least 1.
  public let images: Int
  /// A power of two: 32 from 128 images on, 64 from 256; below, the most with at least four images each, since every slice has
  /// sums of its own.
  public let leaves: Int

  /// - Precondition: there is an image.
  public init(images: Int) {
    precondition(images >= 1)
    self.images = images
    let most = images < 256 ? 32 : Self.maximumLeaves
    var leaves = 1
    while 2 * leaves <= min(most, images / 4) { leaves *= 2 }
    self.leaves = leaves
  }

  /// Images of the largest slice of any batch of up to so many.
  static func largestSlice(upTo images: Int) -> Int {
    (1...images).reduce(1) { max($0, BatchTree(images: $1).largestSlice) }
  }

  /// Images of the largest slice.
  var largestSlice: Int { (images + leaves - 1) / leaves }

  /// The images of one of `count` nodes of a level, from the first images to the last; `count` divides `leaves`.
  public func images(of node: Int, among count: Int) -> Range<Int> {
    (images * node / count)..<(images * (node + 1) / count)
  }

  /// How many nodes so many processes divide among them: one each, unless there are fewer slices.
  func nodes(among processes: Int) -> Int { min(processes, leaves) }

  /// The slices of a process's node.
  public func leaves(of process: any Communicator) -> Range<Int> {
    leaves(ofProcess: process.rank, among: process.size)
  }

  private func leaves(ofProcess rank: Int, among processes: Int) -> Range<Int> {
    let nodes = nodes(among: processes)
    let node = rank * nodes / processes
    return node * (leaves / nodes)..<(node + 1) * (leaves / nodes)
  }

  /// The images of a process's node.
  public func images(of process: any Communicator) -> Range<Int> {
    images(ofProcess: process.rank, among: process.size)
  }

  /// The same for a process by its number.
  public func images(ofProcess rank: Int, among processes: Int) -> Range<Int> {
    let leaves = leaves(ofProcess: rank, among: processes)
    return self[leaves.lowerBound].lowerBound..<self[leaves.upperBound - 1].upperBound
  }

  /// The images of a slice.
  public subscript(leaf: Int) -> Range<Int> { images(of: leaf, among: leaves) }

  /// Σ of one number an image, in the images' order within a slice, over all processes' images.
  public func sum(_ values: Buffer<Double>, over processes: any Communicator = NoMPI()) -> Double {
    let own = leaves(of: processes)
    return withUnsafeTemporaryAllocation(of: Double.self, capacity: own.count) { sums in
      for (index, leaf) in own.enumerated() { sums[index] = self[leaf].reduce(0) { $0 + values[$1] } }
      Self.addUp(sums.baseAddress!, rows: own.count, stride: 1, columns: 0..<1)
      processes.addUp(.init(rebasing: sums[..<1]), of: self)
      return sums[0]
    }
  }

  /// Adds up rows of `count` numbers that lie one behind the other as the leaves of a tree: the first row becomes the sum, the
  /// others are used up. `rows` is a power of two.
  static func addUp<Number: FloatingPoint>(
    _ values: UnsafeMutablePointer<Number>, rows: Int, stride: Int, columns: Range<Int>
  ) {
    var distance = 1
    while distance < rows {
      for row in Swift.stride(from: 0, to: rows, by: 2 * distance) {
        let sum = values + row * stride
        let other = sum + distance * stride
        for column in columns { sum[column] += other[column] }
      }
      distance *= 2
    }
  }
}
