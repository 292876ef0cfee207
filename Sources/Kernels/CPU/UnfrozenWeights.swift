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
    frozen = Buffer(count: given.count)
    frozen.copy(from: given)
    let all = frozen.count
    let mask = UnsafeBufferPointer(start: frozen.pointer, count: all)
    count = mask.reduce(0) { $0 + ($1 == 0 ? 1 : 0) }
    listed = 4 * count <= all ? mask.indices.lazy.filter { mask[$0] == 0 }.map(Int32.init) : nil
  }

  /// Those of a block, listed where the whole layer's are.
  init(block: Range<Int>, of whole: UnfrozenWeights) {
    frozen = Buffer(count: block.count)
    frozen.pointer.update(from: whole.frozen.pointer + block.lowerBound, count: block.count)
    let mask = UnsafeBufferPointer(start: frozen.pointer, count: block.count)
    count = mask.reduce(0) { $0 + ($1 == 0 ? 1 : 0) }
    listed = whole.listed == nil ? nil : mask.indices.lazy.filter { mask[$0] == 0 }.map(Int32.init)
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
