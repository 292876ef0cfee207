import ArgumentParser

@main
struct Spqat: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "spqat",
    abstract: "Train, freeze, measure and compare quantized networks, as SpQAT describes it.",
    subcommands: [DatasetCommand.self, BenchCommand.self, ReplayCommand.self])
}
