import ArgumentParser
import Reporting

struct TableCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "table",
    abstract: "Write an experiment's table as HDF5, Markdown, CSV and LaTeX, and print it.",
    discussion: """
      A row for each setting: top-1 after the last epoch as mean ± standard error over the seeds, the difference to full
      QAT paired by seed, what freezing eliminated, measured times, and what is published. Run files that cannot be used
      are named and left out.
      """)

  @Argument(help: "An experiment's folder of results, such as results/table2.")
  var results: String

  @Option(
    help: ArgumentHelp(
      "Write PREFIX.h5, .md, .csv and .tex (default: the folder's name, beside it).", valueName: "prefix"))
  var output: String?

  @Option(help: "The table's caption (default: made from the folder's name, the network and the data).")
  var caption: String?

  func run() throws {
    let collection = try RunCollection.load(results)
    for problem in collection.problems { printError(problem) }
    let table = ResultTable(
      runs: collection.runs, caption: caption ?? collection.caption, problems: collection.problems)
    let prefix = output ?? collection.folder
    try table.write(prefix: prefix)
    print(table.markdown())
    print("written to \(prefix).h5, .md, .csv and .tex")
  }
}
