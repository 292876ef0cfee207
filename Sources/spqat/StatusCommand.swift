import ArgumentParser
import Configuration
import Foundation
import Host
import Records
import Runs

struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show which runs are finished, running, failed or waiting, and the time left.",
    discussion: """
      Takes an experiment file, or a folder of results such as results/table2. With --watch a terminal shows a table that \
      is redrawn until nothing is left to train; where the output goes elsewhere, a run's line follows whenever it changed.
      """)

  @OptionGroup var options: ExperimentOptions

  @Flag(help: "Go on showing, until nothing is left to train.")
  var watch = false

  @Option(help: ArgumentHelp("Time between two looks of --watch.", valueName: "seconds"))
  var interval = 2.0

  func validate() throws {
    guard (0.1...3600).contains(interval) else {
      throw ValidationError("--interval is \(interval); allowed: 0.1 to 3600 seconds")
    }
  }

  func run() throws {
    var isFolder: ObjCBool = false
    let isResults = FileManager.default.fileExists(atPath: options.config, isDirectory: &isFolder) && isFolder.boolValue
    let source: any StatusSource = isResults ? try FolderStatus(options.config) : try ExperimentStatus(options)
    guard watch else {
      let runs = source.runs(after: [])
      for run in runs { print(run) }
      for line in source.remarks { print(line) }
      if let summary = source.summary(of: runs) { print(summary) }
      return
    }
    Interruption.listen()
    var display = StatusDisplay()
    var runs: [RunLine] = []
    while true {
      runs = source.runs(after: runs)
      display.show(runs, summary: source.summary(of: runs))
      // Nobody reads any more: `main` says that output was lost.
      if StandardStreams.flushOutput() != nil || runs.allSatisfy(\.isDone) { return }
      let next = ContinuousClock.now + .seconds(interval)
      while ContinuousClock.now < next {
        if let status = Interruption.exitStatus { throw ExitCode(status) }
        usleep(50_000)
      }
    }
  }
}
