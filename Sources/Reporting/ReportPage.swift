import Foundation
import Records
import Tables

/// The page that holds everything: tables that sort by a click, figures as drawings in the text, data to download.
extension Report {
  func page(in folder: String) throws -> String {
    let table = ResultTable(runs: collection.runs, caption: collection.caption, problems: collection.problems)
    var body = "<h1>\(html(collection.name))</h1>\n<p class=\"lead\">\(html(table.caption)).</p>\n"
    body += "<h2>Results</h2>\n" + sortable(table.narrow) + list(table.notes)
    body += "<h2>Compared with full QAT</h2>\n" + sortable(comparison.table) + list(comparison.remarks)
    if !observation.isEmpty {
      body += "<h2>Levels</h2>\n" + observation.readable.map(titled).joined() + list(observation.notes)
    }
    body += "<h2>Figures</h2>\n"
    body += omissions.map { "<p class=\"note\">\(html($0))</p>\n" }.joined()
    // A sweep has one for each setting: too many to scroll past.
    let folded = [("layers-", "Frozen share by layer over time"), ("distances-", "Distances to levels")]
    func isFolded(_ figure: Figure) -> Bool { folded.contains { figure.name.hasPrefix($0.0) } }
    body += try figures.filter { !isFolded($0) }.map { try section($0, in: folder) }.joined()
    for (prefix, title) in folded {
      let some = figures.filter { $0.name.hasPrefix(prefix) }
      let drawn = try some.map { try section($0, in: folder) }.joined()
      body +=
        some.count <= 4
        ? drawn : "<details><summary>\(title), \(some.count) settings</summary>\n\(drawn)</details>\n"
    }
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
      \(PageStyle.css)
      </style>
      </head>
      <body>
      <main>
      \(body)</main>
      <script>
      \(PageStyle.sortingScript)
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

  private func titled(_ table: Table) -> String { "<h3>\(html(table.title))</h3>\n" + sortable(table) }

  private func sortable(_ table: Table) -> String {
    var text = "<div class=\"scroll\"><table>\n<thead><tr>"
    for column in table.columns {
      text += "<th scope=\"col\"><button type=\"button\">\(html(column.headingWithUnit))</button></th>"
    }
    text += "</tr></thead>\n<tbody>\n"
    for row in 0..<table.rowCount {
      let cells = table.columns.map { column in
        let cell = column.text(row)
        let isNumber = cell.first.map { $0.isNumber || "+-–".contains($0) } ?? false
        let classes = [isNumber ? "number" : "", cell.count <= 24 ? "short" : ""].filter { !$0.isEmpty }
        let label = html(column.headingWithUnit)
        return
          "<td\(classes.isEmpty ? "" : " class=\"\(classes.joined(separator: " "))\"") data-label=\"\(label)\">\(html(cell))</td>"
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
  fileprivate var headingWithUnit: String {
    (heading.isEmpty ? name : heading) + (unit.isEmpty ? "" : " (\(unit))")
  }

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
