import CPNG

/// The version of the libpng library in use, such as "1.6.39".
public var libpngVersion: String { String(cString: cpng_version()) }

/// PNG files in memory as 8-bit RGB pixels, interleaved [height][width][3].
package enum PNG {
  /// Why a file is not a readable PNG, in a few words without a path.
  package struct Failure: Error, Equatable {
    package let reason: String
  }

  /// Width and height from the file's header; decodes nothing and takes no memory.
  package static func size(of file: UnsafeRawBufferPointer) throws(Failure) -> PixelSize {
    var size = cpng_size()
    try check { cpng_read_size(bytes(file), file.count, &size, $0) }
    return PixelSize(width: Int(size.width), height: Int(size.height))
  }

  /// Whether samples have 16 bits, of a file whose `size` could be read.
  static func isDeep(_ file: UnsafeRawBufferPointer) -> Bool { cpng_is_deep(bytes(file)) }

  /// Decodes a file of exactly `size` to RGB: `size.height * size.width * 3` bytes at `pixels`. Alpha is dropped, gamma
  /// ignored, gray replicated, 16 bits scaled to 8.
  ///
  /// - Parameter rows: rows that are wanted, from the top; nil: all. Fewer may be written than there are, and what comes after
  ///   them in the file is not looked at.
  package static func decode(
    _ file: UnsafeRawBufferPointer, size: PixelSize, rows: Int? = nil, into pixels: UnsafeMutablePointer<UInt8>
  ) throws(Failure) {
    try check { cpng_decode(bytes(file), file.count, size.c, UInt32(rows ?? size.height), pixels, $0) }
  }

  /// Encodes `size.height * size.width * channels` bytes of gray (1 channel) or RGB (3 channels).
  package static func encode(
    _ pixels: UnsafePointer<UInt8>, size: PixelSize, channels: Int
  ) throws(Failure) -> [UInt8] {
    precondition(channels == 1 || channels == 3, "a PNG written here is gray or RGB")
    var encoded: UnsafeMutablePointer<UInt8>?
    var count = 0
    try check { cpng_encode(pixels, size.c, Int32(channels), &encoded, &count, $0) }
    defer { cpng_free(encoded) }
    return Array(UnsafeBufferPointer(start: encoded, count: count))
  }

  private static func bytes(_ file: UnsafeRawBufferPointer) -> UnsafePointer<UInt8>? {
    file.bindMemory(to: UInt8.self).baseAddress
  }

  /// Runs a call of the C shim, turning its status and error text into a thrown `Failure`.
  static func check(_ call: (UnsafeMutablePointer<CChar>) -> Int32) throws(Failure) {
    let reason: String? = withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(CPNG_ERROR_SIZE)) { buffer in
      buffer.initialize(repeating: 0)
      guard let error = buffer.baseAddress, call(error) != 0 else { return nil }
      return String(cString: error)
    }
    if let reason { throw Failure(reason: reason) }
  }
}

/// Width and height in pixels.
public struct PixelSize: Equatable, Sendable, CustomStringConvertible {
  /// Pixels of a row.
  public var width: Int
  /// Rows of pixels.
  public var height: Int

  /// Any two numbers; what is allowed is up to `ImageLimits`.
  public init(width: Int, height: Int) {
    self.width = width
    self.height = height
  }

  /// Whether there is no pixel.
  var isEmpty: Bool { width < 1 || height < 1 }

  /// Bytes of an RGB image of this size.
  var rgbBytes: Int { width * height * 3 }

  var c: cpng_size { cpng_size(width: UInt32(width), height: UInt32(height)) }

  public var description: String { "\(width)x\(height)" }
}

/// Bounds on what a data set may hold, checked before memory is taken.
public struct ImageLimits: Sendable {
  /// The longest side of one image, in pixels.
  public var side = 16_384
  /// Pixels of one image.
  public var pixels = 1 << 26
  /// Bytes of one image file.
  public var fileBytes = 1 << 28
  /// Decoded bytes of a whole data set, which is kept in memory.
  public var datasetBytes = 1 << 33

  /// The bounds that data sets are read with unless others are given.
  public init() {}
}
