import ArgumentParser
import Diagnostics
import Reporting

struct ObserveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "observe",
    abstract: "Show how early weights reached their final level, and whether freezing told which ones had.",
    discussion: """
      Every quantized run records its weights' levels. A run that freezes is judged by the full QAT of the same seed and
      parent, beside chance, the clock, the weights not frozen, and the agreement of two seeds; shadow runs give precision
      and recall by threshold. Prints tables with a row a setting, and writes PREFIX.md, PREFIX.h5 and PREFIX-*.csv.
      """)

  @Argument(help: "An experiment's folder of results, such as results/observation.")
  var results: String

  @Option(
    help: ArgumentHelp("The files' beginning (default: the folder's name and '-observed').", valueName: "prefix"))
  var output: String?

  func run() throws {
    let collection = try RunCollection.load(results)
    for problem in collection.problems { printError(problem) }
    let tables = ObservationTables(collection.runs, observed: try collection.observed(), name: collection.name)
    guard !tables.isEmpty else {
      throw Diagnostic(
        collection.folder, "no finished quantized run holds a record of its levels",
        remedy: "train some with 'spqat sweep' of this program, such as configs/observation.json")
    }
    print(tables.markdown())
    print("written to \(try tables.write(prefix: output ?? collection.folder + "-observed").joined(separator: ", "))")
  }
}
