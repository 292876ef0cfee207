import ArgumentParser
import Diagnostics
import Reporting

struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Compare every setting of an experiment with full QAT, paired by seed.",
    discussion: """
      Differences of top-1 with 95 % confidence intervals (Student's t; from five pairs on also the bootstrap), and a verdict
      against the margin: "on par" where the whole interval lies within ± margin; "better" or "worse" where it lies above
      or below 0 and not within the margin; "not enough seeds" with fewer than two pairs, or where it holds 0 and reaches
      beyond the margin.
      """)

  @Argument(help: "An experiment's folder of results, such as results/ablation-threshold.")
  var results: String

  @Option(help: "fullQAT, fullPrecision, or a setting by its axes such as threshold=0.1,start=20%.")
  var baseline = "fullQAT"

  @Option(help: "Points of top-1 that make no difference.")
  var margin = 0.5

  @Flag(help: "Add what the papers claim, by version.")
  var published = false

  @Flag(help: "Print one JSON object instead of text.")
  var json = false

  func validate() throws {
    guard margin > 0, margin.isFinite else { throw ValidationError("--margin is \(margin); give a number above 0") }
    guard Baseline(baseline) != nil else {
      throw ValidationError("--baseline is '\(baseline)'; allowed: fullQAT, fullPrecision, AXIS=VALUE[,AXIS=VALUE]")
    }
  }

  func run() throws {
    guard let baseline = Baseline(baseline) else { preconditionFailure("validated") }
    let collection = try RunCollection.load(results)
    for problem in collection.problems { printError(problem) }
    guard collection.has(baseline) else {
      throw Diagnostic(
        collection.folder, "no runs of the baseline '\(self.baseline)'", remedy: "there are: \(collection.baselines)")
    }
    let comparison = Comparison(runs: collection.runs, baseline: baseline, margin: margin)
    if json {
      print(try comparison.json(includingPublished: published))
    } else {
      print(comparison.text(includingPublished: published), terminator: "")
    }
  }
}
