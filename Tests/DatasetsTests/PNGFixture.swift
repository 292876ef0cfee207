/// Writes PNG files of every kind, independently of libpng: straight from the PNG specification (third edition), with
/// unfiltered rows in stored deflate blocks.
struct PNGFixture {
  enum Color: UInt8, CaseIterable {
    case gray = 0
    case rgb = 2
    case palette = 3
    case grayAlpha = 4
    case rgbAlpha = 6

    var samples: Int {
      switch self {
      case .gray, .palette: 1
      case .grayAlpha: 2
      case .rgb: 3
      case .rgbAlpha: 4
      }
    }

    var depths: [Int] {
      switch self {
      case .gray: [1, 2, 4, 8, 16]
      case .palette: [1, 2, 4, 8]
      case .rgb, .grayAlpha, .rgbAlpha: [8, 16]
      }
    }
  }

  var width: Int
  var height: Int
  var color: Color
  var depth: Int
  var isInterlaced = false
  /// Adds a tRNS chunk that makes sample value 0, or palette entry 0, transparent.
  var isTransparent = false
  /// Colours of the palette; nil: as many as there are indices.
  var colors: Int?
  /// Adds a gAMA chunk of this gamma.
  var gamma: Double?

  /// The sample values of a pixel: a pattern that runs through all values, among them the greatest.
  func samples(x: Int, y: Int) -> [Int] {
    let count = 1 << depth
    return (0..<color.samples).map { channel in
      let value = (x * 40_503 + y * 30_011 + channel * 20_011) % count
      return (x + y + channel) % 5 == 0 ? count - 1 : value
    }
  }

  static func paletteEntry(_ index: Int) -> [UInt8] {
    [UInt8(index * 7 % 256), UInt8(index * 31 % 256), UInt8(255 - index)]
  }

  /// What a reader must make of it: 8-bit RGB, alpha dropped.
  var expected: [UInt8] {
    var pixels: [UInt8] = []
    for y in 0..<height {
      for x in 0..<width {
        let samples = samples(x: x, y: y)
        if color == .palette {
          pixels += Self.paletteEntry(samples[0])
        } else {
          let scaled = samples.map { UInt8((Double($0) * 255 / Double(1 << depth - 1)).rounded()) }
          pixels += color.samples <= 2 ? [scaled[0], scaled[0], scaled[0]] : Array(scaled[0..<3])
        }
      }
    }
    return pixels
  }

  var file: [UInt8] {
    var file: [UInt8] = [137, 80, 78, 71, 13, 10, 26, 10]
    let header = bigEndian(width) + bigEndian(height) + [UInt8(depth), color.rawValue, 0, 0, isInterlaced ? 1 : 0]
    file += Self.chunk("IHDR", header)
    if let gamma { file += Self.chunk("gAMA", bigEndian(Int((gamma * 100_000).rounded()))) }
    if color == .palette { file += Self.chunk("PLTE", (0..<(colors ?? 1 << depth)).flatMap(Self.paletteEntry)) }
    if isTransparent {
      file += Self.chunk("tRNS", color == .palette ? [0] : [UInt8](repeating: 0, count: 2 * color.samples))
    }
    return file + Self.chunk("IDAT", Self.zlib(scanlines)) + Self.chunk("IEND", [])
  }

  /// Filter type and packed samples of every row, pass by pass where interlaced (Adam7).
  private var scanlines: [UInt8] {
    let passes =
      isInterlaced
      ? [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
      : [(0, 0, 1, 1)]
    var bytes: [UInt8] = []
    for (left, top, right, down) in passes where left < width {
      for y in stride(from: top, to: height, by: down) {
        bytes.append(0)
        bytes += pack(stride(from: left, to: width, by: right).flatMap { samples(x: $0, y: y) })
      }
    }
    return bytes
  }

  private func pack(_ samples: [Int]) -> [UInt8] {
    if depth == 16 { return samples.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] } }
    var bytes: [UInt8] = []
    for start in stride(from: 0, to: samples.count, by: 8 / depth) {
      var byte = 0
      for slot in 0..<8 / depth {
        byte = byte << depth | (start + slot < samples.count ? samples[start + slot] : 0)
      }
      bytes.append(UInt8(byte))
    }
    return bytes
  }

  static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
    let body = Array(type.utf8) + data
    return bigEndian(data.count) + body + bigEndian(Int(crc32(body)))
  }

  private static func zlib(_ data: [UInt8]) -> [UInt8] {
    var low = 1
    var high = 0
    for byte in data {
      low = (low + Int(byte)) % 65_521
      high = (high + low) % 65_521
    }
    return [0x78, 0x01] + storedDeflate(data) + bigEndian(high << 16 | low)
  }
}

/// Deflate without compression.
func storedDeflate(_ data: [UInt8]) -> [UInt8] {
  var bytes: [UInt8] = []
  var start = 0
  repeat {
    let count = min(65_535, data.count - start)
    let isLast = start + count == data.count
    bytes += [isLast ? 1 : 0, UInt8(count & 255), UInt8(count >> 8), UInt8(~count & 255), UInt8(~count >> 8 & 255)]
    bytes += data[start..<start + count]
    start += count
  } while start < data.count
  return bytes
}

func crc32(_ data: [UInt8]) -> UInt32 {
  var crc: UInt32 = 0xFFFF_FFFF
  for byte in data {
    crc ^= UInt32(byte)
    for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
  }
  return ~crc
}

func bigEndian(_ value: Int) -> [UInt8] {
  [UInt8(value >> 24 & 255), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
}
