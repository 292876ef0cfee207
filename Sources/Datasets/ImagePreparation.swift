/// Brings images of any size to one square size: scale the shorter side, then cut out the centre.
///
/// Scaling is bilinear with antialiasing: each output pixel is the mean of the input under a triangle filter whose
/// half-width is max(1, scale) input pixels, as Pillow and torchvision (`antialias=True`) define it, computed in single
/// precision and rounded once. The crop's corner is round((length - crop) / 2), half to even.
public struct ImagePreparation: Equatable, Sendable {
  /// Length of the shorter side after scaling, in pixels; the longer side keeps the proportions, rounded down.
  public let shorterSide: Int
  /// Side of the square that is cut out of the centre, in pixels.
  public let crop: Int

  /// - Precondition: 1 ≤ `crop` ≤ `shorterSide`.
  public init(shorterSide: Int, crop: Int) {
    precondition(crop >= 1 && crop <= shorterSide, "the crop fits into the scaled image")
    self.shorterSide = shorterSide
    self.crop = crop
  }

  /// Size of an image of `size` after scaling, before the crop.
  public func scaledSize(of size: PixelSize) -> PixelSize {
    size.width <= size.height
      ? PixelSize(width: shorterSide, height: shorterSide * size.height / size.width)
      : PixelSize(width: shorterSide * size.width / size.height, height: shorterSide)
  }

  /// Scales and crops RGB `source` ([height][width][3] of `size`) into `target` ([crop][crop][3]).
  func apply(to source: [UInt8], size: PixelSize, into target: UnsafeMutablePointer<UInt8>) {
    let scaled = scaledSize(of: size)
    let columns = TriangleFilter(input: size.width, output: scaled.width, kept: centre(of: scaled.width))
    let rows = TriangleFilter(input: size.height, output: scaled.height, kept: centre(of: scaled.height))

    // Columns first, over just the rows that the second pass reads.
    let firstRow = rows.taps.first?.start ?? 0
    let lastRow = rows.taps.map { $0.start + $0.weights.count }.max() ?? 0
    var squeezed = [Float](repeating: 0, count: (lastRow - firstRow) * crop * 3)
    for y in firstRow..<lastRow {
      for (x, tap) in columns.taps.enumerated() {
        for channel in 0..<3 {
          var sum: Float = 0
          var from = (y * size.width + tap.start) * 3 + channel
          for weight in tap.weights {
            sum += weight * Float(source[from])
            from += 3
          }
          squeezed[((y - firstRow) * crop + x) * 3 + channel] = sum
        }
      }
    }
    let rowLength = crop * 3
    for (y, tap) in rows.taps.enumerated() {
      for x in 0..<rowLength {
        var sum: Float = 0
        var from = (tap.start - firstRow) * rowLength + x
        for weight in tap.weights {
          sum += weight * squeezed[from]
          from += rowLength
        }
        target[y * rowLength + x] = UInt8(min(255, max(0, (sum).rounded())))
      }
    }
  }

  private func centre(of length: Int) -> Range<Int> {
    let start = Int((Double(length - crop) / 2).rounded(.toNearestOrEven))
    return start..<(start + crop)
  }
}

/// Weights of the antialiased bilinear filter along one axis.
private struct TriangleFilter {
  struct Tap {
    /// First input pixel under the filter.
    var start: Int
    /// Weights of the input pixels from `start` on; they sum to 1.
    var weights: [Float]
  }

  /// One tap for each output pixel in `kept`.
  let taps: [Tap]

  init(input: Int, output: Int, kept: Range<Int>) {
    let scale = Double(input) / Double(output)
    let support = max(1, scale)
    taps = kept.map { position in
      let centre = (Double(position) + 0.5) * scale
      let start = max(0, Int((centre - support + 0.5).rounded(.down)))
      let end = min(input, Int((centre + support + 0.5).rounded(.down)))
      let weights = (start..<end).map { max(0, 1 - abs((Double($0) + 0.5 - centre) / support)) }
      let sum = weights.reduce(0, +)
      return Tap(start: start, weights: weights.map { Float($0 / sum) })
    }
  }
}
