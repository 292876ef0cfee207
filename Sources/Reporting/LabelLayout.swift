import Foundation

/// Places for the labels of a figure's points, so that they can be read: off the points and off one another.
///
/// Lengths are pixels of the drawing area, from its lower left corner. Every label tries places around its point, near ones
/// first, and takes the one that costs least; again, now that the others have places, until none moves. The same points
/// give the same places.
struct LabelLayout {
  struct Point: Equatable {
    var x: Double
    var y: Double
  }

  struct Box {
    var minX: Double
    var maxX: Double
    var minY: Double
    var maxY: Double

    init(center: Point, width: Double, height: Double) {
      minX = center.x - width / 2
      maxX = center.x + width / 2
      minY = center.y - height / 2
      maxY = center.y + height / 2
    }

    /// The common area, square pixels.
    func overlap(_ other: Box) -> Double {
      max(0, min(maxX, other.maxX) - max(minX, other.minX)) * max(0, min(maxY, other.maxY) - max(minY, other.minY))
    }

    var area: Double { (maxX - minX) * (maxY - minY) }
  }

  struct Place: Equatable {
    /// The middle of the label.
    var center: Point
    /// Where on the label's edge a line to its point ends; nil where the label stands beside the point.
    var lead: Point?
  }

  /// A point with its label's text and the half lengths of its error bars.
  struct Item {
    var point: Point
    var text: String
    var errorX = 0.0
    var errorY = 0.0
  }

  /// Width of the drawing area.
  let width: Double
  let height: Double
  /// Heights of horizontal lines that labels had better not cross.
  var lines: [Double] = []

  private static let pointSize = 11.0
  private static let lineHeight = 15.0
  /// From the middle of a point to the edge of a label beside it.
  private static let nearest = 8.0

  /// Of a text in the labels' font, about: letters are taken as wide as digits, of which DejaVu Sans has few wider ones.
  private static func width(_ text: String) -> Double {
    text.reduce(0) { width, letter in
      switch letter {
      case "%": width + 14.5
      case ".", ",", " ": width + 5
      default: width + 9.3
      }
    }
  }

  /// A place for each item's label.
  func places(_ items: [Item]) -> [Place] {
    let sizes = items.map { (width: Self.width($0.text), height: Self.lineHeight) }
    let points = items.map { Box(center: $0.point, width: Self.pointSize, height: Self.pointSize) }
    let bars = items.flatMap { item in
      [
        Box(center: item.point, width: 2 * item.errorX, height: 2),
        Box(center: item.point, width: 2, height: 2 * item.errorY),
      ]
    }
    let rules = lines.map { Box(center: Point(x: width / 2, y: $0), width: width, height: 3) }
    let order = items.indices.sorted {
      (items[$0].point.x, items[$0].point.y, $0) < (items[$1].point.x, items[$1].point.y, $1)
    }
    var placed: [Box?] = items.map { _ in nil }

    func cost(_ box: Box, of index: Int, distance: Double) -> Double {
      let inside = Box(center: Point(x: width / 2, y: height / 2), width: width, height: height)
      var cost = distance + 20 * (box.area - box.overlap(inside))
      for (other, label) in placed.enumerated() where other != index { cost += 10 * (label?.overlap(box) ?? 0) }
      for point in points { cost += 6 * point.overlap(box) }
      for bar in bars { cost += 0.5 * bar.overlap(box) }
      for rule in rules { cost += 0.15 * rule.overlap(box) }
      return cost
    }

    for _ in 0..<8 {
      var hasMoved = false
      for index in order {
        let size = sizes[index]
        var best = (cost: Double.infinity, box: Box(center: items[index].point, width: 0, height: 0))
        for gap in [Self.nearest, 12, 18, 26, 36, 48, 62, 78] {
          // To the right first, then all around.
          for angle in [0.5, 1, 0, 7, 3, 4, 5, 2, 6, 3.5, 4.5, 7.5, 1.5, 2.5, 5.5, 6.5] {
            let (cosine, sine) = (cos(angle * .pi / 4), sin(angle * .pi / 4))
            let center = Point(
              x: items[index].point.x + cosine * (size.width / 2 + gap),
              y: items[index].point.y + sine * (size.height / 2 + gap))
            let box = Box(center: center, width: size.width, height: size.height)
            let cost = cost(box, of: index, distance: gap)
            if cost < best.cost { best = (cost, box) }
          }
        }
        let old = placed[index]
        if old?.minX != best.box.minX || old?.minY != best.box.minY { hasMoved = true }
        placed[index] = best.box
      }
      if !hasMoved { break }
    }
    return zip(items, placed).map { item, box in
      guard let box else { preconditionFailure("every label has been placed") }
      let edge = Point(
        x: min(max(item.point.x, box.minX), box.maxX), y: min(max(item.point.y, box.minY), box.maxY))
      let distance = hypot(edge.x - item.point.x, edge.y - item.point.y)
      return Place(
        center: Point(x: (box.minX + box.maxX) / 2, y: (box.minY + box.maxY) / 2),
        lead: distance > 1.5 * Self.nearest ? edge : nil)
    }
  }
}
