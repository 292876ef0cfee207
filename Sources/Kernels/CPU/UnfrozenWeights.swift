@_spi(Kernels) import Tensor

/// Whose gradients are computed: listed where they are few, so that nothing is spent on the others.
struct UnfrozenWeights {
  /// How many there are.
  let count: Int
  /// Their places among all; nil where they are more than a quarter of them.
  let listed: [Int32]?
  /// A copy of the mask.
  let frozen: Buffer<UInt8>
  private var all: Int { frozen.count }

  init(frozen given: Buffer<UInt8>) {
    self.init(UnsafeBufferPointer(start: given.pointer, count: given.count), isListed: nil)
  }

  /// Those of a block, listed where the whole layer's are.
  init(block: Range<Int>, of whole: UnfrozenWeights) {
    if block.count == whole.all {
      self = whole
    } else {
      let mask = UnsafeBufferPointer(start: whole.frozen.pointer + block.lowerBound, count: block.count)
      self.init(mask, isListed: whole.listed != nil)
    }
  }

  /// Copies the mask. `isListed` nil: where they are few.
  private init(_ mask: UnsafeBufferPointer<UInt8>, isListed: Bool?) {
    frozen = Buffer(mask)
    count = mask.reduce(0) { $0 + ($1 == 0 ? 1 : 0) }
    listed =
      isListed ?? (4 * count <= mask.count) ? mask.indices.lazy.filter { mask[$0] == 0 }.map(Int32.init) : nil
  }

  /// Zeros at least where the gradients of these weights are added.
  func clear(_ gradient: UnsafeMutablePointer<Float>) {
    if let listed {
      for index in listed { gradient[Int(index)] = 0 }
    } else {
      gradient.update(repeating: 0, count: all)
    }
  }
}
