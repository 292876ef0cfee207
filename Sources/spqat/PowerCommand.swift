import ArgumentParser
import Diagnostics
import Foundation
import Reporting
import Statistics

struct PowerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "power",
    abstract: "Say how many seeds a margin needs.",
    discussion: """
      From the spread of finished runs, or from --sd. For each test, with the spread from pairs alone and pooled over all
      settings, for one claim and for all claims together (Holm's first step).
      """)

  @Argument(help: "Folders of results such as results/ablation-threshold, or files NAME.h5 of their tables.")
  var results: [String] = []

  @Option(
    help: ArgumentHelp(
      "Standard deviation of a difference paired by seed, in points, in place of results.", valueName: "points"))
  var sd: Double?

  @OptionGroup var claim: ClaimOptions

  @Option(help: "The true difference for which the claim should be shown, in points.")
  var difference = 0.0

  @Option(help: "With --sd: settings over which the spread is pooled, the baseline included.")
  var settings = 2

  @Option(help: "With --sd: claims that are to hold together.")
  var claims = 1

  @Flag(help: "Print one JSON object instead of text.")
  var json = false

  func validate() throws {
    guard results.isEmpty != (sd == nil) else {
      throw ValidationError("give either folders of results or --sd, such as --sd 0.4")
    }
    if let sd, !(sd > 0 && sd.isFinite) { throw ValidationError("--sd is \(sd); give a number above 0") }
    guard difference.isFinite else { throw ValidationError("--difference is \(difference); give a number") }
    guard (2...1000).contains(settings) else { throw ValidationError("--settings is \(settings); allowed: 2 to 1000") }
    guard (1...1000).contains(claims) else { throw ValidationError("--claims is \(claims); allowed: 1 to 1000") }
  }

  func run() throws {
    let tables: [PowerTable]
    if let sd {
      tables = [
        PowerTable(
          claim: try claim.settled([]).claim, test: claim.test, standardDeviation: sd, difference: difference,
          settings: settings, claims: claims)
      ]
    } else {
      let collection = try RunCollection.load(results)
      for problem in collection.problems { printError(problem) }
      tables = PowerTable.tables(
        runs: collection.runs, claim: try claim.settled(results).claim, test: claim.test,
        difference: difference)
      guard !tables.isEmpty else {
        throw Diagnostic(
          collection.folder,
          "no spread to plan with: it needs a setting and its full QAT with two seeds each that differ",
          remedy: "give --sd instead")
      }
    }
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      print(String(decoding: try encoder.encode(["power": tables]), as: UTF8.self))
    } else {
      print(tables.map(\.text).joined(separator: "\n"), terminator: "")
    }
  }
}
