import CKernels

/// A two-dimensional convolution: activations are NHWC, weights output channel, kernel row, kernel column, input channel
/// of the group. A linear layer is a 1×1 convolution over 1×1 images.
public struct ConvolutionShape: Hashable, Sendable {
  /// Images that tensors have room for; operations may work on fewer.
  public var batch: Int
  /// Pixels, without padding, and channels of all groups.
  public var inputHeight, inputWidth, inputChannels: Int
  /// Of all groups.
  public var outputChannels: Int
  /// Pixels; no dilation.
  public var kernelHeight, kernelWidth: Int
  /// Pixels, in both directions.
  public var stride: Int
  /// Pixels on each of the four sides, fewer than the kernel is high or wide.
  public var padding: Int
  /// Divides both channel counts; as many as input channels: depthwise.
  public var groups: Int

  /// With square windows.
  public init(
    batch: Int, inputHeight: Int, inputWidth: Int, inputChannels: Int, outputChannels: Int, kernel: Int,
    stride: Int = 1, padding: Int = 0, groups: Int = 1
  ) {
    self.init(
      batch: batch, inputHeight: inputHeight, inputWidth: inputWidth, inputChannels: inputChannels,
      outputChannels: outputChannels, kernelHeight: kernel, kernelWidth: kernel, stride: stride, padding: padding,
      groups: groups)
  }

  /// - Precondition: sizes are positive, groups divide channels, the window fits into the padded image, and padding is
  ///   smaller than the window.
  public init(
    batch: Int, inputHeight: Int, inputWidth: Int, inputChannels: Int, outputChannels: Int, kernelHeight: Int,
    kernelWidth: Int, stride: Int = 1, padding: Int = 0, groups: Int = 1
  ) {
    precondition(batch > 0 && inputHeight > 0 && inputWidth > 0 && inputChannels > 0 && outputChannels > 0)
    precondition(kernelHeight > 0 && kernelWidth > 0 && stride > 0 && groups > 0)
    precondition(padding >= 0 && padding < kernelHeight && padding < kernelWidth)
    precondition(inputChannels % groups == 0 && outputChannels % groups == 0)
    precondition(inputHeight + 2 * padding >= kernelHeight && inputWidth + 2 * padding >= kernelWidth)
    self.batch = batch
    self.inputHeight = inputHeight
    self.inputWidth = inputWidth
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.kernelHeight = kernelHeight
    self.kernelWidth = kernelWidth
    self.stride = stride
    self.padding = padding
    self.groups = groups
  }

  /// Whole strides only: rows that are left over at the bottom are not seen.
  public var outputHeight: Int { (inputHeight + 2 * padding - kernelHeight) / stride + 1 }
  /// As `outputHeight`, for columns.
  public var outputWidth: Int { (inputWidth + 2 * padding - kernelWidth) / stride + 1 }
  /// Without biases.
  public var weightCount: Int { outputChannels * kernelHeight * kernelWidth * (inputChannels / groups) }
  /// Of the whole batch.
  public var inputCount: Int { batch * inputHeight * inputWidth * inputChannels }
  /// Of the whole batch.
  public var outputCount: Int { batch * outputHeight * outputWidth * outputChannels }
  /// Multiply-adds of one image's forward pass, padding included, as FLOP counters do.
  public var macs: Int { outputHeight * outputWidth * weightCount }

  /// Whether 16 bits hold any sum of products of levels of these magnitudes.
  public func sumsFit16Bits(maximumInput: Int, maximumWeight: Int) -> Bool {
    kernelHeight * kernelWidth * (inputChannels / groups) * maximumInput * maximumWeight <= Int(Int16.max)
  }

  var c: sq_conv {
    sq_conv(
      batch: Int32(batch), in_height: Int32(inputHeight), in_width: Int32(inputWidth),
      in_channels: Int32(inputChannels), out_height: Int32(outputHeight), out_width: Int32(outputWidth),
      out_channels: Int32(outputChannels), kernel_height: Int32(kernelHeight), kernel_width: Int32(kernelWidth),
      stride_y: Int32(stride), stride_x: Int32(stride), pad_top: Int32(padding), pad_left: Int32(padding),
      groups: Int32(groups))
  }
}
