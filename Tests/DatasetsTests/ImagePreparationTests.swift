import Datasets
import Foundation
import Testing

struct ImagePreparationTests {
  struct Golden: Sendable {
    let width: Int
    let height: Int
    let shorterSide: Int
    let crop: Int
    let pixels: [Int]
  }

  /// By Pillow 12: the picture of `rgbPixels(variant: 5)`, `resize((w, h), Image.BILINEAR)` with the shorter side given
  /// and the longer truncated, then `crop` about the centre with the corner at Python's `round((length - crop) / 2)`.
  static let golden: [Golden] = [
    Golden(
      width: 13, height: 9, shorterSide: 4, crop: 3,
      pixels: [
        144, 129, 132, 113, 146, 134, 121, 107, 125, 128, 135, 131, 130, 132, 130, 138, 128, 109, 127, 119, 130,
        133, 138, 119, 124, 124, 145,
      ]),
    Golden(
      width: 5, height: 8, shorterSide: 10, crop: 6,
      pixels: [
        173, 162, 55, 165, 154, 47, 92, 113, 102, 84, 121, 142, 139, 176, 165, 131, 168, 157, 194, 87, 76, 186, 79,
        68, 113, 102, 123, 105, 142, 131, 160, 197, 90, 152, 189, 82, 168, 61, 98, 160, 53, 90, 119, 108, 145, 127,
        148, 137, 182, 171, 64, 174, 163, 56, 93, 82, 119, 85, 74, 111, 108, 129, 166, 148, 137, 158, 203, 96, 85,
        195, 88, 77, 67, 104, 125, 59, 96, 133, 114, 151, 188, 154, 143, 180, 177, 70, 107, 169, 62, 99, 88, 125,
        114, 80, 117, 154, 135, 172, 209, 143, 164, 201, 102, 91, 128, 94, 83, 120,
      ]),
    Golden(
      width: 7, height: 7, shorterSide: 7, crop: 5,
      pixels: [
        113, 150, 187, 224, 5, 42, 79, 116, 153, 190, 227, 8, 45, 82, 119, 122, 159, 196, 233, 14, 51, 88, 125, 162,
        199, 236, 17, 54, 91, 128, 131, 168, 205, 242, 23, 60, 97, 134, 171, 208, 245, 26, 63, 100, 137, 140, 177,
        214, 251, 32, 69, 106, 143, 180, 217, 254, 35, 72, 109, 146, 149, 186, 223, 4, 41, 78, 115, 152, 189, 226,
        7, 44, 81, 118, 155,
      ]),
  ]

  private func prepare(
    width: Int, height: Int, _ preparation: ImagePreparation, pixels: [UInt8]? = nil
  ) throws -> [UInt8] {
    let folder = try ScratchFolder()
    let image = pixels ?? rgbPixels(width: width, height: height, variant: 5)
    let file = try PNG.encode(image, size: PixelSize(width: width, height: height), channels: 3)
    try folder.write(file, to: "train/a/1.png")
    try folder.write(file, to: "test/a/1.png")
    return try ImageDataset.load(root: folder.url, preparation: preparation).train.pixels
  }

  /// Pillow rounds between its two passes, so one step of difference is allowed.
  @Test("Scaling and cropping agree with Pillow", arguments: golden)
  func agreesWithPillow(golden: Golden) throws {
    let preparation = ImagePreparation(shorterSide: golden.shorterSide, crop: golden.crop)
    let pixels = try prepare(width: golden.width, height: golden.height, preparation)
    #expect(pixels.count == golden.pixels.count)
    #expect(zip(pixels, golden.pixels).allSatisfy { abs(Int($0) - $1) <= 1 })
  }

  @Test("The longer side keeps the proportions, rounded down")
  func scaledSize() {
    let preparation = ImagePreparation(shorterSide: 256, crop: 224)
    #expect(preparation.scaledSize(of: PixelSize(width: 500, height: 375)) == PixelSize(width: 341, height: 256))
    #expect(preparation.scaledSize(of: PixelSize(width: 375, height: 500)) == PixelSize(width: 256, height: 341))
    #expect(preparation.scaledSize(of: PixelSize(width: 32, height: 32)) == PixelSize(width: 256, height: 256))
  }

  @Test("An even picture stays even", arguments: [(40, 9), (3, 50), (224, 224)])
  func even(width: Int, height: Int) throws {
    let pixels = [UInt8](repeating: 201, count: width * height * 3)
    let prepared = try prepare(
      width: width, height: height, ImagePreparation(shorterSide: 17, crop: 13), pixels: pixels)
    #expect(prepared == [UInt8](repeating: 201, count: 13 * 13 * 3))
  }

  @Test("A picture of the wanted size is unchanged")
  func unchanged() throws {
    let prepared = try prepare(width: 6, height: 6, ImagePreparation(shorterSide: 6, crop: 6))
    #expect(prepared == rgbPixels(width: 6, height: 6, variant: 5))
  }
}
