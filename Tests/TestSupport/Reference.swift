import Foundation

/// A tensor in float64: images × height × width × channels.
public struct ReferenceTensor {
  public var images: Int
  public var height: Int
  public var width: Int
  public var channels: Int
  public var values: [Double]

  public init(images: Int, height: Int, width: Int, channels: Int, values: [Double]) {
    precondition(values.count == images * height * width * channels)
    self.images = images
    self.height = height
    self.width = width
    self.channels = channels
    self.values = values
  }

  func mapValues(_ transform: (Double) -> Double) -> ReferenceTensor {
    var result = self
    for index in values.indices { result.values[index] = transform(values[index]) }
    return result
  }
}

/// Forward passes in float64, written to be plain: what the gradients of the fast ones are checked against.
public enum Reference {
  /// Weights: output channel, kernel row, kernel column, input channel of the group.
  public static func convolution(
    _ x: ReferenceTensor, weights: [Double], bias: [Double]?, outputs: Int, kernel: Int, stride: Int = 1,
    padding: Int = 0, groups: Int = 1
  ) -> ReferenceTensor {
    let height = (x.height + 2 * padding - kernel) / stride + 1
    let width = (x.width + 2 * padding - kernel) / stride + 1
    let groupInputs = x.channels / groups
    let groupOutputs = outputs / groups
    precondition(weights.count == outputs * kernel * kernel * groupInputs)
    var result = [Double](repeating: 0, count: x.images * height * width * outputs)
    x.values.withUnsafeBufferPointer { input in
      weights.withUnsafeBufferPointer { weights in
        result.withUnsafeMutableBufferPointer { result in
          for image in 0..<x.images {
            for row in 0..<height {
              for column in 0..<width {
                let target = ((image * height + row) * width + column) * outputs
                for output in 0..<outputs {
                  var sum = bias?[output] ?? 0
                  let firstInput = output / groupOutputs * groupInputs
                  for kernelRow in 0..<kernel {
                    let y = row * stride + kernelRow - padding
                    if y < 0 || y >= x.height { continue }
                    for kernelColumn in 0..<kernel {
                      let z = column * stride + kernelColumn - padding
                      if z < 0 || z >= x.width { continue }
                      let source = ((image * x.height + y) * x.width + z) * x.channels + firstInput
                      let weight = ((output * kernel + kernelRow) * kernel + kernelColumn) * groupInputs
                      for channel in 0..<groupInputs { sum += input[source + channel] * weights[weight + channel] }
                    }
                  }
                  result[target + output] = sum
                }
              }
            }
          }
        }
      }
    }
    return ReferenceTensor(images: x.images, height: height, width: width, channels: outputs, values: result)
  }

  /// In training mode: by the batch's mean and variance, ε = 1e-5.
  public static func batchNorm(_ x: ReferenceTensor, weight: [Double], bias: [Double]) -> ReferenceTensor {
    var result = x
    let rows = x.values.count / x.channels
    for channel in 0..<x.channels {
      var mean = 0.0
      for row in 0..<rows { mean += x.values[row * x.channels + channel] }
      mean /= Double(rows)
      var variance = 0.0
      for row in 0..<rows {
        variance += (x.values[row * x.channels + channel] - mean) * (x.values[row * x.channels + channel] - mean)
      }
      variance /= Double(rows)
      for row in 0..<rows {
        let index = row * x.channels + channel
        result.values[index] =
          (x.values[index] - mean) / (variance + 1e-5).squareRoot() * weight[channel] + bias[channel]
      }
    }
    return result
  }

  public static func relu(_ x: ReferenceTensor, upper: Double = .infinity) -> ReferenceTensor {
    x.mapValues { min(max(0, $0), upper) }
  }

  public static func add(_ x: ReferenceTensor, _ y: ReferenceTensor) -> ReferenceTensor {
    var result = x
    for index in result.values.indices { result.values[index] += y.values[index] }
    return result
  }

  /// Over windows; `combine` gets the values of a window that lie inside the image.
  private static func pool(
    _ x: ReferenceTensor, kernel: Int, stride: Int, padding: Int, combine: ([Double]) -> Double
  ) -> ReferenceTensor {
    let height = (x.height + 2 * padding - kernel) / stride + 1
    let width = (x.width + 2 * padding - kernel) / stride + 1
    var values: [Double] = []
    for image in 0..<x.images {
      for row in 0..<height {
        for column in 0..<width {
          for channel in 0..<x.channels {
            var window: [Double] = []
            for y in row * stride - padding..<row * stride - padding + kernel where y >= 0 && y < x.height {
              for z in column * stride - padding..<column * stride - padding + kernel where z >= 0 && z < x.width {
                window.append(x.values[((image * x.height + y) * x.width + z) * x.channels + channel])
              }
            }
            values.append(combine(window))
          }
        }
      }
    }
    return ReferenceTensor(images: x.images, height: height, width: width, channels: x.channels, values: values)
  }

  /// Padding counts as zeros.
  public static func averagePool(_ x: ReferenceTensor, kernel: Int, stride: Int, padding: Int = 0) -> ReferenceTensor {
    pool(x, kernel: kernel, stride: stride, padding: padding) { $0.reduce(0, +) / Double(kernel * kernel) }
  }

  /// Padding is ignored.
  public static func maxPool(_ x: ReferenceTensor, kernel: Int, stride: Int, padding: Int = 0) -> ReferenceTensor {
    pool(x, kernel: kernel, stride: stride, padding: padding) { $0.max()! }
  }

  /// Every stride-th pixel, zero channels in equal numbers on both sides.
  public static func padShortcut(_ x: ReferenceTensor, channels: Int, stride: Int) -> ReferenceTensor {
    let before = (channels - x.channels) / 2
    let height = (x.height - 1) / stride + 1
    let width = (x.width - 1) / stride + 1
    var values = [Double](repeating: 0, count: x.images * height * width * channels)
    for image in 0..<x.images {
      for row in 0..<height {
        for column in 0..<width {
          for channel in 0..<x.channels {
            values[((image * height + row) * width + column) * channels + before + channel] =
              x.values[((image * x.height + row * stride) * x.width + column * stride) * x.channels + channel]
          }
        }
      }
    }
    return ReferenceTensor(images: x.images, height: height, width: width, channels: channels, values: values)
  }

  /// Mean over the images, in nats.
  public static func crossEntropy(_ logits: ReferenceTensor, labels: [Int]) -> Double {
    let classes = logits.values.count / logits.images
    var loss = 0.0
    for image in 0..<logits.images {
      let row = logits.values[image * classes..<(image + 1) * classes]
      let largest = row.max()!
      loss += log(row.reduce(0) { $0 + exp($1 - largest) }) + largest - row[row.startIndex + labels[image]]
    }
    return loss / Double(logits.images)
  }

  // MARK: Quantizers with the rounding left out

  /// Recipe `spqat`: clamp(x / (|s| + 1e-6) · 2^b, 0, 2^b − 1) / 2^b.
  public static func scaledActivation(_ x: Double, scale: Double, bits: Int) -> Double {
    let levels = Double(1 << bits)
    return min(max(x / (abs(scale) + 1e-6) * levels, 0), levels - 1) / levels
  }

  /// Recipe `lts`: clamp((x − l) / (h − l), 0, 1).
  public static func rangedActivation(_ x: Double, lower: Double, upper: Double) -> Double {
    min(max((x - lower) / (upper - lower), 0), 1)
  }

  /// Recipe `spqat`: clamp(w / (|s| + 1e-6) · 2^(b−1), −2^(b−1), 2^(b−1) − 1) / 2^(b−1).
  public static func scaledWeight(_ w: Double, scale: Double, bits: Int) -> Double {
    let size = Double(1 << (bits - 1))
    return min(max(w / (abs(scale) + 1e-6) * size, -size), size - 1) / size
  }

  /// Recipe `lts`: 2·clamp((w − l) / (h − l), 0, 1) − 1.
  public static func rangedWeight(_ w: Double, lower: Double, upper: Double) -> Double {
    2 * min(max((w - lower) / (upper - lower), 0), 1) - 1
  }
}

/// A computation in float64 whose scalar result is differentiated by central differences, one number at a time.
public final class ReferenceGraph {
  public typealias Compute = (_ inputs: [ReferenceTensor], _ parameters: [[Double]]) -> ReferenceTensor

  private struct Node {
    var inputs: [Int]
    var parameters: [String]
    var compute: Compute
  }

  /// All that derivatives can be taken by.
  public private(set) var parameters: [String: [Double]] = [:]
  private var nodes: [Node] = []
  private let loss: ([ReferenceTensor]) -> Double
  private var results: [ReferenceTensor] = []

  /// `loss` is given the results of all nodes.
  public init(loss: @escaping ([ReferenceTensor]) -> Double) { self.loss = loss }

  public func define(_ name: String, _ values: some Sequence<Float>) {
    precondition(parameters[name] == nil, "\(name) is defined twice")
    parameters[name] = values.map(Double.init)
  }

  /// Adds a computation; its index stands for its result.
  public func node(inputs: [Int] = [], parameters: [String], _ compute: @escaping Compute) -> Int {
    nodes.append(Node(inputs: inputs, parameters: parameters, compute: compute))
    return nodes.count - 1
  }

  private func result(of node: Node, _ results: [ReferenceTensor]) -> ReferenceTensor {
    node.compute(node.inputs.map { results[$0] }, node.parameters.map { parameters[$0]! })
  }

  /// The loss, all nodes computed.
  public func evaluate() -> Double {
    results = []
    for node in nodes { results.append(result(of: node, results)) }
    return loss(results)
  }

  public func value(of node: Int) -> ReferenceTensor { results[node] }

  /// ∂loss/∂parameter for each of the parameter's numbers. Nodes that do not depend on it are not computed again.
  public func gradient(of name: String, step: Double = 1e-6) -> [Double] {
    let base = evaluate()
    precondition(base.isFinite)
    let original = results
    var changed = Set<Int>()
    for (index, node) in nodes.enumerated()
    where node.parameters.contains(name) || node.inputs.contains(where: changed.contains) {
      changed.insert(index)
    }
    let order = changed.sorted()
    return parameters[name]!.indices.map { element in
      let value = parameters[name]![element]
      func loss(at point: Double) -> Double {
        parameters[name]![element] = point
        for index in order { results[index] = result(of: nodes[index], results) }
        return self.loss(results)
      }
      let difference = loss(at: value + step) - loss(at: value - step)
      parameters[name]![element] = value
      for index in order { results[index] = original[index] }
      return difference / (2 * step)
    }
  }
}

/// ‖a − b‖ / ‖b‖; ‖a‖ where b is 0. NaN anywhere gives NaN.
public func relativeError(_ values: some Sequence<Float>, _ reference: [Double]) -> Double {
  var difference = 0.0
  var norm = 0.0
  var count = 0
  for (value, expected) in zip(values, reference) {
    difference += (Double(value) - expected) * (Double(value) - expected)
    norm += expected * expected
    count += 1
  }
  precondition(count == reference.count, "different counts are compared")
  return norm == 0 ? difference.squareRoot() : (difference / norm).squareRoot()
}
