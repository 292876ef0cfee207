import ArgumentParser
import Reporting

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Draw an experiment's figures and write one HTML page with its tables and figures.",
    discussion: """
      Writes CSV files, gnuplot scripts, SVG and PNG figures, and index.html, which needs none of the others. The figures
      need gnuplot (Debian package gnuplot-nox); restyle them by editing the scripts.
      """)

  @Argument(help: "An experiment's folder of results, such as results/ablation-threshold.")
  var results: String

  @Option(help: ArgumentHelp("The folder to write (default: report in the folder of results).", valueName: "dir"))
  var output: String?

  func run() throws {
    let collection = try RunCollection.load(results)
    for problem in collection.problems { printError(problem) }
    let folder = output ?? collection.folder + "/report"
    try Report(
      collection, claim: try SettledClaim.recorded(in: [results]), observed: try collection.observed()
    ).write(to: folder)
    print("\(folder)/index.html")
  }
}
