import Kernels
import Networks
import Tensor

/// A batch that passes through a network with memory for fewer images: its images, and the sums of its gradients.
///
/// Parts follow one another in the batch's order, each as large as the network allows but for the last. Gradients of the mean
/// loss over the whole batch are added up in that order, in float32.
final class WholeBatch {
  /// Of the whole batch: normalised floats.
  let images: Buffer<Float>
  /// Of the whole batch: classes.
  let labels: Buffer<Int32>
  private let sums: [Buffer<Float>]
  private let elementsPerImage: Int

  /// Memory for `images` images.
  init(images: Int, _ network: Network) {
    elementsPerImage = network.images.elementsPerImage
    self.images = network.backend.allocate(Float.self, count: images * elementsPerImage)
    labels = network.backend.allocate(Int32.self, count: images)
    sums = network.trainedParameters.map { network.backend.allocate(Float.self, count: $0.count) }
  }

  /// How many parts `images` images make.
  func parts(_ images: Int, of network: Network) -> Int { (images + network.batch - 1) / network.batch }

  /// Copies a part's images and labels into the network's memory.
  /// - Returns: their places in the batch.
  func lend(_ part: Int, of images: Int, to network: Network) -> Range<Int> {
    let first = part * network.batch
    let range = first..<min(images, first + network.batch)
    network.withInput { memory in
      self.images.withUnsafeBufferPointer { from in
        let elements = from[first * elementsPerImage..<range.upperBound * elementsPerImage]
        _ = memory.images.update(fromContentsOf: elements)
      }
      labels.withUnsafeBufferPointer { from in _ = memory.labels.update(fromContentsOf: from[range]) }
    }
    return range
  }

  /// Adds the gradients of a part.
  func add(_ parameters: [Parameter], isFirst: Bool) {
    for (parameter, sum) in zip(parameters, sums) {
      if isFirst {
        sum.copy(from: parameter.gradient)
        continue
      }
      sum.withUnsafeMutableBufferPointer { sum in
        parameter.gradient.withUnsafeBufferPointer { gradient in
          for index in sum.indices { sum[index] += gradient[index] }
        }
      }
    }
  }

  /// Puts the sums where an optimizer looks for gradients.
  func restore(_ parameters: [Parameter]) {
    for (parameter, sum) in zip(parameters, sums) { parameter.gradient.copy(from: sum) }
  }
}
