public import Tensor

/// Between this project's weight layout (output channel, kernel row, kernel column, input channel) and PyTorch's (output
/// channel, input channel, kernel row, kernel column). Tensors of other ranks are the same in both; a linear layer, a
/// 1×1 convolution here, has two extents there.
public enum PyTorchLayout {
  /// `isLinear`: of the four extents, the kernel's two are left out.
  public static func shape(_ shape: [Int], isLinear: Bool) -> [Int] {
    guard shape.count == 4 else { return shape }
    return isLinear ? [shape[0], shape[3]] : [shape[0], shape[3], shape[1], shape[2]]
  }

  /// A copy in PyTorch's order of values whose `shape` is given in this project's layout.
  public static func export<Element>(_ values: Buffer<Element>, shape: [Int]) -> [Element] {
    guard shape.count == 4 else { return values.array }
    var result: [Element] = []
    result.reserveCapacity(values.count)
    for output in 0..<shape[0] {
      for input in 0..<shape[3] {
        for row in 0..<shape[1] {
          for column in 0..<shape[2] {
            result.append(values[((output * shape[1] + row) * shape[2] + column) * shape[3] + input])
          }
        }
      }
    }
    return result
  }

  /// The inverse of `export`: `values` in PyTorch's order, `shape` in this project's layout; overwrites `buffer`.
  /// - Precondition: There are as many values as `buffer` holds.
  public static func `import`<Element>(_ values: [Element], shape: [Int], into buffer: Buffer<Element>) {
    precondition(values.count == buffer.count)
    guard shape.count == 4 else {
      for index in 0..<buffer.count { buffer[index] = values[index] }
      return
    }
    var index = 0
    for output in 0..<shape[0] {
      for input in 0..<shape[3] {
        for row in 0..<shape[1] {
          for column in 0..<shape[2] {
            buffer[((output * shape[1] + row) * shape[2] + column) * shape[3] + input] = values[index]
            index += 1
          }
        }
      }
    }
  }
}
