import Diagnostics
import Foundation
import Synchronization
import Tensor

/// Makes one image of a batch after another: reads and decodes the picture, cuts, resizes, mirrors. One per thread.
final class ImageMaker {
  private let order: PictureBatches.Order
  private let resampler = Resampler()
  private let decoder = PictureDecoder()

  init(order: PictureBatches.Order) { self.order = order }

  /// Writes the image of a picture in an epoch, `[side][side][3]`.
  func make(picture index: Int, epoch: Int, into image: UnsafeMutablePointer<UInt8>) throws(Diagnostic) {
    let picture = order.split.pictures[index]
    guard let seed = order.augmentationSeed else {
      try withPixels(index, rows: picture.size.height) { pixels in
        order.crop.centre(of: pixels, picture: picture.size, with: resampler, into: image)
      }
      return
    }
    var random = CounterRandom(
      seed: seed, stream: UInt64(epoch) << 32 | UInt64(index), purpose: .augmentation)
    let box = order.crop.randomBox(of: picture.size, random: &random)
    let mirrors = random.next() & 1 == 1
    // The rows below the box are not needed.
    try withPixels(index, rows: box.bottom) { pixels in
      order.crop.cut(box, of: pixels, pictureWidth: picture.size.width, with: resampler, into: image)
    }
    if mirrors { mirror(image) }
  }

  private func withPixels(
    _ index: Int, rows: Int, _ body: (UnsafePointer<UInt8>) -> Void
  ) throws(Diagnostic) {
    if let store = order.split.store { return try store.withPixels(index, body) }
    body(try decoder.pixels(of: order.split.pictures[index], rows: rows))
  }

  private func mirror(_ image: UnsafeMutablePointer<UInt8>) {
    let side = order.crop.side
    for y in 0..<side {
      var left = image + y * side * 3
      var right = left + (side - 1) * 3
      while left < right {
        for channel in 0..<3 { swap(&left[channel], &right[channel]) }
        left += 3
        right -= 3
      }
    }
  }
}

/// Decodes pictures one after another into memory of its own; one per thread.
final class PictureDecoder {
  private let reader = ImageFileReader(limits: ImageLimits())
  private var memory = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 0)

  deinit { memory.deallocate() }

  /// The first `rows` rows of a picture, until the next call.
  func pixels(of picture: PictureSplit.Picture, rows: Int) throws(Diagnostic) -> UnsafePointer<UInt8> {
    if picture.size.rgbBytes > memory.count {
      memory.deallocate()
      memory = .allocate(capacity: picture.size.rgbBytes)
    }
    try decode(picture, rows: rows, into: memory.baseAddress!)
    return UnsafePointer(memory.baseAddress!)
  }

  func decode(
    _ picture: PictureSplit.Picture, rows: Int, into pixels: UnsafeMutablePointer<UInt8>
  ) throws(Diagnostic) {
    let size = try reader.openPicture(picture.path)
    guard size == picture.size else {
      throw Diagnostic(
        picture.path, "the picture is \(size), and \(picture.size) according to the index",
        remedy: "run 'spqat dataset index' again")
    }
    try reader.decode(picture.path, size: size, rows: rows, into: pixels)
  }
}

/// The decoded pictures of a split, in memory.
final class DecodedPictures: @unchecked Sendable {
  private let memory: Buffer<UInt8>
  private let offsets: [Int]
  private let faults: [Int: Diagnostic]

  /// Decodes them all; those that cannot be are remembered.
  init(_ pictures: [PictureSplit.Picture], threads: Int, progress: ProgressHandler?) {
    var offsets: [Int] = []
    var total = 0
    for picture in pictures {
      offsets.append(total)
      total += picture.size.rgbBytes
    }
    let memory = Buffer<UInt8>(count: total)
    let faults = Mutex<[Int: Diagnostic]>([:])
    let shared = memory.withUnsafeMutableBufferPointer { SharedBytes(pointer: $0.baseAddress!) }
    let places = offsets
    do throws(Diagnostic) {
      try forEachIndex(
        below: pictures.count, threads: threads, progress: progress, state: PictureDecoder()
      ) { (decoder: PictureDecoder, index: Int) throws(Diagnostic) in
        let picture = pictures[index]
        do throws(Diagnostic) {
          try decoder.decode(picture, rows: picture.size.height, into: shared.pointer + places[index])
        } catch {
          faults.withLock { $0[index] = error }
        }
      }
    } catch {
      preconditionFailure("faults are kept: \(error)")
    }
    self.memory = memory
    self.offsets = offsets
    self.faults = faults.withLock { $0 }
  }

  /// That the pixels take.
  var bytes: Int { memory.count }

  func withPixels(_ index: Int, _ body: (UnsafePointer<UInt8>) -> Void) throws(Diagnostic) {
    if let fault = faults[index] { throw fault }
    memory.withUnsafeBufferPointer { body($0.baseAddress! + offsets[index]) }
  }
}
