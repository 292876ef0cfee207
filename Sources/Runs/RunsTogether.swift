import Configuration
import Diagnostics
import Foundation
import Kernels
import Records
import Training

/// A run that several processes train: the first one decides and writes, the others compute their images and follow.
extension RunTrainer {
  /// What the first process asks the others to do.
  private struct Assignment: Codable {
    /// nil: there is nothing more to do.
    var run: String?
    /// From the run's checkpoint.
    var goesOn = false
  }

  /// What all processes do after a step.
  enum Decision: UInt8 {
    case proceed
    case checkpoint
    case stop
  }

  func assign(_ run: PlannedRun, goesOn: Bool) throws {
    guard processes.size > 1 else { return }
    _ = processes.broadcast(try JSONEncoder().encode(Assignment(run: run.id, goesOn: goesOn)))
  }

  /// Lets the other processes return from `follow`.
  public func release() {
    guard processes.size > 1, let nothing = try? JSONEncoder().encode(Assignment()) else { return }
    _ = processes.broadcast(nothing)
  }

  /// Trains with the first process what that trains, until it has nothing more; writes nothing, and says nothing, since the first
  /// one does.
  public func follow(_ plan: RunPlan) throws {
    while true {
      let assignment = try JSONDecoder().decode(Assignment.self, from: processes.broadcast(Data()))
      guard let id = assignment.run else { return }
      // What goes wrong goes wrong on all processes, of which the first tells it.
      try? follow(plan, assignment, id)
    }
  }

  private func follow(_ plan: RunPlan, _ assignment: Assignment, _ id: String) throws {
    let session = try processes.together {
      guard let run = plan.runs.first(where: { $0.id == id }) else {
        throw Diagnostic("process \(processes.rank)", "its experiment has no run \(id)")
      }
      return try self.session(of: run, goesOn: assignment.goesOn, note: { _ in }, warn: { _ in })
    }
    let result = try session.train { _ in
      let decision = agree(.proceed)
      if decision == .checkpoint { try save(session, of: id) }
      return decision == .stop ? .stop : .proceed
    }
    if result == .stopped { try save(session, of: id) }
  }

  /// Gives all processes the first one's decision.
  func agree(_ decision: Decision) -> Decision {
    guard processes.size > 1 else { return decision }
    var value = decision.rawValue
    withUnsafeMutableBytes(of: &value) { processes.broadcast($0, from: 0) }
    guard let agreed = Decision(rawValue: value) else { preconditionFailure("the same program runs everywhere") }
    return agreed
  }

  /// To be called on all processes, of which the first writes.
  func save(_ session: TrainingSession, of id: String) throws {
    try session.checkAgreement()
    try processes.together { if processes.isFirst { try session.writeCheckpoint(to: results.checkpoint(id)) } }
  }

  /// Before its first step, or where its checkpoint was written.
  func session(
    of run: PlannedRun, goesOn: Bool, note: @escaping (String) -> Void, warn: (String) -> Void
  ) throws -> TrainingSession {
    let session = try data.session(
      for: run, threads: options.threads, initial: try initialTensors(of: run),
      pair: try run.pair.map { try results.freezing(of: $0) }, processes: processes, note: note)
    if goesOn { for warning in try restore(session, from: results.checkpoint(run.id)) { warn(warning) } }
    return session
  }
}
