/// A 64-byte aligned buffer followed by 64 readable bytes, which nothing may change.
final class GuardedBuffer<Element> {
  let elements: UnsafeMutableBufferPointer<Element>
  private let memory: UnsafeMutableRawBufferPointer
  private let byteCount: Int

  init(_ count: Int, fill: (Int) -> Element) {
    byteCount = count * MemoryLayout<Element>.stride
    memory = .allocate(byteCount: byteCount + 64, alignment: 64)
    memory.initializeMemory(as: UInt8.self, repeating: 0xA5)
    elements = UnsafeMutableBufferPointer(
      start: memory.baseAddress!.assumingMemoryBound(to: Element.self), count: count)
    for index in 0..<count { elements[index] = fill(index) }
  }

  var base: UnsafeMutablePointer<Element> { elements.baseAddress! }
  var endIsIntact: Bool { memory[byteCount...].allSatisfy { $0 == 0xA5 } }

  deinit { memory.deallocate() }
}

/// SplitMix64.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
