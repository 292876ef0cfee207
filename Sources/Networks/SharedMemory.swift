/// Where tensors lie that do not all live at once: in one piece of memory, no two of them at the same place at the same
/// time.
public struct SharedMemory: Sendable {
  /// A tensor's size and life.
  public struct Piece: Sendable {
    /// At least 1.
    public let bytes: Int
    /// From its first writing to its last reading, both inclusive.
    public let life: ClosedRange<Int>

    /// What lives from one time to another.
    public init(bytes: Int, life: ClosedRange<Int>) {
      self.bytes = bytes
      self.life = life
    }
  }

  /// Of each piece, in bytes, a multiple of 64.
  public let offsets: [Int]
  /// All of it.
  public let bytes: Int

  /// The largest piece first, each at the lowest place that nothing needs during its life.
  public init(_ pieces: [Piece]) {
    var offsets = [Int](repeating: 0, count: pieces.count)
    var placed: [Int] = []
    var end = 0
    func size(_ piece: Int) -> Int { (pieces[piece].bytes + 63) / 64 * 64 }
    let largestFirst = pieces.indices.sorted { (pieces[$0].bytes, $1) > (pieces[$1].bytes, $0) }
    for piece in largestFirst {
      var offset = 0
      for other in placed where pieces[other].life.overlaps(pieces[piece].life) {
        if offsets[other] >= offset + size(piece) { break }
        offset = max(offset, offsets[other] + size(other))
      }
      offsets[piece] = offset
      end = max(end, offset + size(piece))
      let place = placed.firstIndex { offsets[$0] > offset } ?? placed.count
      placed.insert(piece, at: place)
    }
    self.offsets = offsets
    bytes = end
  }
}
