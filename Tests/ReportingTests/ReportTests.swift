import Foundation
import Records
import Reporting
import TestSupport
import Testing

@Suite("Report")
struct ReportTests {
  static let gnuplot: String? = ["/usr/bin/gnuplot", "/usr/local/bin/gnuplot"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  static func thresholdSweep(seeds: ClosedRange<Int>) -> [RunRecord] {
    [SyntheticRuns.fullPrecision()]
      + seeds.flatMap { seed in
        [SyntheticRuns.fullQAT(bits: 2, seed: seed, topOne: 0.8)]
          + ["0.02", "0.1", "0.5", "linear"].enumerated().map { index, threshold in
            SyntheticRuns.freeze(
              bits: 2, seed: seed, topOne: 0.8 - 0.01 * Double(index) + 0.001 * Double(seed), threshold: threshold,
              axes: [
                AxisSetting(name: "freezing.threshold", value: threshold),
                AxisSetting(name: "freezing.start", value: "20%"),
              ],
              frozen: 0.1 + 0.2 * Double(index))
          }
      }
  }

  private func collection(_ runs: [RunRecord]) -> RunCollection {
    RunCollection(runs: runs, problems: [], name: "a <b> & c", folder: "results/abc")
  }

  @Test("CSV and scripts are written also without gnuplot, and the message says what to install")
  func withoutGnuplot() throws {
    let folder = try TemporaryFolder()
    #expect(throws: (any Error).self) {
      try Report(collection(Self.thresholdSweep(seeds: 1...2))).write(
        to: folder.file("report"), gnuplot: "/nonexistent/gnuplot")
    }
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.file("report"))
    for name in [
      "curves.csv", "settings.csv", "sweep-threshold.csv", "steps.csv", "layers-1.csv", "sweep-threshold.gp",
    ] {
      #expect(names.contains(name), "\(name) is missing")
    }
    #expect(!names.contains("index.html"))
    let rows = try String(contentsOfFile: folder.file("report/sweep-threshold.csv"), encoding: .utf8).split(
      separator: "\n")
    #expect(rows.count == 5)
    #expect(rows[0] == "curve,value,position,is_number,n,top1,top1_error,eliminated,eliminated_error")
  }

  @Test("labels of near points are drawn apart, and at the same places whatever the order of the runs")
  func labels() throws {
    // Points within a few percent of one another, some in the same place.
    let runs =
      [SyntheticRuns.fullQAT(bits: 2, seed: 1, topOne: 0.8)]
      + ["0.1", "linear", "sine"].enumerated().flatMap { series, threshold in
        ["0%", "20%", "50%", "80%"].enumerated().map { index, start in
          SyntheticRuns.freeze(
            bits: 2, seed: 1, topOne: 0.8 - 0.0005 * Double(index * series), threshold: threshold,
            axes: [
              AxisSetting(name: "freezing.threshold", value: threshold),
              AxisSetting(name: "freezing.start", value: start),
            ], frozen: 0.5 + 0.01 * Double(index))
        }
      }
    func settings(_ runs: [RunRecord]) throws -> (csv: String, script: String) {
      let folder = try TemporaryFolder()
      #expect(throws: (any Error).self) {
        try Report(collection(runs)).write(to: folder.path, gnuplot: "/nonexistent/gnuplot")
      }
      return (
        try String(contentsOfFile: folder.file("settings.csv"), encoding: .utf8),
        try String(contentsOfFile: folder.file("trade-off.gp"), encoding: .utf8)
      )
    }
    let (csv, script) = try settings(runs)
    var random = SystemRandomNumberGenerator()
    #expect(try settings(runs.shuffled(using: &random)).csv == csv)

    func range(_ axis: String) throws -> (low: Double, high: Double) {
      let match = try #require(script.firstMatch(of: try Regex("set \(axis)range \\[([0-9.]+):([0-9.]+)\\]")))
      return (Double(match[1].substring ?? "") ?? .nan, Double(match[2].substring ?? "") ?? .nan)
    }
    let (x, y) = (try range("x"), try range("y"))
    // Quoted names hold commas.
    let rows = csv.replacing(#/"[^"]*"/#, with: "").split(separator: "\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    func place(_ row: [Substring], _ column: String, _ range: (low: Double, high: Double), _ size: Double) throws
      -> Double
    {
      let index = try #require(rows[0].firstIndex(of: Substring(column)))
      return ((Double(row[index]) ?? .nan) - range.low) / (range.high - range.low) * size
    }
    // In pixels of the figure: 26 by 12 hold the three letters of "20%".
    let points = try rows.dropFirst(2).map {
      (x: try place($0, "eliminated", x, 620), y: try place($0, "top1", y, 350))
    }
    let labels = try rows.dropFirst(2).map {
      (x: try place($0, "label_x", x, 620), y: try place($0, "label_y", y, 350))
    }
    #expect(labels.count == 12)
    for (index, label) in labels.enumerated() {
      #expect(label.x > 13 && label.x < 607 && label.y > 6 && label.y < 344, "\(index) is inside the figure")
      for other in labels.dropFirst(index + 1) { #expect(abs(label.x - other.x) >= 26 || abs(label.y - other.y) >= 12) }
      for point in points { #expect(abs(label.x - point.x) >= 13 || abs(label.y - point.y) >= 6) }
    }
  }

  @Test("values of an axis are drawn apart: zero left of a logarithmic axis, near ones evenly spaced")
  func scales() throws {
    func positions(_ values: [String]) throws -> [(value: String, position: Double)] {
      let runs = values.map { value in
        SyntheticRuns.freeze(
          bits: 2, seed: 1, topOne: 0.8, threshold: value, axes: [AxisSetting(name: "freezing.threshold", value: value)]
        )
      }
      let folder = try TemporaryFolder()
      #expect(throws: (any Error).self) {
        try Report(collection(runs)).write(to: folder.path, gnuplot: "/nonexistent/gnuplot")
      }
      let csv = try String(contentsOfFile: folder.file("sweep-threshold.csv"), encoding: .utf8)
      return try csv.split(separator: "\n").dropFirst().map { line in
        let cells = line.split(separator: ",")
        return (String(cells[1]), try #require(Double(cells[2])))
      }
    }
    func smallestGap(_ places: [(value: String, position: Double)]) -> Double {
      let sorted = places.map(\.position).sorted()
      return (zip(sorted, sorted.dropFirst()).map { $1 - $0 }.min() ?? 0) / ((sorted.last ?? 0) - (sorted.first ?? 0))
    }
    let withZero = try positions(["0", "0.01", "0.02", "0.1", "0.5", "1", "linear"])
    #expect(withZero.map(\.value) == ["0", "0.01", "0.02", "0.1", "0.5", "1", "linear"])
    #expect(smallestGap(withZero) > 0.05, "\(withZero)")
    #expect(zip(withZero, withZero.dropFirst()).allSatisfy { $0.position < $1.position })
    let crowded = try positions(["0.1", "0.5", "0.501", "0.502"])
    #expect(crowded.map(\.position) == [0, 1, 2, 3])
    #expect(try positions(["0.1", "0.2", "0.5"]).map(\.position) == [0.1, 0.2, 0.5])
  }

  @Test(
    "gnuplot draws every figure without a complaint, and the page holds them all",
    .enabled(if: gnuplot != nil, "no gnuplot: apt-get install gnuplot-nox"),
    arguments: [[1], [1, 2, 3]])
  func figures(seeds: [Int]) throws {
    for runs in [SyntheticRuns.table2(seeds: seeds), Self.thresholdSweep(seeds: 1...seeds.count)] {
      let folder = try TemporaryFolder()
      try Report(collection(runs)).write(to: folder.path, gnuplot: Self.gnuplot)
      let names = try folder.contents
      let figures = names.filter { $0.hasSuffix(".gp") }.map { $0.dropLast(3) }
      #expect(figures.contains("trade-off") && figures.contains("seconds") && figures.contains("layers-1"))
      let page = try String(contentsOfFile: folder.file("index.html"), encoding: .utf8)
      for figure in figures {
        let svg = try String(contentsOfFile: folder.file("\(figure).svg"), encoding: .utf8)
        #expect(svg.contains("</svg>"), "\(figure) has no drawing")
        let png = try Data(contentsOf: URL(fileURLWithPath: folder.file("\(figure).png")))
        #expect(png.prefix(4).elementsEqual([0x89, 0x50, 0x4E, 0x47]) && png.count > 5000)
        #expect(page.contains("<figure id=\"\(figure)\">"))
      }
      #expect(page.components(separatedBy: "<svg").count == figures.count + 1)
      // Self-contained: nothing is loaded from anywhere.
      for loader in ["src=", "href=\"http", "href=\"//", "@import", "url(http", "<script src"] {
        #expect(!page.contains(loader), "the page loads something by \(loader)")
      }
      // Names with markup stay text, and ids are unique.
      #expect(page.contains("a &lt;b&gt; &amp; c") && !page.contains("a <b>"))
      let ids = page.matches(of: #/\bid=["']([^"']+)["']/#).map { String($0.1) }
      #expect(Set(ids).count == ids.count)
    }
  }

  @Test(
    "runs that shared the machine give no figure of seconds, and the page says so",
    .enabled(if: gnuplot != nil, "no gnuplot: apt-get install gnuplot-nox"))
  func sharedMachine() throws {
    let folder = try TemporaryFolder()
    let runs = SyntheticRuns.table2(seeds: [1]).map { run in
      var run = run
      run.provenance.isExclusive = false
      return run
    }
    try Report(collection(runs)).write(to: folder.path, gnuplot: Self.gnuplot)
    #expect(try !folder.contents.contains { $0.hasPrefix("seconds") || $0.hasPrefix("flops") })
    #expect(
      try String(contentsOfFile: folder.file("index.html"), encoding: .utf8).contains("had the machine to itself"))
  }
}
