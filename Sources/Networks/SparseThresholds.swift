public import Kernels

/// From which frozen share on the sparse weight-gradient kernel beats the dense one.
///
/// Constants, not timed during training: which kernel computes a float32 gradient changes its last bits, and results must not
/// depend on the clock. `spqat bench thresholds` measures where the two break even.
public enum SparseThresholds {
  /// Made from measurements on ResNet-20's and ResNet-18's shapes (docs/performance.md).
  public static func builtIn(for shape: ConvolutionShape, gradients: LevelGradients = .float32) -> Double {
    // A linear layer: both take next to nothing.
    if shape.outputHeight * shape.outputWidth == 1 { return 1 }
    let inputChannels = shape.inputChannels / shape.groups
    // Much weight and few pixels: adding up the pieces outweighs the products.
    if inputChannels >= 128 { return shape.outputHeight * shape.outputWidth < 64 ? 0.85 : 0.6 }
    if gradients != .float32 && shape.groups == 1 { return shape.stride > 1 ? 0.5 : 0.4 }
    // Too few products for each packed pixel of the output gradient.
    if inputChannels * shape.kernelHeight < 16 { return 0.9 }
    return shape.stride > 1 ? 0.4 : 0.35
  }
}
