public import Diagnostics
public import Foundation
import Tensor

/// Generated pictures of many sizes, whose classes a small network tells apart: for tests and trials without a download.
/// Each is a shape of a colour that is common in its class, at a random place on a noisy ground.
public struct ShapePictures: Sendable {
  /// In each class.
  public var trainCount: Int
  /// In each class.
  public var testCount: Int
  /// Of the shorter and the longer side, in pixels.
  public var sides: ClosedRange<Int>

  /// - Precondition: pictures of at least 8 pixels a side in both splits.
  public init(trainCount: Int = 24, testCount: Int = 8, sides: ClosedRange<Int> = 48...128) {
    precondition(trainCount >= 1 && testCount >= 1 && sides.lowerBound >= 8, "pictures with something on them")
    self.trainCount = trainCount
    self.testCount = testCount
    self.sides = sides
  }

  /// Whether the point (x, y) lies on a shape of radius 1 about (0, 0).
  private typealias Shape = @Sendable (_ x: Double, _ y: Double) -> Bool

  /// By class name.
  private static let shapes: [(name: String, contains: Shape)] = [
    ("bars", { x, y in max(abs(x), abs(y)) < 0.9 && Int((x + 1) * 3.5) % 2 == 0 }),
    ("cross", { x, y in min(abs(x), abs(y)) < 0.3 && max(abs(x), abs(y)) < 1 }),
    ("diamond", { x, y in abs(x) + abs(y) < 1 }),
    ("disc", { x, y in x * x + y * y < 1 }),
    ("ring", { x, y in (0.4..<1).contains(x * x + y * y) }),
    ("square", { x, y in max(abs(x), abs(y)) < 0.85 }),
    ("stripes", { x, y in max(abs(x), abs(y)) < 0.9 && Int((y + 1) * 3.5) % 2 == 0 }),
    ("triangle", { x, y in abs(y) < 0.8 && abs(x) < (y + 0.8) * 0.6 }),
  ]

  /// Sorted.
  public static let classes = shapes.map(\.name)

  /// Writes the tree `{train,test}/CLASS/00001.png` with its index to `destination`, where nothing may be yet.
  /// - Returns: the index.
  public func write(to destination: URL, threads: Int) throws(Diagnostic) -> DatasetIndex {
    guard !FileManager.default.fileExists(atPath: destination.path) else {
      throw Diagnostic(
        destination.path, "something is there already",
        remedy: "remove it, or choose another place with --to")
    }
    let partial = try PartialTree(for: destination)
    let root = partial.root
    for (split, count) in [("train", trainCount), ("test", testCount)] {
      for name in Self.classes { try makeFolder(root.appendingPathComponent("\(split)/\(name)")) }
      try forEachIndex(below: count * Self.shapes.count, threads: threads, progress: nil, state: ()) {
        (_: Void, index: Int) throws(Diagnostic) in
        let (number, label) = index.quotientAndRemainder(dividingBy: Self.shapes.count)
        let digits = String(number + 1)
        let name = String(repeating: "0", count: max(0, 5 - digits.count)) + digits + ".png"
        let file = root.appendingPathComponent("\(split)/\(Self.shapes[label].name)/\(name)")
        try writeFile(Data(picture(label, index: split == "train" ? index : trainCount * 1_000_000 + index)), to: file)
      }
    }
    let outcome = try DatasetIndexing.run(
      root: root, file: DatasetIndex.file(of: root), threads: threads)
    guard let index = outcome.index else { preconditionFailure("what was just written is sound") }
    try partial.finish()
    return index
  }

  /// The PNG file of one picture, which follows from its number.
  private func picture(_ label: Int, index: Int) throws(Diagnostic) -> [UInt8] {
    var random = CounterRandom(seed: 0, stream: UInt64(index), purpose: .initialization)
    let size = PixelSize(
      width: sides.lowerBound + random.bounded(sides.count), height: sides.lowerBound + random.bounded(sides.count))
    let radius = Double(min(size.width, size.height)) * (0.3 + 0.15 * random.uniformDouble())
    let centre = (
      x: Double(size.width) * (0.4 + 0.2 * random.uniformDouble()),
      y: Double(size.height) * (0.4 + 0.2 * random.uniformDouble())
    )
    let hue = (Double(label) + 0.8 * random.uniformDouble()) / Double(Self.shapes.count)
    let color = (0..<3).map { 150 + 90 * cos(2 * .pi * (hue + Double($0) / 3)) }
    let ground = (0..<3).map { _ in 40 + 60 * random.uniformDouble() }
    var pixels: [UInt8] = []
    pixels.reserveCapacity(size.rgbBytes)
    for y in 0..<size.height {
      for x in 0..<size.width {
        let isInside = Self.shapes[label].contains((Double(x) - centre.x) / radius, (Double(y) - centre.y) / radius)
        let noise = Double(random.bounded(31)) - 15
        for channel in 0..<3 { pixels.append(UInt8((isInside ? color : ground)[channel] + noise)) }
      }
    }
    do throws(PNG.Failure) {
      return try PNG.encode(pixels, size: size, channels: 3)
    } catch {
      throw Diagnostic("a generated picture", error.reason, remedy: "free some memory")
    }
  }
}
