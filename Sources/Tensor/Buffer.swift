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
/// pieces between the pool's barriers, which is what makes sharing it safe.
public final class Buffer<Element: BitwiseCopyable>: @unchecked Sendable {
  public let count: Int
  public let pointer: UnsafeMutablePointer<Element>

  public init(count: Int) {
    precondition(count >= 0)
    let (size, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
    guard !overflow, size <= Int.max - 64 else { Shortage.report("out of memory: \(count) numbers") }
    let bytes = size + 64
    var raw: UnsafeMutableRawPointer?
    guard posix_memalign(&raw, 64, bytes) == 0, let raw else {
      Shortage.report("out of memory: \(bytes) bytes; use a smaller batch or network, or a machine with more memory")
    }
    memset(raw, 0, bytes)
    self.count = count
    pointer = raw.bindMemory(to: Element.self, capacity: count + 64 / max(1, MemoryLayout<Element>.stride))
  }

  public convenience init(_ elements: some Collection<Element>) {
    self.init(count: elements.count)
    _ = UnsafeMutableBufferPointer(start: pointer, count: count).initialize(from: elements)
  }

  deinit { free(pointer) }

  public subscript(index: Int) -> Element {
    get {
      precondition(index >= 0 && index < count)
      return pointer[index]
    }
    set {
      precondition(index >= 0 && index < count)
      pointer[index] = newValue
    }
  }

  public var elements: UnsafeMutableBufferPointer<Element> { UnsafeMutableBufferPointer(start: pointer, count: count) }

  public var readOnly: UnsafeBufferPointer<Element> { UnsafeBufferPointer(elements) }

  public var array: [Element] { Array(elements) }

  public func copy(from other: Buffer) {
    precondition(other.count == count)
    memcpy(pointer, other.pointer, count * MemoryLayout<Element>.stride)
  }
}
