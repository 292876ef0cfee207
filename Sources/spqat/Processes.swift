import Configuration
import Diagnostics
import Foundation
import Kernels
import Runs
import Training

/// The processes that `mpirun` or `srun` started with this one; by itself a process is the first of one.
enum Processes {
  /// Set once, on the main thread, before anything is computed.
  nonisolated(unsafe) private static var group: (any Communicator)?

  /// Whether this is the one that prints and whose exit status counts; known before MPI is.
  static var isFirst: Bool { MPI.isFirstLaunched }

  /// Meets the others.
  static func start() throws -> any Communicator {
    let processes = try MPI.processes()
    group = processes
    if processes.size > 1 {
      Interruption.listen(endsAtSecond: false)
      if isFirst, let problem = MPI.bindingProblem { printError(problem) }
    }
    return processes
  }

  /// To be called once, behind everything else: the exit status of this process. Launchers end all processes as soon as one
  /// fails, so the others wait until the first has said what it has to.
  static func end(status: Int32) -> Int32 {
    if let group = group as? MPI {
      group.end()
    } else if !isFirst {
      sleep(1)
    }
    return isFirst ? status : 0
  }

  /// Whether each run's batches can be divided among so many.
  static func check(_ plan: RunPlan, _ processes: any Communicator) throws(Diagnostic) {
    for run in plan.runs {
      let images = min(run.spec.batchSize, run.spec.imagesAtOnce)
      let most = BatchTree(images: images).leaves
      guard processes.size <= most else {
        throw Diagnostic(
          "mpirun",
          "started \(processes.size) processes; batches of \(images) images are divided among \(most) at most",
          remedy: "give -n \(most) or less")
      }
    }
  }
}

extension ExperimentOptions {
  /// The same on all processes, or an error on all of them.
  func load(on processes: any Communicator) throws -> LoadedExperiment {
    try processes.together {
      let loaded = try load(quietly: !processes.isFirst)
      try Processes.check(loaded.plan, processes)
      return loaded
    }
  }
}
