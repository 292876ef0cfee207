import CPNG
import Datasets
import Testing

struct PNGTests {
  static func decode(_ file: [UInt8]) throws -> (size: PixelSize, pixels: [UInt8]) {
    try file.withUnsafeBytes { bytes in
      let size = try PNG.size(of: bytes)
      var pixels = [UInt8](repeating: 0xA5, count: size.width * size.height * 3)
      try pixels.withUnsafeMutableBufferPointer { try PNG.decode(bytes, size: size, into: $0.baseAddress!) }
      return (size, pixels)
    }
  }

  private func failure(_ file: [UInt8]) -> String? {
    do {
      _ = try Self.decode(file)
      return nil
    } catch {
      return (error as? PNG.Failure)?.reason ?? "\(error)"
    }
  }

  @Test("Every colour type, bit depth and interlacing decodes to 8-bit RGB", arguments: PNGFixture.Color.allCases)
  func everyKind(color: PNGFixture.Color) throws {
    for depth in color.depths {
      for isInterlaced in [false, true] {
        for isTransparent in color == .grayAlpha || color == .rgbAlpha ? [false] : [false, true] {
          for (width, height) in [(1, 1), (3, 2), (9, 13), (33, 8)] {
            let fixture = PNGFixture(
              width: width, height: height, color: color, depth: depth, isInterlaced: isInterlaced,
              isTransparent: isTransparent)
            let (size, pixels) = try Self.decode(fixture.file)
            #expect(size == PixelSize(width: width, height: height))
            #expect(pixels == fixture.expected, "\(fixture)")
          }
        }
      }
    }
  }

  @Test("Gamma is ignored", arguments: [0.25, 1.0])
  func gammaIgnored(gamma: Double) throws {
    for color in PNGFixture.Color.allCases {
      let fixture = PNGFixture(width: 9, height: 4, color: color, depth: 8, gamma: gamma)
      #expect(try Self.decode(fixture.file).pixels == fixture.expected)
    }
  }

  @Test("What is encoded decodes to the same pixels", arguments: [1, 3])
  func encoding(channels: Int) throws {
    for (width, height) in [(1, 1), (28, 28), (17, 5)] {
      let pixels = (0..<width * height * channels).map { UInt8($0 * 97 % 256) }
      let file = try PNG.encode(pixels, size: PixelSize(width: width, height: height), channels: channels)
      let decoded = try Self.decode(file).pixels
      #expect(decoded == (channels == 3 ? pixels : pixels.flatMap { [$0, $0, $0] }))
    }
  }

  @Test("A file cut short anywhere is refused")
  func truncated() {
    for isInterlaced in [false, true] {
      let file = PNGFixture(width: 9, height: 7, color: .palette, depth: 4, isInterlaced: isInterlaced).file
      for count in 0..<file.count {
        let reason = failure(Array(file[..<count]))
        let expected = count == 0 ? "the file is empty" : "the file is truncated"
        #expect(reason == expected, "the first \(count) of \(file.count) bytes")
      }
    }
  }

  @Test("A changed byte anywhere is noticed")
  func corrupt() {
    let file = PNGFixture(width: 6, height: 5, color: .rgb, depth: 8, isTransparent: true, gamma: 0.45455).file
    for index in file.indices {
      for mask in [UInt8(1), 0x80, 0xff] {
        var changed = file
        changed[index] ^= mask
        #expect(failure(changed) != nil, "byte \(index) of \(file.count), changed by \(mask)")
      }
    }
  }

  @Test(
    "A damaged file says why",
    arguments: [
      (Array("GIF89a, not PNG".utf8), "not a PNG file but a GIF file"),
      (Array("hello".utf8), "not a PNG file"),
      ([0xff, 0xd8, 0xff, 0xe0], "not a PNG file but a JPEG file"),
      (Array("version https://git-lfs.github.com/spec/v1\n".utf8), "not a PNG file but a pointer of Git LFS"),
      ([], "the file is empty"),
      (PNGFixture(width: 0, height: 3, color: .rgb, depth: 8).file, "damaged: width or height is impossible"),
      (
        [137, 80, 78, 71, 13, 10, 26, 10] + PNGFixture.chunk("IDAT", [UInt8](repeating: 0, count: 20)),
        "damaged: the first chunk is not a PNG header"
      ),
    ])
  func reasons(file: [UInt8], reason: String) {
    #expect(failure(file) == reason)
  }

  /// What transfers in text mode and editors make of a file's first bytes.
  @Test(
    "A file that was taken for text is named as such",
    arguments: [
      [137, 80, 78, 71, 10, 26, 10], [137, 80, 78, 71, 13, 13, 10, 26, 13, 10], [137, 80, 78, 71, 13, 26, 13],
      [9, 80, 78, 71, 13, 10, 26, 10], [0xef, 0xbf, 0xbd, 80, 78, 71, 13, 10, 26, 10],
      [0xc2, 137, 80, 78, 71, 13, 10, 26, 10],
    ])
  func textMode(signature: [UInt8]) {
    let file = PNGFixture(width: 6, height: 5, color: .rgb, depth: 8).file
    #expect(failure(signature + file.dropFirst(8))?.hasPrefix("damaged by a transfer in text mode") == true)
  }

  @Test("Xcode's variant is named")
  func cgbi() {
    var file = PNGFixture(width: 6, height: 5, color: .rgb, depth: 8).file
    file.insert(contentsOf: PNGFixture.chunk("CgBI", [0x50, 0, 0x20, 6]), at: 8)
    #expect(failure(file)?.contains("CgBI") == true)
    #expect(failure(file)?.contains("pngcrush -revert-iphone-optimizations") == true)
  }

  @Test("A palette index without a colour is refused, the greatest with one is not", arguments: [1, 2, 4, 8])
  func paletteIndex(depth: Int) throws {
    for isInterlaced in [false, true] {
      var fixture = PNGFixture(width: 9, height: 7, color: .palette, depth: depth, isInterlaced: isInterlaced)
      #expect(failure(fixture.file) == nil)
      // The fixture's pixels use the greatest index.
      fixture.colors = 1 << depth - 1
      #expect(
        failure(fixture.file)
          == "a pixel has palette index \(1 << depth - 1), and the palette \(1 << depth - 1) colours")
    }
  }

  @Test("A wrong checksum in the pixels is named")
  func wrongChecksum() {
    var file = PNGFixture(width: 6, height: 5, color: .rgb, depth: 8).file
    // The last byte of IDAT's checksum, before the 12 bytes of IEND.
    file[file.count - 13] ^= 1
    #expect(failure(file) == "IDAT: CRC error")
  }

  @Test("The shim's error text fits its buffer and ends in zero")
  func errorBuffer() {
    var error = [CChar](repeating: 0x55, count: Int(CPNG_ERROR_SIZE) + 1)
    var size = cpng_size()
    #expect(cpng_read_size([1, 2, 3], 3, &size, &error) == -1)
    #expect(error.prefix(Int(CPNG_ERROR_SIZE)).contains(0))
    #expect(error.last == 0x55)
  }
}
