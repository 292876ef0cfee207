import ArgumentParser
import Foundation

@main
struct Spqat: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "spqat",
    abstract: "Train, freeze, measure and compare quantized networks, as SpQAT describes it.",
    subcommands: [
      DatasetCommand.self,
      ValidateCommand.self,
      RunCommand.self,
      SweepCommand.self,
      WorkerCommand.self,
      StatusCommand.self,
      ShowCommand.self,
      DiffCommand.self,
      EvaluateCommand.self,
      TableCommand.self,
      CompareCommand.self,
      ReportCommand.self,
      ExportCommand.self,
      BenchCommand.self,
      ReplayCommand.self,
    ])

  /// Whatever is wrong with the input is one line on standard error and exit status 2.
  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let code as ExitCode {
      Foundation.exit(code.rawValue)
    } catch  where exitCode(for: error) == .success {
      // Help, or the version: not an error.
      print(fullMessage(for: error))
    } catch  where exitCode(for: error) == .validationFailure {
      printError("\(oneLine(message(for: error))); see 'spqat --help'")
      Foundation.exit(2)
    } catch {
      printError(oneLine("\(error)"))
      Foundation.exit(2)
    }
  }
}

/// One line on standard error.
func printError(_ line: String) {
  FileHandle.standardError.write(Data("spqat: \(line)\n".utf8))
}

private func oneLine(_ text: String) -> String {
  text.split(whereSeparator: \.isNewline).joined(separator: " ")
}
