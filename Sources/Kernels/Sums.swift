@_spi(Kernels) import Tensor

/// What one process has of a batch.
struct BatchShare {
  let tree: BatchTree
  let processes: any Communicator
  /// The process's slices.
  let leaves: Range<Int>

  init(images: Int, of processes: any Communicator) {
    tree = BatchTree(images: images)
    self.processes = processes
    leaves = tree.leaves(of: processes)
  }

  /// Adds up rows of numbers, one a slice of the batch, of which the process's own are there; the first row becomes the sum over
  /// all processes' slices.
  func addUp(_ rows: UnsafeMutablePointer<Double>, stride: Int) {
    let own = rows + leaves.lowerBound * stride
    BatchTree.addUp(own, rows: leaves.count, stride: stride, columns: 0..<stride)
    processes.addUp(UnsafeMutableBufferPointer(start: own, count: stride), of: tree)
    if own != rows { rows.update(from: own, count: stride) }
  }
}

/// Sums of a tensor's channels by slices of the batch, added up as its tree has it.
public final class ChannelSums {
  private let buffer: Buffer<Double>
  private var channels = 0
  /// Those of this process, whose sums are not yet added up; nil: they are.
  private var pending: BatchShare?

  /// Room for up to so many channels: one object can serve tensors of different widths, one at a time.
  public init(channels: Int) {
    buffer = Buffer(count: BatchTree.maximumLeaves * 2 * channels)
  }

  func prepare(channels: Int, _ share: BatchShare) {
    precondition(BatchTree.maximumLeaves * 2 * channels <= buffer.count)
    self.channels = channels
    pending = share
  }

  func slice(_ index: Int) -> UnsafeMutablePointer<Double> { buffer.pointer + index * 2 * channels }

  /// The two sums of a channel, over all slices; nothing is to be added afterwards.
  public subscript(channel: Int) -> (Double, Double) {
    precondition(channel < channels)
    if let share = pending {
      share.addUp(buffer.pointer, stride: 2 * channels)
      pending = nil
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
  private var pending: BatchShare?

  /// For tensors of exactly so many channels.
  public init(channels: Int) {
    channelCount = channels
    self.channels = ChannelSums(channels: channels)
  }

  /// Begins new sums over a batch of so many images.
  public func reset(images: Int, over processes: any Communicator = NoMPI()) {
    let share = BatchShare(images: images, of: processes)
    pending = share
    channels.prepare(channels: channelCount, share)
    channels.slice(share.leaves.lowerBound).update(repeating: 0, count: share.leaves.count * 2 * channelCount)
    ranges(share.leaves.lowerBound).update(repeating: 0, count: share.leaves.count * 4)
  }

  func ranges(_ slice: Int) -> UnsafeMutablePointer<Double> { rangeSums.pointer + 4 * slice }

  /// The sums of a quantized copy, over all slices; nothing is to be added afterwards.
  public func range(_ copy: Int) -> RangeSums {
    if let share = pending {
      share.addUp(rangeSums.pointer, stride: 4)
      pending = nil
    }
    return RangeSums(gradient: rangeSums[2 * copy], gradientTimesValue: rangeSums[2 * copy + 1])
  }
}
