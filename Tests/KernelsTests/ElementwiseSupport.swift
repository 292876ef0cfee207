import CKernels
import Testing

/// What the tests of the element-wise kernels share.
enum Elementwise {
  /// The instruction sets this machine has, the reference apart.
  static var vectorised: [sq_isa] {
    [SQ_ISA_PORTABLE, SQ_ISA_AVX2, SQ_ISA_AVX512].filter { sq_kernels_for($0) != nil }
  }

  static var all: [sq_isa] { [SQ_ISA_REFERENCE] + vectorised }

  static let channelCounts = [1, 3, 7, 8, 9, 16, 17, 64, 1023]

  /// Row counts to try with a number of channels: fewer of them where rows are long.
  static func rowCounts(channels: Int) -> [Int] { channels > 100 ? [1, 2, 33] : [1, 2, 31, 33, 1000] }

  /// The whole range, and one that leaves rows alone on both sides.
  static func ranges(_ count: Int) -> [Range<Int>] {
    count < 3 ? [0..<count] : [0..<count, count / 3..<count - 1]
  }

  /// Values that `isa` computes to the bit as the reference does: any where both fuse multiply-adds, else multiples of
  /// 1/16 up to 4 (times powers of two), with which single precision is exact.
  static func values(_ count: Int, seed: UInt64, isa: sq_isa) -> [Float] {
    var random = SplitMix(state: seed)
    return (0..<count).map { _ in
      let bits = random.next()
      // Every other value is on the coarse grid, so that ties and the ends of ranges are hit.
      return isa == SQ_ISA_PORTABLE || bits & 1 == 0
        ? Float(Int(bits >> 32 % 129) - 64) / 16
        : Float(Double(bits >> 40) / Double(1 << 24) * 8 - 4)
    }
  }

  /// An array on a 64-byte boundary with 64 bytes of ones (NaN, as floats) on both sides.
  final class Buffer<Element: BitwiseCopyable> {
    let count: Int
    let pointer: UnsafeMutablePointer<Element>
    private let storage: UnsafeMutableRawBufferPointer

    init(_ values: [Element]) {
      count = values.count
      let bytes = values.count * MemoryLayout<Element>.stride
      storage = .allocate(byteCount: bytes + 128, alignment: 64)
      storage.initializeMemory(as: UInt8.self, repeating: 0xFF)
      pointer = (storage.baseAddress! + 64).bindMemory(to: Element.self, capacity: values.count)
      pointer.update(from: values, count: values.count)
    }

    convenience init(repeating value: Element, count: Int) { self.init(Array(repeating: value, count: count)) }

    deinit { storage.deallocate() }

    var values: [Element] { Array(UnsafeBufferPointer(start: pointer, count: count)) }

    /// Whether nothing was written outside the array.
    var isIntact: Bool {
      storage.prefix(64).allSatisfy { $0 == 0xFF } && storage.suffix(64).allSatisfy { $0 == 0xFF }
    }
  }

  /// Expects the same numbers (NaN where NaN) and untouched surroundings.
  static func expectSame<Element: BitwiseCopyable & Equatable>(
    _ result: Buffer<Element>, _ reference: Buffer<Element>, _ backend: @autoclosure () -> String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let difference = (0..<result.count).first {
      let (a, b) = (result.pointer[$0], reference.pointer[$0])
      return a != b && !(a != a && b != b)
    }
    if let index = difference {
      Issue.record(
        "\(backend()): element \(index) is \(result.pointer[index]), not \(reference.pointer[index])",
        sourceLocation: sourceLocation)
    }
    if !result.isIntact {
      Issue.record("\(backend()): wrote outside the buffer", sourceLocation: sourceLocation)
    }
  }

  /// Expects sums within 3e-7 of the reference, relative to the sums of magnitudes.
  static func expectClose(
    _ result: [Double], _ reference: [Double], magnitudes: [Double], _ backend: @autoclosure () -> String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for index in result.indices
    where !(abs(result[index] - reference[index]) <= 3e-7 * magnitudes[index]) {
      Issue.record(
        "\(backend()): sum \(index) is \(result[index]), not \(reference[index])", sourceLocation: sourceLocation)
    }
  }
}
