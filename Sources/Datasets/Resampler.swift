import CResample
import Tensor

/// Resizes RGB images with the bits of Pillow's antialiased bilinear filter; one per thread, for its memory.
package final class Resampler {
  private let workspace: OpaquePointer

  /// `Shortage` ends the program where memory is lacking, here and in `resize`.
  package init() {
    guard let workspace = cresample_create() else { Shortage.report("out of memory for resizing images") }
    self.workspace = workspace
  }

  deinit { cresample_free(workspace) }

  /// Takes `box` out of a picture, resizes it to `size`, and writes `window` of the result to `target`, rows `targetWidth`
  /// pixels apart. What is outside of `box` has no part in it.
  /// - Precondition: `box` lies in the picture, whose rows are `pictureWidth` pixels, and `window` within `size`.
  package func resize(
    _ picture: UnsafePointer<UInt8>, pictureWidth: Int, box: PixelBox, to size: PixelSize, window: PixelBox,
    into target: UnsafeMutablePointer<UInt8>, targetWidth: Int
  ) {
    precondition(
      window.left >= 0 && window.top >= 0 && window.right <= size.width && window.bottom <= size.height
        && !window.size.isEmpty && !box.size.isEmpty && box.left >= 0 && box.right <= pictureWidth,
      "boxes lie within what they are boxes of")
    let image = cresample_image(
      pixels: picture + (box.top * pictureWidth + box.left) * 3, stride: pictureWidth * 3, width: Int32(box.size.width),
      height: Int32(box.size.height))
    let kept = cresample_window(
      left: Int32(window.left), top: Int32(window.top), width: Int32(window.size.width),
      height: Int32(window.size.height))
    let status = cresample_resize(
      workspace, image, Int32(size.width), Int32(size.height), kept, target, targetWidth * 3)
    if status != 0 { Shortage.report("out of memory for resizing an image of \(box.size) to \(size)") }
  }
}

/// A rectangle of pixels in an image.
public struct PixelBox: Equatable, Sendable {
  /// Columns to its left.
  public var left: Int
  /// Rows above it.
  public var top: Int
  /// Its own.
  public var size: PixelSize

  /// Any rectangle, within an image or not.
  public init(left: Int, top: Int, size: PixelSize) {
    self.left = left
    self.top = top
    self.size = size
  }

  /// A whole image of `size`.
  public init(whole size: PixelSize) { self.init(left: 0, top: 0, size: size) }

  /// The first column to its right.
  public var right: Int { left + size.width }
  /// The first row below it.
  public var bottom: Int { top + size.height }
}
