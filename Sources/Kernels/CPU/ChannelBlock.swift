import CKernels
@_spi(Kernels) import Tensor

/// Some of a convolution's output channels, whose weights lie together, as a convolution with those alone.
final class ChannelBlock {
  /// Among all output channels.
  let channels: Range<Int>
  /// Its weights' places among all.
  let weights: Range<Int>
  let c: sq_conv
  /// The same with the images of a slice, or of a piece where that is smaller, as its batch.
  let cPart: sq_conv
  private(set) var index = Buffer<UInt8>(count: 0)
  private(set) var unfrozen = UnfrozenWeights(frozen: Buffer(count: 0))

  init(of whole: sq_conv, block: Int, among blocks: Int, images: Int) {
    channels = BackwardTasks.channels(of: block, among: blocks, all: Int(whole.out_channels))
    let size = Int(whole.kernel_height * whole.kernel_width * (whole.in_channels / whole.groups))
    weights = channels.lowerBound * size..<channels.upperBound * size
    var c = whole
    c.out_channels = Int32(channels.count)
    self.c = c
    c.batch = Int32(images)
    cPart = c
  }

  /// - Parameter whole: the layer's mask and list.
  func index(
    _ whole: UnfrozenWeights, bytes: (UnsafePointer<sq_conv>) -> Int,
    build: (UnsafePointer<sq_conv>, UnsafePointer<UInt8>, UnsafeMutableRawPointer) -> Void
  ) {
    unfrozen = UnfrozenWeights(block: weights, of: whole)
    withUnsafePointer(to: cPart) {
      let bytes = bytes($0)
      if index.count < bytes { index = Buffer(count: bytes) }
      build($0, unfrozen.frozen.pointer, index.pointer)
    }
  }
}
