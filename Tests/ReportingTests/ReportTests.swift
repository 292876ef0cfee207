import Foundation
import Reporting
import Results
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
                AxisValue(name: "freezing.threshold", value: threshold),
                AxisValue(name: "freezing.start", value: "20%"),
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
