import Foundation
package import Tensor

/// How pictures of any size become square images of one: in training a random part of each, resized; in evaluation the centre,
/// after the shorter side was resized. The arithmetic is that of torchvision's RandomResizedCrop, Resize and CenterCrop.
public struct ImageCrop: Hashable, Sendable {
  /// Side of the images, in pixels.
  public var side: Int
  /// Length of a picture's shorter side in evaluation, before its centre is cut out.
  public var shorterSide: Int
  /// The smallest share of a picture's area that training takes; the largest is all of it.
  public var smallestArea: Double

  /// The ratios of width and height that training draws from, evenly on a logarithmic scale.
  public static let ratios = (least: 3.0 / 4, greatest: 4.0 / 3)

  /// - Precondition: both lengths are at least 1; the share is above 0 and at most 1.
  public init(side: Int, shorterSide: Int, smallestArea: Double) {
    precondition(side >= 1 && shorterSide >= 1, "images have pixels")
    precondition(smallestArea > 0 && smallestArea <= 1, "a share of an area")
    self.side = side
    self.shorterSide = shorterSide
    self.smallestArea = smallestArea
  }

  /// Of the images.
  public var size: PixelSize { PixelSize(width: side, height: side) }

  // MARK: Training

  /// The part of a picture that a training step sees: of ten random shapes the first that fits, at a random place; where none
  /// fits, the largest part in the middle whose shape is allowed.
  package func randomBox(of picture: PixelSize, random: inout CounterRandom) -> PixelBox {
    for _ in 0..<10 {
      let share = smallestArea + (1 - smallestArea) * random.uniformDouble()
      let (least, greatest) = (log(Self.ratios.least), log(Self.ratios.greatest))
      let ratio = exp(least + (greatest - least) * random.uniformDouble())
      guard let size = Self.shape(of: picture, share: share, ratio: ratio) else { continue }
      let top = random.bounded(picture.height - size.height + 1)
      return PixelBox(left: random.bounded(picture.width - size.width + 1), top: top, size: size)
    }
    return Self.largestBox(of: picture)
  }

  /// The shape with this share of a picture's area and this ratio of width and height, in whole pixels (half to even); nil
  /// where it does not fit.
  package static func shape(of picture: PixelSize, share: Double, ratio: Double) -> PixelSize? {
    let area = Double(picture.width * picture.height) * share
    let width = (area * ratio).squareRoot().rounded(.toNearestOrEven)
    let height = (area / ratio).squareRoot().rounded(.toNearestOrEven)
    guard width > 0, width <= Double(picture.width), height > 0, height <= Double(picture.height) else { return nil }
    return PixelSize(width: Int(width), height: Int(height))
  }

  /// The largest part in the middle of a picture whose ratio of width and height is allowed.
  package static func largestBox(of picture: PixelSize) -> PixelBox {
    let ratio = Double(picture.width) / Double(picture.height)
    var size = picture
    if ratio < ratios.least {
      size.height = Int((Double(picture.width) / ratios.least).rounded(.toNearestOrEven))
    } else if ratio > ratios.greatest {
      size.width = Int((Double(picture.height) * ratios.greatest).rounded(.toNearestOrEven))
    }
    return PixelBox(left: (picture.width - size.width) / 2, top: (picture.height - size.height) / 2, size: size)
  }

  // MARK: Evaluation

  /// Size of a picture whose shorter side was resized; the longer one keeps the proportions, rounded down.
  public func scaledSize(of picture: PixelSize) -> PixelSize {
    picture.width <= picture.height
      ? PixelSize(width: shorterSide, height: shorterSide * picture.height / picture.width)
      : PixelSize(width: shorterSide * picture.width / picture.height, height: shorterSide)
  }

  /// Where the centre of a length lies, and where in the image it goes: all of it where it is too short, between zeros.
  private func centre(of length: Int) -> (from: Int, to: Int, count: Int) {
    guard length < side else {
      return (Int((Double(length - side) / 2).rounded(.toNearestOrEven)), 0, side)
    }
    return (0, (side - length) / 2, length)
  }

  // MARK: Pixels

  /// Cuts `box` out of a picture and resizes it to an image.
  package func cut(
    _ box: PixelBox, of picture: UnsafePointer<UInt8>, pictureWidth: Int, with resampler: Resampler,
    into image: UnsafeMutablePointer<UInt8>
  ) {
    resampler.resize(
      picture, pictureWidth: pictureWidth, box: box, to: size, window: PixelBox(whole: size), into: image,
      targetWidth: side)
  }

  /// The image of a whole picture of `picture` pixels, for evaluation.
  package func centre(
    of pixels: UnsafePointer<UInt8>, picture: PixelSize, with resampler: Resampler,
    into image: UnsafeMutablePointer<UInt8>
  ) {
    let scaled = scaledSize(of: picture)
    let columns = centre(of: scaled.width)
    let rows = centre(of: scaled.height)
    if columns.count < side || rows.count < side { image.update(repeating: 0, count: size.rgbBytes) }
    resampler.resize(
      pixels, pictureWidth: picture.width, box: PixelBox(whole: picture), to: scaled,
      window: PixelBox(
        left: columns.from, top: rows.from, size: PixelSize(width: columns.count, height: rows.count)),
      into: image + (rows.to * side + columns.to) * 3, targetWidth: side)
  }
}
