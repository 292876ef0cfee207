import Diagnostics
import Files
import Foundation
import Records
import Tables

/// An experiment's report: figures with their data and scripts, and one HTML page with everything in it.
public struct Report: Sendable {
  private let collection: RunCollection
  private let figures: [Figure]
  private let tables: [(name: String, table: Table)]
  private let omissions: [String]

  public init(_ collection: RunCollection) {
    self.collection = collection
    let drawn = ReportFigures(runs: collection.runs)
    figures = drawn.figures
    tables = drawn.tables
    omissions = drawn.omissions
  }

  /// Writes `NAME.csv` and `NAME.gp`, has gnuplot draw `NAME.svg` and `NAME.png` from them, and writes `index.html`.
  ///
  /// - Parameters:
  ///   - folder: made where it does not exist; other files in it are left alone.
  ///   - gnuplot: the program; nil looks for it in $PATH.
  /// - Throws: where gnuplot is missing or fails, after the CSV files and scripts were written.
  public func write(to folder: String, gnuplot: String? = nil) throws {
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw Diagnostic(cause: .system, folder, "cannot be made", remedy: "choose another folder with --output")
    }
    for (name, table) in tables {
      // Without the CR that RFC 4180 asks for, which gnuplot takes for part of the last column's name.
      try replaceFile(
        at: "\(folder)/\(name).csv", with: table.csv().replacingOccurrences(of: "\r\n", with: "\n"))
    }
    for figure in figures { try replaceFile(at: "\(folder)/\(figure.name).gp", with: figure.script) }
    guard let gnuplot = gnuplot ?? Self.find("gnuplot") else {
      throw Diagnostic(
        "gnuplot", "is not installed, so nothing is drawn; data and scripts are in \(folder)",
        remedy: "install it (apt-get install gnuplot-nox)")
    }
    for figure in figures {
      for format in ["svg", "png"] { try Self.draw(figure, format: format, in: folder, gnuplot: gnuplot) }
    }
    try replaceFile(at: "\(folder)/index.html", with: try page(in: folder))
  }

  private static func find(_ program: String) -> String? {
    (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(program)" }
      .first { FileManager.default.isExecutableFile(atPath: $0) }
  }

  private static func draw(_ figure: Figure, format: String, in folder: String, gnuplot: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: gnuplot)
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.arguments = ["-e", "format='\(format)'", "\(figure.name).gp"]
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    do {
      try process.run()
    } catch {
      throw Diagnostic(cause: .system, gnuplot, "cannot be started", remedy: "check the installation of gnuplot")
    }
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      let reason = output.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }.last {
        !$0.isEmpty
      }
      throw Diagnostic("\(folder)/\(figure.name).gp", "gnuplot failed: \(reason ?? "no message")")
    }
  }

  // MARK: - The page

  private func page(in folder: String) throws -> String {
    let table = ResultTable(runs: collection.runs, caption: collection.caption, problems: collection.problems)
    let comparison = Comparison(runs: collection.runs)
    var body = "<h1>\(html(collection.name))</h1>\n<p class=\"lead\">\(html(table.caption)).</p>\n"
    body += "<h2>Results</h2>\n" + sortable(table.readable) + list(table.notes)
    body += "<h2>Compared with full QAT</h2>\n" + sortable(comparison.table) + list(comparison.remarks)
    body += "<h2>Figures</h2>\n"
    body += omissions.map { "<p class=\"note\">\(html($0))</p>\n" }.joined()
    let layers = figures.filter { $0.name.hasPrefix("layers-") }
    body += try figures.filter { !$0.name.hasPrefix("layers-") }.map { try section($0, in: folder) }.joined()
    let maps = try layers.map { try section($0, in: folder) }.joined()
    // A sweep has one for each setting: too many to scroll past.
    body +=
      layers.count <= 4
      ? maps
      : "<details><summary>Frozen share by layer over time, \(layers.count) settings</summary>\n\(maps)</details>\n"
    body += "<h2>Runs</h2>\n" + sortable(runTable)
    body +=
      "<h2>Data</h2>\n<p>The figures are drawn from these files by the gnuplot scripts beside this page.</p>\n<ul class=\"data\">\n"
    for (name, table) in tables {
      let data = Data(table.csv().utf8).base64EncodedString()
      body += "<li><a download=\"\(name).csv\" href=\"data:text/csv;base64,\(data)\">\(name).csv</a></li>\n"
    }
    body += "</ul>\n"
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <title>\(html(collection.name))</title>
      <link rel="icon" href="data:,">
      <style>
      \(Self.style)
      </style>
      </head>
      <body>
      <main>
      \(body)</main>
      <script>
      \(Self.sortingScript)
      </script>
      </body>
      </html>

      """
  }

  private func section(_ figure: Figure, in folder: String) throws -> String {
    let drawing = try String(contentsOfFile: "\(folder)/\(figure.name).svg", encoding: .utf8)
    return """
      <figure id="\(figure.name)">
      <h3>\(html(figure.title))</h3>
      <div class="scroll">\(inline(drawing, figure: figure))</div>
      <figcaption>\(html(figure.caption)) <span class="files">\(figure.name).svg, .png, .gp</span></figcaption>
      </figure>

      """
  }

  private var runTable: Table {
    let runs = Setting.settings(of: collection.runs).flatMap(\.runs)
    func percent(_ value: (RunRecord) -> Double?) -> Table.Column.Values {
      .doubles(runs.map { 100 * (value($0) ?? .nan) })
    }
    return Table(columns: [
      .init("run", heading: "Run", .strings(runs.map(\.label))), .init("id", heading: "Id", .strings(runs.map(\.id))),
      .init("status", heading: "Status", .strings(runs.map(\.outcome.status.rawValue))),
      .init("top1", heading: "Top-1", unit: "%", decimals: 2, percent(\.outcome.finalTopOne)),
      .init("best", heading: "Best epoch, chosen on test data", unit: "%", decimals: 2, percent(\.outcome.bestTopOne)),
      .init(
        "updates", heading: "Updates eliminated", unit: "%", decimals: 1, percent(\.outcome.weightUpdatesEliminated)),
      .init("seconds", heading: "Time", unit: "s", decimals: 1, .doubles(runs.map(\.outcome.totalSeconds))),
      .init("alone", heading: "Alone on the machine", .booleans(runs.map(\.provenance.isExclusive))),
    ])
  }

  private func list(_ lines: [String]) -> String {
    "<ul class=\"notes\">\n" + lines.map { "<li>\(html($0))</li>\n" }.joined() + "</ul>\n"
  }

  private func sortable(_ table: Table) -> String {
    var text = "<div class=\"scroll\"><table>\n<thead><tr>"
    for column in table.columns {
      let heading =
        (column.heading.isEmpty ? column.name : column.heading) + (column.unit.isEmpty ? "" : " (\(column.unit))")
      text += "<th scope=\"col\"><button type=\"button\">\(html(heading))</button></th>"
    }
    text += "</tr></thead>\n<tbody>\n"
    for row in 0..<table.rowCount {
      let cells = table.columns.map { column in
        let cell = column.text(row)
        let isNumber = cell.first.map { $0.isNumber || "+-–".contains($0) } ?? false
        let classes = [isNumber ? "number" : "", cell.count <= 24 ? "short" : ""].filter { !$0.isEmpty }
        return "<td\(classes.isEmpty ? "" : " class=\"\(classes.joined(separator: " "))\"")>\(html(cell))</td>"
      }
      text += "<tr>" + cells.joined() + "</tr>\n"
    }
    return text + "</tbody>\n</table></div>\n"
  }

  /// gnuplot's SVG as a part of the page: names that are unique in it, and black in the colour of the text.
  private func inline(_ drawing: String, figure: Figure) -> String {
    guard let start = drawing.range(of: "<svg") else { return "" }
    var svg = String(drawing[start.lowerBound...])
    for (pattern, template) in [
      (#"id=(["'])"#, "id=$1\(figure.name)-"), (#"href=(["'])#"#, "href=$1#\(figure.name)-"),
      (#"url\(#"#, "url(#\(figure.name)-"),
      (#"(stroke|fill|color)=(["'])(black|rgb\(\s*0,\s*0,\s*0\))["']"#, "$1=$2currentColor$2"),
      (#"<title>[^<]*</title>|<desc>[^<]*</desc>"#, ""),
    ] {
      svg = svg.replacingOccurrences(of: pattern, with: template, options: .regularExpression)
    }
    return svg.replacingOccurrences(
      of: "<svg", with: "<svg role=\"img\" aria-label=\"\(html(figure.title))\"", options: [],
      range: svg.range(of: "<svg"))
  }

  private static let style = """
    :root { --text: #1c1c1e; --page: #ffffff; --soft: #5b5b60; --line: #d5d5da; --band: #f4f4f6; --link: #0062a3; }
    @media (prefers-color-scheme: dark) {
      :root { --text: #e6e6ea; --page: #17181b; --soft: #a5a5ad; --line: #3c3d43; --band: #212227; --link: #7cc0f5; }
    }
    * { box-sizing: border-box; }
    body { margin: 0; color: var(--text); background: var(--page); font: 16px/1.5 system-ui, sans-serif; }
    main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
    h1 { margin: 0 0 .25rem; font-size: 1.7rem; overflow-wrap: anywhere; }
    h2 { margin: 2.5rem 0 .75rem; font-size: 1.3rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
    h3 { margin: 0 0 .5rem; font-size: 1.05rem; }
    .lead { margin: 0; color: var(--soft); }
    .scroll { overflow-x: auto; }
    table { border-collapse: collapse; font-size: .88rem; min-width: 100%; }
    th, td { padding: .35rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
    th { padding: 0; background: var(--band); vertical-align: bottom; }
    th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0; padding: .35rem .6rem; width: 100%;
      text-align: left; cursor: pointer; }
    th button:focus-visible { outline: 2px solid var(--link); outline-offset: -2px; }
    th[aria-sort=ascending] button::after { content: " \\25B2"; }
    th[aria-sort=descending] button::after { content: " \\25BC"; }
    td.number { font-variant-numeric: tabular-nums; }
    td.short { white-space: nowrap; }
    .notes { color: var(--soft); font-size: .85rem; padding-left: 1.2rem; overflow-wrap: anywhere; }
    figure { margin: 0 0 2.5rem; }
    figure svg { display: block; width: 100%; min-width: 34rem; max-width: 48rem; height: auto; color: var(--text); }
    figcaption, .note { color: var(--soft); font-size: .88rem; }
    .files { white-space: nowrap; font-family: ui-monospace, monospace; font-size: .8rem; }
    summary { cursor: pointer; margin-bottom: 1rem; font-weight: 600; }
    a { color: var(--link); }
    .data { columns: 14rem; font-size: .9rem; }
    """

  /// A click on a heading sorts by it, a second one the other way; cells without a number come last.
  private static let sortingScript = """
    "use strict";
    for (const table of document.querySelectorAll("table")) {
      const headings = Array.from(table.tHead.rows[0].cells);
      headings.forEach((heading, column) => heading.firstChild.addEventListener("click", () => {
        const descending = heading.getAttribute("aria-sort") === "ascending";
        const key = row => {
          const text = row.cells[column].textContent.trim();
          const number = parseFloat(text);
          return { text, number, missing: text === "" || text.startsWith("\\u2013") };
        };
        const rows = Array.from(table.tBodies[0].rows).map(row => ({ row, ...key(row) }));
        rows.sort((a, b) => {
          if (a.missing !== b.missing) return a.missing ? 1 : -1;
          const order = Number.isNaN(a.number) || Number.isNaN(b.number)
            ? a.text.localeCompare(b.text) : a.number - b.number || a.text.localeCompare(b.text);
          return descending ? -order : order;
        });
        for (const other of headings) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
        table.tBodies[0].append(...rows.map(entry => entry.row));
      }));
    }
    """
}

/// Text as HTML.
private func html(_ text: some StringProtocol) -> String {
  var result = ""
  for character in text {
    switch character {
    case "&": result += "&amp;"
    case "<": result += "&lt;"
    case ">": result += "&gt;"
    case "\"": result += "&quot;"
    default: result.append(character)
    }
  }
  return result
}

extension Table.Column {
  /// For readers; a missing number as an en dash.
  fileprivate func text(_ row: Int) -> String {
    switch values {
    case .integers(let values): "\(values[row])"
    case .doubles(let values): values[row].isNaN ? "–" : String(format: "%.\(decimals ?? 3)f", values[row])
    case .floats(let values): values[row].isNaN ? "–" : String(format: "%.\(decimals ?? 3)f", values[row])
    case .booleans(let values): values[row] ? "yes" : "no"
    case .strings(let values): values[row]
    }
  }
}
