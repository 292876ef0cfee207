public import Kernels

/// From which frozen share on the sparse weight-gradient kernel beats the dense one.
public enum SparseThresholds {
  /// Measured with `spqat bench` on AVX2 and AVX-512 machines; small layers gain later.
  public static func builtIn(for shape: ConvolutionShape) -> Double {
    shape.outputHeight * shape.outputWidth == 1 ? 0.9 : 0.35
  }
}
