import ArgumentParser
import Foundation
import Host
import Runs
import Tensor

@main
struct Spqat: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "spqat",
    abstract: "Train, freeze, measure and compare quantized networks, as SpQAT describes it.",
    version: programVersion,
    subcommands: [
      DatasetCommand.self,
      ValidateCommand.self,
      SchemaCommand.self,
      RunCommand.self,
      SweepCommand.self,
      WorkerCommand.self,
      StatusCommand.self,
      ShowCommand.self,
      DiffCommand.self,
      EvaluateCommand.self,
      TableCommand.self,
      CompareCommand.self,
      PowerCommand.self,
      ReportCommand.self,
      ObserveCommand.self,
      ExportCommand.self,
      WeightsCommand.self,
      ModelCommand.self,
      BenchCommand.self,
      EstimateCommand.self,
      ReplayCommand.self,
    ])

  /// Whatever is wrong with the input is one line on standard error and exit status 2, and so is output that is lost.
  static func main() {
    StandardStreams.prepare()
    Shortage.handle { problem in
      StandardError.line("spqat: \(problem)")
      _ = StandardStreams.flushOutput()
      _exit(2)
    }
    var status = runCommand()
    if let problem = StandardStreams.flushOutput() {
      printError("standard output cannot be written: \(problem); what was printed is not complete")
      status = 2
    }
    status = Processes.end(status: status)
    // Without another flush, which would only fail again.
    _exit(status)
  }

  private static func runCommand() -> Int32 {
    // The name of the program stands first: without it, help would be printed in place of what was asked for.
    if CommandLine.arguments.isEmpty {
      printError("the system does not say with which arguments this program was called; start it again")
      return 2
    }
    // The parser's own version is a constant; the commit has to be asked for.
    if CommandLine.arguments.dropFirst() == ["--version"] {
      print(versionDescription)
      return 0
    }
    do {
      try refuseEmptyValues(CommandLine.arguments.dropFirst())
      var command = try parseAsRoot()
      try command.run()
      return 0
    } catch let code as ExitCode {
      return code.rawValue
    } catch  where exitCode(for: error) == .success {
      // Help, or the version: not an error.
      print(fullMessage(for: error))
      return 0
    } catch  where exitCode(for: error) == .validationFailure {
      // Long choices come as lists.
      let message = message(for: error).replacing("one of the following:\n  - ", with: "one of ")
        .replacing("\n  - ", with: ", ")
      printError("\(oneLine(message)); see 'spqat --help'")
      return 2
    } catch {
      printError(oneLine("\(error)"))
      return 2
    }
  }
}

/// An empty value is a shell variable that is not set: `--results "$FOLDER"` would mean the root of the file system.
private func refuseEmptyValues(_ arguments: ArraySlice<String>) throws {
  let mayBeEmpty = ["--caption"]
  for (argument, previous) in zip(arguments, [""] + arguments) {
    let name: String
    if argument.isEmpty {
      name = previous.hasPrefix("--") ? previous : "an argument"
    } else if argument.hasPrefix("--"), argument.hasSuffix("="), argument.firstIndex(of: "=") == argument.indices.last {
      name = String(argument.dropLast())
    } else {
      continue
    }
    if !mayBeEmpty.contains(name) { throw ValidationError("\(name) is empty; give a value, or leave it out") }
  }
}

/// One line on standard error; of several processes' the first one's, since what concerns one ends all.
func printError(_ line: String) {
  guard Processes.isFirst else { return }
  StandardError.line("spqat: \(line)")
}

func oneLine(_ text: String) -> String {
  text.split(whereSeparator: \.isNewline).joined(separator: " ")
}
