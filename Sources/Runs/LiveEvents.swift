import Diagnostics
import Interchange
import Training

/// Keeps TensorBoard's file of a run up to date while it trains. What goes wrong with it is a warning, ends the file, and costs
/// the run nothing.
final class LiveEvents {
  private let session: TrainingSession
  private let warn: (String) -> Void
  private var log: TensorBoardLog?

  /// - Parameter folder: nil: writes nothing.
  init(
    _ run: PlannedRun, _ session: TrainingSession, started: String, folder: String?, warn: @escaping (String) -> Void
  ) {
    self.session = session
    self.warn = warn
    guard let folder else { return }
    attempt {
      log = try TensorBoardLog(
        in: folder, id: run.id, label: run.label, started: started, epochs: session.epochs, distances: session.distances
      )
    }
  }

  /// Appends the epochs that have ended since.
  func update() { attempt { try log?.update(session.epochs, distances: session.distances) } }

  private func attempt(_ write: () throws -> Void) {
    do {
      try write()
    } catch {
      log = nil
      warn("\(error); the run goes on without TensorBoard, and 'spqat export --format tensorboard' makes up for it")
    }
  }
}
