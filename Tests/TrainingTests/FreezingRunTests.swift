import Foundation
import Networks
import Quantization
import Records
import Tensor
import Testing
import Training

/// What freezing promises, over whole training runs.
struct FreezingRunTests {
  private static let schedules: [ThresholdSchedule] = [.fixed(0.2), .linear, .sine]

  @Test(
    "a frozen weight never moves, the frozen count never falls, and nothing freezes in the warm-up",
    arguments: [SmallRuns.Method.spqatFreeze, .ltsFreeze], schedules)
  func invariants(method: SmallRuns.Method, schedule: ThresholdSchedule) throws {
    let total = 14
    let start = 4
    let spec = SmallRuns.spec(
      method, totalSteps: total,
      freezing: FreezingSpec(schedule: schedule, startStep: start, totalSteps: total, distanceEMA: 0.5))
    let session = try SmallRuns.session(spec)
    let layers = session.learner.network.convolutions
    // At the step where each weight froze, its value.
    var frozenAt: [[Int: Float]] = layers.map { _ in [:] }
    var before = layers.map(\.weight.value.array)
    var lastCount = 0
    // `lts` counts one forward later.
    let firstFreezing = method == .ltsFreeze ? start + 2 : start + 1
    let result = try session.train { report in
      let count = session.learner.network.frozenWeights
      #expect(count >= lastCount)
      #expect((count == 0) == (report.step < firstFreezing), "step \(report.step): \(count) frozen")
      lastCount = count
      for (index, layer) in layers.enumerated() {
        guard let freezing = layer.freezing else { continue }
        #expect(freezing.frozenCount == freezing.frozen.filter { $0 != 0 }.count)
        for weight in 0..<freezing.count {
          if freezing.frozen[weight] != 0 {
            // The value that the forward pass used: its update in that very step is dropped.
            let expected = frozenAt[index][weight] ?? before[index][weight]
            frozenAt[index][weight] = expected
            #expect(layer.weight.value[weight] == expected, "\(layer.name)[\(weight)] moved in step \(report.step)")
            #expect(layer.weight.gradient[weight] == 0)
          } else {
            #expect(frozenAt[index][weight] == nil, "\(layer.name)[\(weight)] thawed in step \(report.step)")
          }
        }
      }
      before = layers.map(\.weight.value.array)
      return .proceed
    }
    #expect(result == .finished)
    #expect(lastCount > 0)
    #expect(session.epochs.last!.frozenShare == session.frozenShare)
    if schedule != .fixed(0.2) {
      // At λ = 1 all but those outside the range are frozen, in `lts` a step after the end of the schedule.
      #expect(session.frozenShare > (method == .ltsFreeze ? 0.8 : 0.9))
    }
    let savings = try #require(session.outcome.weightUpdatesEliminated)
    #expect(savings > 0 && savings < 1)
  }

  @Test("unfrozen weights go on learning")
  func unfrozenMove() throws {
    let spec = SmallRuns.spec(
      .spqatFreeze, totalSteps: 8,
      freezing: FreezingSpec(schedule: .fixed(0.1), startStep: 2, totalSteps: 8, distanceEMA: 0.5))
    let session = try SmallRuns.session(spec)
    let layer = session.learner.network.convolutions[2]
    _ = try session.train { $0.step == 6 ? .stop : .proceed }
    let before = layer.weight.value.array
    _ = try session.train { _ in .stop }
    for weight in before.indices where layer.freezing!.frozen[weight] == 0 {
      #expect(layer.weight.value[weight] != before[weight])
    }
    #expect(layer.freezing!.frozenCount < layer.freezing!.count)
  }

  @Test("full QAT freezes nothing", arguments: [SmallRuns.Method.spqatFullQAT, .ltsFullQAT])
  func fullQAT(method: SmallRuns.Method) throws {
    let session = try SmallRuns.finished(SmallRuns.spec(method, totalSteps: 6))
    #expect(session.frozenShare == 0)
    #expect(session.outcome.weightUpdatesEliminated == nil)
    #expect(session.epochs.allSatisfy { $0.threshold == nil })
  }

  @Test("a freezing run takes full QAT's steps until something freezes", arguments: [false, true])
  func sameUntilFreezing(isLTS: Bool) throws {
    let freezing = FreezingSpec(schedule: .fixed(0.5), startStep: 5, totalSteps: 8, distanceEMA: 0)
    let runs = try [
      SmallRuns.spec(isLTS ? .ltsFullQAT : .spqatFullQAT, totalSteps: 8),
      SmallRuns.spec(isLTS ? .ltsFreeze : .spqatFreeze, totalSteps: 8, freezing: freezing),
    ].map { try SmallRuns.session($0) }
    var losses: [[Double]] = [[], []]
    for (index, session) in runs.enumerated() {
      _ = try session.train { report in
        losses[index].append(report.loss)
        return .proceed
      }
    }
    // The step in which weights freeze still has the loss of the forward before.
    let same = isLTS ? 7 : 6
    #expect(losses[0].prefix(same) == losses[1].prefix(same))
    #expect(losses[0].last != losses[1].last)
  }

  @Test("the loss falls in every method", arguments: SmallRuns.Method.allCases)
  func learns(method: SmallRuns.Method) throws {
    var spec = SmallRuns.spec(
      method, totalSteps: 100,
      freezing: FreezingSpec(schedule: .linear, startStep: 40, totalSteps: 160, distanceEMA: 0.9), weightBits: 4)
    spec.learningRateSchedule = .constant
    spec.augment = false
    let session = try SmallRuns.finished(spec)
    let first = try #require(session.epochs.first?.trainLoss)
    let last = try #require(session.epochs.last?.trainLoss)
    #expect(last < 0.6 * first)
    #expect(session.epochs.last!.testTopOne! > 0.5)
  }
}
