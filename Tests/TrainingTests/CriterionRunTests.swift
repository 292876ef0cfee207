import Datasets
import Foundation
import Quantization
import Records
import TestSupport
import Testing
import Training

/// Whole runs under each criterion.
struct CriterionRunTests {
  private static let distance = FreezingSpec(schedule: .linear, startStep: 4, totalSteps: 14, distanceEMA: 0.5)

  /// A run of each criterion, with what it is paired with.
  enum Control: String, CaseIterable, Sendable {
    case distance, random, clock, matchedClock, levelChange, shadow

    var freezing: FreezingSpec {
      var spec = CriterionRunTests.distance
      switch self {
      case .distance: break
      case .random: (spec.criterion, spec.pair) = (.random, "paired")
      case .clock: (spec.criterion, spec.stopStep) = (.clock, 9)
      case .matchedClock: (spec.criterion, spec.pair) = (.clock, "paired")
      case .levelChange: (spec.criterion, spec.unchangedSteps) = (.levelChange, 5)
      case .shadow: spec.isShadow = true
      }
      return spec
    }
  }

  private func spec(_ control: Control, _ method: SmallRuns.Method) -> TrainingSpec {
    SmallRuns.spec(method, freezing: control.freezing)
  }

  private func pair(_ method: SmallRuns.Method) throws -> (decisions: ObservationRecord.Decisions, PairedFreezing) {
    let session = try SmallRuns.finished(spec(.distance, method))
    let decisions = try #require(session.observation?.decisions)
    return (decisions, freezing(session, decisions))
  }

  private func freezing(_ session: TrainingSession, _ decisions: ObservationRecord.Decisions) -> PairedFreezing {
    var begin = 0
    return PairedFreezing(
      freezingSteps: session.layers.filter { $0.freezableWeights > 0 }.map { layer in
        defer { begin += layer.freezableWeights }
        return (layer.name, Array(decisions.steps[begin..<begin + layer.freezableWeights]))
      }, totalSteps: 14)
  }

  private func session(
    _ control: Control, _ method: SmallRuns.Method, _ pair: PairedFreezing, threads: Int = 2
  ) throws -> TrainingSession {
    let spec = spec(control, method)
    return try TrainingSession(
      spec: spec, data: SmallRuns.data, normalization: .init(SmallRuns.data.manifest), threads: threads,
      pair: spec.freezing?.pair == nil ? nil : pair)
  }

  @Test(
    "threads, stops and resumption change no bit", arguments: Control.allCases,
    [SmallRuns.Method.spqatFreeze, .ltsFreeze])
  func reproducible(control: Control, method: SmallRuns.Method) throws {
    let folder = try TemporaryFolder()
    let path = folder.file("checkpoint.h5")
    let (_, pair) = try pair(method)
    let whole = try session(control, method, pair, threads: 1)
    _ = try whole.train { _ in .proceed }
    #expect(whole.observation?.decisions?.steps.contains { $0 > 0 } == true)
    for stops in [[], [1, 6], [4, 9, 12]] {
      var other = try session(control, method, pair, threads: 3)
      for stop in stops {
        #expect(try other.train(onStep: { $0.step == stop ? .stop : .proceed }) == .stopped)
        try other.writeCheckpoint(to: path)
        other = try session(control, method, pair, threads: 1 + stop % 3)
        _ = try other.restoreCheckpoint(from: path)
      }
      _ = try other.train { _ in .proceed }
      #expect(other.tensorBits == whole.tensorBits, "stopped after \(stops)")
      #expect(other.timelessEpochs == whole.timelessEpochs, "stopped after \(stops)")
      #expect(other.observation == whole.observation, "stopped after \(stops)")
      #expect(other.outcome.weightUpdatesEliminated == whole.outcome.weightUpdatesEliminated)
    }
  }

  @Test("in the shadow weights train as in full QAT to the bit", arguments: [SmallRuns.Method.spqatFreeze, .ltsFreeze])
  func shadow(method: SmallRuns.Method) throws {
    let (decisions, pair) = try pair(method)
    let shadow = try session(.shadow, method, pair)
    _ = try shadow.train { _ in .proceed }
    let full = try SmallRuns.finished(SmallRuns.spec(method == .ltsFreeze ? .ltsFullQAT : .spqatFullQAT))
    #expect(shadow.tensorBits == full.tensorBits)
    #expect(shadow.epochs.map(\.testLoss) == full.epochs.map(\.testLoss))
    #expect(shadow.frozenShare == 0 && shadow.outcome.weightUpdatesEliminated == nil)
    let (seen, bare) = (try #require(shadow.observation), try #require(full.observation))
    #expect(seen.levels == bare.levels && seen.settlingSteps == bare.settlingSteps)
    #expect(seen.levelChanges == bare.levelChanges && bare.decisions == nil)
    #expect(try #require(seen.decisions).steps.contains { $0 > 0 })
    // Until something freezes a run that freezes decides the same.
    let first = try #require(decisions.steps.filter { $0 > 0 }.min())
    #expect(seen.decisions?.steps.map { $0 == first } == decisions.steps.map { $0 == first })
  }

  @Test(
    "random freezes as many weights as its pair in every layer and step, and others",
    arguments: [SmallRuns.Method.spqatFreeze, .ltsFreeze])
  func random(method: SmallRuns.Method) throws {
    let (decisions, pair) = try pair(method)
    let session = try session(.random, method, pair)
    _ = try session.train { _ in .proceed }
    let mine = try #require(session.observation?.decisions)
    var begin = 0
    for layer in session.layers where layer.freezableWeights > 0 {
      let range = begin..<begin + layer.freezableWeights
      #expect(mine.steps[range].sorted() == decisions.steps[range].sorted(), "\(layer.name)")
      begin = range.upperBound
    }
    #expect(mine.steps != decisions.steps)
    #expect(freezing(session, mine).eliminated == pair.eliminated)
    #expect(abs(try #require(session.outcome.weightUpdatesEliminated) - pair.eliminated) <= 1e-12)
  }

  @Test(
    "clocks stop where they are told, or eliminate what their pair does to half a step",
    arguments: [SmallRuns.Method.spqatFreeze, .ltsFreeze])
  func clock(method: SmallRuns.Method) throws {
    let (_, pair) = try pair(method)
    let fixed = try session(.clock, method, pair)
    _ = try fixed.train { _ in .proceed }
    // After step 9 of 14, in `lts` a step later.
    let frozen = method == .ltsFreeze ? 4.0 : 5
    #expect(try #require(fixed.outcome.weightUpdatesEliminated) == frozen / 14)
    let matched = try session(.matchedClock, method, pair)
    _ = try matched.train { _ in .proceed }
    #expect(abs(try #require(matched.outcome.weightUpdatesEliminated) - pair.eliminated) <= 0.5 / 14 + 1e-12)
    #expect(Set(try #require(matched.observation?.decisions).steps).count == 1)
  }
}
