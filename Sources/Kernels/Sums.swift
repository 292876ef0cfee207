@_spi(Kernels) import Tensor

/// How a batch is cut for its sums, whatever the number of threads.
public enum BatchSlices {
  /// Most slices a batch is cut into.
  public static let maximum = 8

  /// Into how many slices a batch of `images` is cut.
  public static func count(of images: Int) -> Int { max(1, min(maximum, images)) }

  /// The piece of `count` items that slice `index` of `slices` covers.
  public static func range(_ index: Int, of slices: Int, count: Int) -> Range<Int> {
    (count * index / slices)..<(count * (index + 1) / slices)
  }
}

/// Per-slice sums of a tensor's channels, added up in the slices' order.
public final class ChannelSums {
  private let buffer: Buffer<Double>
  private var channels = 0
  private var slices = 0

  /// Room for up to so many channels: one object can serve tensors of different widths, one at a time.
  public init(channels: Int) {
    buffer = Buffer(count: BatchSlices.maximum * 2 * channels)
  }

  func prepare(channels: Int, slices: Int) {
    precondition(BatchSlices.maximum * 2 * channels <= buffer.count)
    self.channels = channels
    self.slices = slices
  }

  func slice(_ index: Int) -> UnsafeMutablePointer<Double> { buffer.pointer + index * 2 * channels }

  /// The two sums of a channel.
  public subscript(channel: Int) -> (Double, Double) {
    precondition(channel < channels)
    var first = 0.0
    var second = 0.0
    for slice in 0..<slices {
      first += buffer.pointer[slice * 2 * channels + channel]
      second += buffer.pointer[slice * 2 * channels + channels + channel]
    }
    return (first, second)
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
  private let rangeSums = Buffer<Double>(count: BatchSlices.maximum * 4)
  private var slices = 0

  /// For tensors of exactly so many channels.
  public init(channels: Int) {
    channelCount = channels
    self.channels = ChannelSums(channels: channels)
  }

  /// Begins new sums over a batch of so many slices.
  public func reset(slices: Int) {
    channels.prepare(channels: channelCount, slices: slices)
    for index in 0..<slices * 2 * channelCount { channels.slice(0)[index] = 0 }
    for index in 0..<slices * 4 { rangeSums[index] = 0 }
    self.slices = slices
  }

  func ranges(_ slice: Int) -> UnsafeMutablePointer<Double> { rangeSums.pointer + 4 * slice }

  /// The sums of a quantized copy.
  public func range(_ copy: Int) -> RangeSums {
    var total = RangeSums()
    for slice in 0..<slices {
      total.gradient += rangeSums[4 * slice + 2 * copy]
      total.gradientTimesValue += rangeSums[4 * slice + 2 * copy + 1]
    }
    return total
  }
}
