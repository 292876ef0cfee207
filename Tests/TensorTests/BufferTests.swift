import Foundation
@_spi(Kernels) import Tensor
import TestSupport
import Testing

struct BufferTests {
  @Test(
    "memory starts on a 64-byte boundary, is zero, and 64 bytes past its end can be read",
    arguments: [0, 1, 7, 64, 1000])
  func memory(count: Int) {
    let floats = Buffer<Float>(count: count)
    let bytes = Buffer<UInt8>(count: count)
    #expect(Int(bitPattern: floats.pointer) % 64 == 0)
    #expect(Int(bitPattern: bytes.pointer) % 64 == 0)
    #expect(floats.count == count && floats.allSatisfy { $0 == 0 })
    #expect((count..<count + 16).allSatisfy { floats.pointer[$0] == 0 })
    #expect((count..<count + 64).allSatisfy { bytes.pointer[$0] == 0 })
  }

  @Test(
    "memory that nobody writes is not taken",
    .enabled(if: FileManager.default.fileExists(atPath: "/proc/self/statm"), "this system has no /proc"),
    .disabled(if: isSanitized, "a sanitizer writes beside all memory"))
  func untouched() throws {
    func residentPages() throws -> Int {
      let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
      return try #require(Int(fields[1]))
    }
    let before = try residentPages()
    let buffer = Buffer<UInt8>(count: 1 << 30)
    // Other tests run at the same time.
    #expect(try residentPages() - before < (1 << 29) / sysconf(Int32(_SC_PAGESIZE)))
    #expect(buffer[1 << 29] == 0)
  }

  @Test("elements are set, copied and given back")
  func elements() {
    let buffer = Buffer<Double>([1, 2, 3])
    buffer[1] = 5
    #expect(buffer.array == [1, 5, 3] && buffer[2] == 3)
    let copy = Buffer<Double>(count: 3)
    copy.copy(from: buffer)
    buffer[0] = 9
    #expect(copy.array == [1, 5, 3])
    #expect(Array(copy) == [1, 5, 3] && copy.reversed() == [3, 5, 1])
    #expect(copy.withUnsafeBufferPointer { Array($0) } == [1, 5, 3])
    copy.withUnsafeMutableBufferPointer { $0[2] = 7 }
    #expect(copy.array == [1, 5, 7])
  }

  @Test("an index outside is a programmer's mistake")
  func outside() async {
    await #expect(processExitsWith: .failure) {
      let buffer = Buffer<Float>(count: 3)
      buffer[3] = 1
    }
    await #expect(processExitsWith: .failure) { _ = Buffer<Float>(count: 3)[-1] }
    await #expect(processExitsWith: .failure) { Buffer<Float>(count: 3).copy(from: Buffer(count: 4)) }
  }

  @Test("a parameter without extents is one number")
  func parameter() {
    let scalar = Parameter(name: "layer.sA", shape: [], group: .quantizers)
    scalar.scalar = 2
    #expect(scalar.count == 1 && scalar.value.array == [2])
    let tensor = Parameter(name: "layer.weight", shape: [2, 3, 3, 4], group: .weights)
    #expect(tensor.count == 72 && tensor.gradient.count == 72 && tensor.frozen == nil)
  }
}
