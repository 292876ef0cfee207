#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Owned memory for the kernels: starts on a 64-byte boundary, is zero at first, and has 64 readable bytes past its end.
///
/// A class, since several layers look at one activation. Memory is touched by the thread pool's workers in disjoint
/// pieces between the pool's barriers, which is what makes sharing it safe. Its address is for the kernels alone
/// (`@_spi(Kernels)`); everybody else has checked elements.
public final class Buffer<Element: BitwiseCopyable>: @unchecked Sendable {
  /// Elements, without the 64 bytes past the end.
  public let count: Int
  @usableFromInline let memory: UnsafeMutablePointer<Element>
  /// Whose memory this is a part of; nil: its own.
  private let owner: AnyObject?
  /// What to free; nil: the owner's.
  private let block: UnsafeMutableRawPointer?

  /// Zeros. `Shortage` ends the program where memory is lacking.
  /// - Precondition: `count` is not negative.
  public init(count: Int) {
    precondition(count >= 0)
    let (size, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
    guard !overflow, size <= Int.max - 128 else { Shortage.report("out of memory: \(count) numbers") }
    let bytes = size + 64
    // Of big ones the system has zeros at hand, and no memory is taken for what is never written.
    guard let block = calloc(1, bytes + 64) else {
      Shortage.report("out of memory: \(bytes) bytes; use a smaller batch or network, or a machine with more memory")
    }
    let raw = block.alignedUp(toMultipleOf: 64)
    self.block = block
    self.count = count
    owner = nil
    memory = raw.bindMemory(to: Element.self, capacity: count + 64 / Swift.max(1, MemoryLayout<Element>.stride))
  }

  /// A part of other memory, which it holds on to: from byte `offset` on, as it was left by whoever wrote there last.
  /// - Precondition: `offset` is a multiple of 64, and the part lies within `owner`.
  public init(in owner: Buffer<UInt8>, offset: Int, count: Int) {
    precondition(count >= 0 && offset >= 0 && offset % 64 == 0)
    let (size, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
    precondition(!overflow && size <= owner.count - offset, "a part lies within the memory that it is a part of")
    self.count = count
    self.owner = owner
    block = nil
    memory = UnsafeMutableRawPointer(owner.memory + offset).assumingMemoryBound(to: Element.self)
  }

  /// A copy of them, in order.
  public convenience init(_ elements: some Collection<Element>) {
    self.init(count: elements.count)
    _ = UnsafeMutableBufferPointer(start: memory, count: count).initialize(from: elements)
  }

  deinit { free(block) }

  /// Of the first element; valid for as long as the buffer lives, which the caller sees to.
  @_spi(Kernels) @inlinable public var pointer: UnsafeMutablePointer<Element> { memory }

  /// From 0; an index out of range stops the program.
  @inlinable public subscript(index: Int) -> Element {
    get {
      precondition(index >= 0 && index < count)
      return memory[index]
    }
    set {
      precondition(index >= 0 && index < count)
      memory[index] = newValue
    }
  }

  /// A copy.
  public var array: [Element] { Array(UnsafeBufferPointer(start: memory, count: count)) }

  /// Overwrites every element; both have as many.
  public func copy(from other: Buffer) {
    precondition(other.count == count)
    memcpy(memory, other.memory, count * MemoryLayout<Element>.stride)
  }

  /// The elements as they lie in memory, valid within `body`.
  public func withUnsafeBufferPointer<Result>(
    _ body: (UnsafeBufferPointer<Element>) throws -> Result
  ) rethrows -> Result {
    try body(UnsafeBufferPointer(start: memory, count: count))
  }

  /// The same, to be written.
  public func withUnsafeMutableBufferPointer<Result>(
    _ body: (UnsafeMutableBufferPointer<Element>) throws -> Result
  ) rethrows -> Result {
    try body(UnsafeMutableBufferPointer(start: memory, count: count))
  }
}

/// The elements in order. (Not a collection: a second subscript would make expressions of elements slow to type-check.)
extension Buffer: Sequence {
  /// Holds on to the buffer, and reads each element when it is asked for.
  public struct Iterator: IteratorProtocol {
    @usableFromInline let buffer: Buffer
    @usableFromInline var index = 0

    @usableFromInline init(_ buffer: Buffer) { self.buffer = buffer }

    /// Nil past the last element.
    @inlinable public mutating func next() -> Element? {
      guard index < buffer.count else { return nil }
      defer { index += 1 }
      return buffer[index]
    }
  }

  /// Begins at the first element.
  @inlinable public func makeIterator() -> Iterator { Iterator(self) }
  /// Exact.
  @inlinable public var underestimatedCount: Int { count }
}
