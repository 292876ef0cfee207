import Crypto
import Datasets
import Foundation
import Tensor
import Testing

/// What `make_resampling.py` wrote.
private struct Golden: Decodable {
  struct Crop: Decodable {
    var picture, size, box: [Int]
    var sha256: String
    var pixels: [UInt8]?
  }
  struct Centre: Decodable {
    var picture: [Int]
    var shorter, side: Int
    var sha256: String
    var pixels: [UInt8]?
  }
  struct Version: Decodable {
    var crops: [Crop]
    var centres: [Centre]
  }
  struct Shape: Decodable {
    var picture: [Int]
    var share, uniform: Double
    var box: [Int]?
  }
  struct Fallback: Decodable {
    var picture, box: [Int]
  }
  var pillow: [String: Version]
  var shapes: [Shape]
  var fallbacks: [Fallback]

  static let stored: Golden = {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("resampling.json")
    // The tests' own file.
    return try! JSONDecoder().decode(Golden.self, from: Data(contentsOf: file))
  }()
}

private func size(_ sides: [Int]) -> PixelSize { PixelSize(width: sides[0], height: sides[1]) }

/// An RGB image as tests make and compare it.
private struct Picture {
  var size: PixelSize
  var pixels: [UInt8]

  /// The generated picture of `make_resampling.py`.
  init(_ size: PixelSize, seed: Int) {
    self.size = size
    pixels = []
    pixels.reserveCapacity(size.width * size.height * 3)
    for y in 0..<size.height {
      for x in 0..<size.width {
        for c in 0..<3 {
          let value = 3 * x * x + 5 * y * y + 7 * x * y * (c + 1) + 61 * c + 101 * seed
          pixels.append(UInt8(truncatingIfNeeded: value / 8))
        }
      }
    }
  }

  init(size: PixelSize, pixels: [UInt8]) {
    self.size = size
    self.pixels = pixels
  }

  /// Rows become columns.
  var transposed: Picture {
    var result = Picture(size: PixelSize(width: size.height, height: size.width), pixels: pixels)
    for y in 0..<size.height {
      for x in 0..<size.width {
        for c in 0..<3 { result.pixels[(x * size.height + y) * 3 + c] = pixels[(y * size.width + x) * 3 + c] }
      }
    }
    return result
  }

  func resized(_ box: PixelBox, to size: PixelSize, window: PixelBox? = nil, by resampler: Resampler) -> Picture {
    let window = window ?? PixelBox(whole: size)
    var target = [UInt8](repeating: 0, count: window.size.width * window.size.height * 3)
    resampler.resize(
      pixels, pictureWidth: self.size.width, box: box, to: size, window: window, into: &target,
      targetWidth: window.size.width)
    return Picture(size: window.size, pixels: target)
  }

  var sha256: String { SHA256.hash(data: pixels).map { String(format: "%02x", $0) }.joined() }
}

@Suite("Resampling with Pillow's bits")
struct ResamplingTests {
  private func box(_ numbers: [Int]) -> PixelBox {
    PixelBox(left: numbers[0], top: numbers[1], size: PixelSize(width: numbers[2], height: numbers[3]))
  }

  /// One resampler for all sizes: its memory is used again.
  @Test("every crop of Pillow 12, which squeezes columns first, bit for bit")
  func columnsFirst() throws {
    let golden = try #require(Golden.stored.pillow["12.0.0"])
    let resampler = Resampler()
    for (seed, crop) in golden.crops.enumerated() {
      let picture = Picture(size(crop.picture), seed: seed)
      let result = picture.resized(box(crop.box), to: size(crop.size), by: resampler)
      if let pixels = crop.pixels { #expect(result.pixels == pixels, "\(crop.picture) \(crop.box)") }
      #expect(result.sha256 == crop.sha256, "\(crop.picture) \(crop.box)")
    }
  }

  /// The rows' pass first is the columns' pass first of the transposed picture.
  @Test("every crop of Pillow 13, which chooses the order of its passes, bit for bit in one of them")
  func eitherOrder() throws {
    let golden = try #require(Golden.stored.pillow["13.0.0"])
    let resampler = Resampler()
    var rowsFirstAlone = 0
    for (seed, crop) in golden.crops.enumerated() {
      let picture = Picture(size(crop.picture), seed: seed)
      let (box, size) = (box(crop.box), size(crop.size))
      let columnsFirst = picture.resized(box, to: size, by: resampler)
      let turned = PixelBox(
        left: box.top, top: box.left, size: PixelSize(width: box.size.height, height: box.size.width))
      let rowsFirst = picture.transposed.resized(
        turned, to: PixelSize(width: size.height, height: size.width), by: resampler
      ).transposed
      #expect([columnsFirst.sha256, rowsFirst.sha256].contains(crop.sha256), "\(crop.picture) \(crop.box)")
      #expect(zip(columnsFirst.pixels, rowsFirst.pixels).allSatisfy { abs(Int($0) - Int($1)) <= 1 })
      if columnsFirst.sha256 != crop.sha256 { rowsFirstAlone += 1 }
    }
    #expect(rowsFirstAlone >= 1)
  }

  @Test("every evaluation image of Pillow 12: shorter side, then centre, zeros around what is too short")
  func centres() throws {
    let golden = try #require(Golden.stored.pillow["12.0.0"])
    let resampler = Resampler()
    for (seed, centre) in golden.centres.enumerated() {
      let picture = Picture(size(centre.picture), seed: seed)
      let crop = ImageCrop(side: centre.side, shorterSide: centre.shorter, smallestArea: 0.08)
      // Whatever was there before.
      var image = [UInt8](repeating: 77, count: centre.side * centre.side * 3)
      crop.centre(of: picture.pixels, picture: picture.size, with: resampler, into: &image)
      if let pixels = centre.pixels { #expect(image == pixels, "\(centre.picture)") }
      #expect(Picture(size: crop.size, pixels: image).sha256 == centre.sha256, "\(centre.picture)")
    }
  }

  @Test("a window has the pixels that the whole has there", arguments: [(31, 17), (9, 40), (31, 23), (20, 23)])
  func window(width: Int, height: Int) {
    let picture = Picture(PixelSize(width: 31, height: 23), seed: 3)
    let target = PixelSize(width: width, height: height)
    let resampler = Resampler()
    let whole = picture.resized(PixelBox(whole: picture.size), to: target, by: resampler)
    let window = PixelBox(left: 2, top: 5, size: PixelSize(width: 6, height: 11))
    let part = picture.resized(PixelBox(whole: picture.size), to: target, window: window, by: resampler)
    for y in 0..<11 {
      let row = ((y + 5) * width + 2) * 3
      #expect(Array(whole.pixels[row..<row + 18]) == Array(part.pixels[y * 18..<(y + 1) * 18]))
    }
  }

  @Test("an even picture stays even", arguments: [(40, 9), (3, 50), (224, 224)])
  func even(width: Int, height: Int) {
    let size = PixelSize(width: width, height: height)
    let picture = Picture(size: size, pixels: [UInt8](repeating: 201, count: width * height * 3))
    let result = picture.resized(
      PixelBox(whole: size), to: PixelSize(width: 17, height: 13), by: Resampler())
    #expect(result.pixels.allSatisfy { $0 == 201 })
  }
}

@Suite("Crops of pictures of any size")
struct ImageCropTests {
  private static let crop = ImageCrop(side: 224, shorterSide: 256, smallestArea: 0.08)

  @Test("shapes and fallbacks are torchvision's")
  func shapes() {
    for golden in Golden.stored.shapes {
      let logarithms = (log(0.75), log(4.0 / 3))
      let ratio = exp(logarithms.0 + (logarithms.1 - logarithms.0) * golden.uniform)
      let found = ImageCrop.shape(of: size(golden.picture), share: golden.share, ratio: ratio)
      #expect(found == golden.box.map(size), "\(golden)")
    }
    #expect(Golden.stored.shapes.contains { $0.box == nil } && Golden.stored.shapes.contains { $0.box != nil })
    for golden in Golden.stored.fallbacks {
      let box = ImageCrop.largestBox(of: size(golden.picture))
      #expect([box.left, box.top, box.size.width, box.size.height] == golden.box, "\(golden)")
    }
  }

  @Test("random boxes lie in the picture, reach every edge, and have the shares and ratios they are drawn from")
  func randomBoxes() {
    let picture = PixelSize(width: 120, height: 90)
    var edges = [false, false, false, false]
    var shares: [Double] = []
    var logRatios: [Double] = []
    for image in 0..<4000 {
      var random = CounterRandom(seed: 7, stream: UInt64(image), purpose: .augmentation)
      let box = Self.crop.randomBox(of: picture, random: &random)
      #expect(box.left >= 0 && box.top >= 0 && box.right <= 120 && box.bottom <= 90)
      edges[0] = edges[0] || box.left == 0
      edges[1] = edges[1] || box.top == 0
      edges[2] = edges[2] || box.right == 120
      edges[3] = edges[3] || box.bottom == 90
      shares.append(Double(box.size.width * box.size.height) / (120 * 90))
      logRatios.append(log(Double(box.size.width) / Double(box.size.height)))
    }
    #expect(edges == [true, true, true, true])
    #expect(shares.min()! > 0.07 && shares.min()! < 0.1)
    // What 100,000 boxes of the same rule in Python have: 0.4353 and 0.0311. Large shares fit in few ratios, wide ones more often.
    let mean = shares.reduce(0, +) / 4000
    #expect(abs(mean - 0.4353) < 0.012, "\(mean)")
    let ratio = logRatios.reduce(0, +) / 4000
    #expect(abs(ratio - 0.0311) < 0.009, "\(ratio)")
    #expect(logRatios.min()! > log(0.75) - 0.1 && logRatios.max()! < log(4.0 / 3) + 0.1)
  }

  @Test("a picture that no shape fits is cut in the middle")
  func tooLong() {
    var random = CounterRandom(seed: 1, stream: 0, purpose: .augmentation)
    let strip = PixelSize(width: 1000, height: 2)
    let whole = ImageCrop(side: 8, shorterSide: 8, smallestArea: 1)
    #expect(whole.randomBox(of: strip, random: &random) == ImageCrop.largestBox(of: strip))
  }

  @Test("The longer side keeps the proportions, rounded down")
  func scaledSize() {
    #expect(Self.crop.scaledSize(of: PixelSize(width: 500, height: 375)) == PixelSize(width: 341, height: 256))
    #expect(Self.crop.scaledSize(of: PixelSize(width: 375, height: 500)) == PixelSize(width: 256, height: 341))
    #expect(Self.crop.scaledSize(of: PixelSize(width: 32, height: 32)) == PixelSize(width: 256, height: 256))
  }
}
