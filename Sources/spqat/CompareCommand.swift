import ArgumentParser
import Diagnostics
import Reporting
import Statistics

/// What a comparison tests; what is given here is marked as chosen afterwards.
struct ClaimOptions: ParsableArguments {
  @Option(help: "Points of top-1 that make no difference (default: as recorded with the results, else 0.5).")
  var margin: Double?

  @Option(help: "Of intervals and verdicts, such as 0.95 (default: as recorded with the results, else 0.95).")
  var confidence: Double?

  @Option(
    help: ArgumentHelp(
      "nonInferiority: on par or better; equivalence: on par (default: as recorded with the results, else nonInferiority).",
      valueName: "nonInferiority|equivalence"),
    transform: { text in
      guard let test = Claim.Test(rawValue: text) else {
        throw ValidationError("allowed: \(Claim.Test.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      return test
    })
  var test: Claim.Test?

  func validate() throws {
    if let margin, !(margin > 0 && margin.isFinite) {
      throw ValidationError("--margin is \(margin); give a number above 0")
    }
    if let confidence, !Claim.confidences.contains(confidence) {
      throw ValidationError("--confidence is \(confidence); give a number from 0.5 to below 1, such as 0.95")
    }
  }

  /// The claim recorded with these results, with what was given in its place.
  func settled(_ results: [String]) throws -> SettledClaim {
    try SettledClaim.recorded(in: results).replacing(margin: margin, confidence: confidence, test: test)
  }
}

struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Compare every setting of an experiment with full QAT, paired by seed.",
    discussion: """
      Differences of top-1 with confidence intervals: from the pairs alone, with the spread pooled over all settings of the
      same baseline, and simultaneous ones for all of them. Verdicts test the claim that was recorded with the results (the
      experiment's "comparison"), corrected for the number of rows: "on par or better" where the difference is shown to be
      above -margin (nonInferiority), "on par" where it is shown to be within ± margin (equivalence); "better" or "worse"
      where only a difference is shown; "undecided"; "too few seeds" where there is no interval. Several folders, or files
      NAME.h5 of tables, are compared together: a run that is in several of them counts once.
      """)

  @Argument(help: "Folders of results such as results/ablation-threshold, or files NAME.h5 of their tables.")
  var results: [String]

  @Option(help: "fullQAT, fullPrecision, or a setting by its axes such as threshold=0.1,start=20%.")
  var baseline = "fullQAT"

  @OptionGroup var claim: ClaimOptions

  @Flag(help: "Add what the papers claim, by version.")
  var published = false

  @Flag(help: "Print one JSON object instead of text.")
  var json = false

  func validate() throws {
    guard !results.isEmpty else { throw ValidationError("give a folder of results, such as results/table2") }
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
    let comparison = Comparison(
      runs: collection.runs, baseline: baseline, claim: try claim.settled(results))
    if json {
      print(try comparison.json(includingPublished: published))
    } else {
      print(comparison.text(includingPublished: published), terminator: "")
    }
  }
}
