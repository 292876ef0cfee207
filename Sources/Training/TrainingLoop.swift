import Datasets
import Kernels
import Networks

/// Takes a learner through its steps and tells the observers of each.
struct TrainingLoop {
  let learner: Learner
  let batches: any BatchSource
  let totalSteps: Int
  let observers: [any TrainingObserver]

  /// What to do after a step.
  enum Directive {
    case proceed
    case stop
    case diverge(String)
  }

  enum End {
    case finished
    case stopped
    /// Some number is not finite, or no number to go on with; why, in one line. Nothing after it was computed.
    case diverged(String)
  }

  /// Runs from where the learner is to the last step, or until `afterStep`, which the observers come before, says
  /// otherwise.
  func run(afterStep: (TrainingStep) throws -> Directive) throws -> End {
    while learner.step < totalSteps {
      let start = StepClock.now()
      let bytesSent = learner.network.backend.processes.bytesSent
      let (epoch, batch) = learner.step.quotientAndRemainder(dividingBy: batches.batchCount)
      if batch == 0 { for observer in observers { observer.willBeginEpoch(learner) } }
      learner.resetSeconds()

      let images = try learner.load(batches, epoch: epoch, batch: batch)
      if learner.needsQuantizerInitialization { learner.initializeQuantizers(images: images) }
      let result = learner.computeGradients(images: images)
      guard result.loss.isFinite else { return .diverged("the loss of step \(learner.step) is not finite") }
      learner.applyGradients()
      if let fault = learner.network.emptyRange { return .diverged("step \(learner.step): \(fault)") }

      let step = TrainingStep(
        number: learner.step, epoch: epoch, images: images, loss: result.loss, topOne: result.topOne,
        seconds: StepClock.now() - start, bytesSent: learner.network.backend.processes.bytesSent - bytesSent,
        endsEpoch: batch + 1 == batches.batchCount || learner.step == totalSteps)
      for observer in observers { observer.didStep(step, learner) }
      switch try afterStep(step) {
      case .proceed: continue
      case .stop: if learner.step < totalSteps { return .stopped }
      case .diverge(let reason): return .diverged(reason)
      }
    }
    return .finished
  }
}
