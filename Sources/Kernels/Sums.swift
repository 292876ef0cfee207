@_spi(Kernels) import Tensor

/// Sums of a tensor's channels by slices of the batch, added up as its tree has it.
public final class ChannelSums {
  private let buffer: Buffer<Double>
  private var channels = 0
  private var slices = 0

  /// Room for up to so many channels: one object can serve tensors of different widths, one at a time.
  public init(channels: Int) {
    buffer = Buffer(count: BatchTree.maximumLeaves * 2 * channels)
  }

  func prepare(channels: Int, slices: Int) {
    precondition(BatchTree.maximumLeaves * 2 * channels <= buffer.count)
    self.channels = channels
    self.slices = slices
  }

  func slice(_ index: Int) -> UnsafeMutablePointer<Double> { buffer.pointer + index * 2 * channels }

  /// The two sums of a channel, over all slices; nothing is to be added afterwards.
  public subscript(channel: Int) -> (Double, Double) {
    precondition(channel < channels)
    if slices > 1 {
      BatchTree.addUp(buffer.pointer, rows: slices, stride: 2 * channels, columns: 0..<2 * channels)
      slices = 1
    }
    return (buffer.pointer[channel], buffer.pointer[channels + channel])
  }
}

/// Sums over the in-range elements that the gradients of a quantizer's range need.
public struct RangeSums: Sendable, Equatable {
  /// Σ g
  public var gradient: Double
  /// Σ g · x
  public var gradientTimesValue: Double

  /// Sums over no elements, unless given.
  public init(gradient: Double = 0, gradientTimesValue: Double = 0) {
    self.gradient = gradient
    self.gradientTimesValue = gradientTimesValue
  }
}

/// What `NormalizationGradient` adds up, kept per slice of the batch.
public final class NormalizationSums {
  /// Σ g and Σ g · input.
  public let channels: ChannelSums
  private let channelCount: Int
  private let rangeSums = Buffer<Double>(count: BatchTree.maximumLeaves * 4)
  private var slices = 0

  /// For tensors of exactly so many channels.
  public init(channels: Int) {
    channelCount = channels
    self.channels = ChannelSums(channels: channels)
  }

  /// Begins new sums over a batch of so many images.
  public func reset(images: Int) {
    slices = BatchTree(images: images).leaves
    channels.prepare(channels: channelCount, slices: slices)
    channels.slice(0).update(repeating: 0, count: slices * 2 * channelCount)
    rangeSums.pointer.update(repeating: 0, count: slices * 4)
  }

  func ranges(_ slice: Int) -> UnsafeMutablePointer<Double> { rangeSums.pointer + 4 * slice }

  /// The sums of a quantized copy, over all slices; nothing is to be added afterwards.
  public func range(_ copy: Int) -> RangeSums {
    if slices > 1 {
      BatchTree.addUp(rangeSums.pointer, rows: slices, stride: 4, columns: 0..<4)
      slices = 1
    }
    return RangeSums(gradient: rangeSums[2 * copy], gradientTimesValue: rangeSums[2 * copy + 1])
  }
}
