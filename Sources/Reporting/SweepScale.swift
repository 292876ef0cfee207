import Foundation

/// Where the values of an axis are drawn: numbers at their place or that of their logarithm, zero to the left of a
/// logarithmic axis, words to the right; evenly spaced where labels would lie on one another otherwise.
struct SweepScale {
  enum Kind {
    case linear, logarithmic, even
  }

  let kind: Kind
  let positions: [(value: String, position: Double)]
  /// Between numbers and words; nil without words.
  let wordBoundary: Double?

  /// - Parameter values: different ones.
  init(_ values: [String]) {
    let numbers = values.compactMap { value in axisNumber(value).map { (value: value, number: $0) } }
      .sorted { $0.number < $1.number }
    let words = values.filter { axisNumber($0) == nil }.sorted()
    let positive = numbers.map(\.number).filter { $0 > 0 }
    let isLogarithmic =
      (numbers.first?.number ?? 0) >= 0 && positive.count > 1 && (positive.last ?? 0) >= 10 * (positive.first ?? 0)
    let (first, last) = (log10(positive.first ?? 1), log10(positive.last ?? 1))
    var places = numbers.map { _, number in
      !isLogarithmic ? number : number > 0 ? log10(number) : first - (last - first) / 5
    }
    let span = (places.last ?? 0) - (places.first ?? 0)
    let isCrowded = zip(places, places.dropFirst()).contains { $1 - $0 < span * 0.07 }
    if isCrowded { places = numbers.indices.map(Double.init) }
    kind = isCrowded ? .even : isLogarithmic ? .logarithmic : .linear

    let end = places.last ?? 0
    let step = (end - (places.first ?? 0)) / 6
    wordBoundary = words.isEmpty ? nil : end + step * 0.65
    positions =
      zip(numbers, places).map { ($0.value, $1) }
      + words.enumerated().map { ($1, end + step * (Double($0) + 1.3)) }
  }

  subscript(value: String) -> Double { positions.first { $0.value == value }?.position ?? .nan }

  /// gnuplot's command for the tics; a label is a format.
  var tics: String {
    "set xtics ("
      + positions.map { value, position in
        "\(Figure.quoted(value.replacingOccurrences(of: "%", with: "%%"))) \(position)"
      }.joined(separator: ", ") + ")"
  }

  var unlabelledTics: String { "set xtics (" + positions.map { "'' \($0.position)" }.joined(separator: ", ") + ")" }

  var range: String {
    let (first, last) = (positions.first?.position ?? 0, positions.last?.position ?? 1)
    let margin = max((last - first) * 0.05, 1e-6)
    return "set xrange [\(first - margin):\(last + margin)]"
  }

  /// A sentence for the caption; empty for a linear axis.
  var remark: String {
    switch kind {
    case .linear: ""
    case .logarithmic: " Logarithmic axis."
    case .even: " Values are evenly spaced."
    }
  }
}
