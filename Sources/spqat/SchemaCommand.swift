import ArgumentParser
import Configuration

struct SchemaCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "schema",
    abstract: "Print the JSON Schema of experiment files, by which editors complete and check them.")

  func run() {
    print(ExperimentSchema.text, terminator: "")
  }
}
