import Foundation
import Kernels
import Networks
import Quantization
import Records
import TestSupport
import Testing
import Training

/// What runs record of their weights' levels.
struct ObservationTests {
  /// Everything that an observation is made of, kept of every step, by weight in the files' order.
  private struct Log {
    var levels: [[UInt8]] = []
    var distances: [[Float]] = []
    var means: [[Float]] = []
    var frozen: [[Bool]] = []
    var layerSizes: [Int] = []
  }

  private func logged(_ spec: TrainingSpec) throws -> (TrainingSession, Log) {
    let session = try SmallRuns.session(spec)
    var log = Log()
    let layers = session.learner.network.convolutions.filter { $0.freezing != nil }
    log.layerSizes = layers.map { $0.freezing!.count }
    _ = try session.train { _ in
      var (levels, distances, means, frozen): ([UInt8], [Float], [Float], [Bool]) = ([], [], [], [])
      for layer in layers {
        let (freezing, quantizer) = (layer.freezing!, layer.weightQuantizer!)
        let part = layer.state[0]
        levels += part.export(freezing.previousIndex).map { UInt8(Float($0) - quantizer.grid.lowest) }
        distances += part.export(freezing.history.distance).map { $0 / quantizer.spacing }
        means += part.export(freezing.distance).map { $0 / quantizer.spacing }
        frozen += part.export(freezing.frozen).map { $0 != 0 }
      }
      log.levels.append(levels)
      log.distances.append(distances)
      log.means.append(means)
      log.frozen.append(frozen)
      return .proceed
    }
    return (session, log)
  }

  @Test("what is recorded is what happened in every step", arguments: SmallRuns.Method.allCases)
  func record(method: SmallRuns.Method) throws {
    let (session, log) = try logged(SmallRuns.spec(method))
    guard method != .fullPrecision else {
      #expect(session.observation == nil)
      return
    }
    let observation = try #require(session.observation)
    let steps = log.levels.count
    #expect(
      observation.moments == (method == .ltsFreeze || method == .ltsFullQAT ? [1, 5, 10, 14] : [1, 4, 8, 12, 14]))
    #expect(observation.distances.steps == observation.moments)
    #expect(session.layers.reduce(0) { $0 + $1.freezableWeights } == observation.weights)
    for weight in 0..<observation.weights {
      let changes = (1..<steps).filter { log.levels[$0][weight] != log.levels[$0 - 1][weight] }
      #expect(observation.settlingSteps[weight] == Int32((changes.last ?? -1) + 1))
      #expect(observation.levelChanges[weight] == Int32(changes.count))
      for (index, step) in observation.moments.enumerated() {
        #expect(observation.level(weight, at: index) == log.levels[step - 1][weight])
      }
      #expect(observation.finalLevel(weight) == log.levels[steps - 1][weight])
    }
    #expect(observation.levelChanges.contains { $0 > 0 })
    try checkDecisions(observation, log, decides: method == .spqatFreeze || method == .ltsFreeze)
    checkHistograms(observation.distances, log.distances, observation, log)
    if let means = observation.meanDistances {
      // In `lts` no average is kept in the first forward.
      let kept = method == .ltsFreeze ? [log.distances[0]] + log.means.dropFirst() : log.means
      checkHistograms(means, kept, observation, log)
    }
  }

  private func checkDecisions(_ observation: ObservationRecord, _ log: Log, decides: Bool) throws {
    #expect((observation.decisions != nil) == decides && (observation.meanDistances != nil) == decides)
    guard let decisions = observation.decisions else { return }
    var atFreezing = [Int32](repeating: 0, count: log.layerSizes.count * DistanceBins.count)
    var begin = 0
    for (layer, size) in log.layerSizes.enumerated() {
      for weight in begin..<begin + size {
        let step = log.frozen.firstIndex { $0[weight] }
        #expect(decisions.steps[weight] == Int32((step ?? -1) + 1))
        #expect(decisions.levels[weight] == (step.map { log.levels[$0][weight] } ?? 0))
        if let step {
          atFreezing[layer * DistanceBins.count + DistanceBins.bin(of: log.distances[step][weight])] += 1
        }
      }
      begin += size
    }
    #expect(decisions.distances == atFreezing)
    #expect(decisions.steps.contains { $0 > 0 })
  }

  private func checkHistograms(
    _ histograms: DistanceHistograms, _ values: [[Float]], _ observation: ObservationRecord, _ log: Log
  ) {
    #expect(histograms.layers == log.layerSizes.count)
    for (moment, step) in histograms.steps.enumerated() {
      var begin = 0
      for (layer, size) in log.layerSizes.enumerated() {
        var expected: [[Int]: Int] = [:]
        for weight in begin..<begin + size {
          let isFinal = log.levels[step - 1][weight] == log.levels[log.levels.count - 1][weight]
          let bin = DistanceBins.bin(of: values[step - 1][weight])
          expected[[bin, log.frozen[step - 1][weight] ? 1 : 0, isFinal ? 1 : 0], default: 0] += 1
        }
        begin += size
        for bin in 0..<DistanceBins.count {
          for (frozen, isFinal) in [(false, false), (false, true), (true, false), (true, true)] {
            let count = histograms.count(moment: moment, layer: layer, bin: bin, frozen: frozen, endsWithLevel: isFinal)
            let key = [bin, frozen ? 1 : 0, isFinal ? 1 : 0]
            if count != expected[key] ?? 0 { Issue.record("step \(step), layer \(layer), \(key): \(count)") }
          }
        }
      }
    }
  }

  @Test(
    "a resumed run records what an uninterrupted one does, on any number of threads",
    arguments: SmallRuns.Method.allCases)
  func resume(method: SmallRuns.Method) throws {
    let folder = try TemporaryFolder()
    let path = folder.file("checkpoint.h5")
    let spec = SmallRuns.spec(method)
    let whole = try SmallRuns.finished(spec).observation
    var session = try SmallRuns.session(spec)
    for stop in [1, 2, 6, 12] {
      #expect(try session.train(onStep: { $0.step == stop ? .stop : .proceed }) == .stopped)
      #expect(session.observation == nil)
      try session.writeCheckpoint(to: path)
      session = try SmallRuns.session(spec, threads: 1 + stop % 3)
      _ = try session.restoreCheckpoint(from: path)
    }
    _ = try session.train { _ in .proceed }
    #expect(session.observation == whole)
  }

  @Test("distances of an epoch are known at its end", arguments: SmallRuns.Method.allCases)
  func liveDistances(method: SmallRuns.Method) throws {
    let session = try SmallRuns.session(SmallRuns.spec(method))
    var live: [WeightDistances] = []
    var last = 0
    _ = try session.train { report in
      if report.finishedEpoch {
        live += session.distances(in: last + 1...report.step)
        last = report.step
      }
      return .proceed
    }
    let recorded = session.observation?.distances
    #expect(live == recorded?.totals(in: 1...last) ?? [])
    #expect(live.isEmpty == (method == .fullPrecision))
    #expect(live.map(\.step) == recorded?.steps ?? [])
    #expect(live.allSatisfy { ($0.unfrozen + $0.frozen).reduce(0, +) == session.observation?.weights })
  }

  @Test("moments: step 1, the ends of the first ten epochs and evenly of others, 25 at most, and the last")
  func moments() {
    func moments(_ epochs: Int, stepsPerEpoch: Int = 7) -> [Int] {
      ObservationRecord.moments(stepsPerEpoch: stepsPerEpoch, totalSteps: epochs * stepsPerEpoch)
    }
    #expect(moments(3) == [1, 7, 14, 21])
    #expect(moments(3, stepsPerEpoch: 1) == [1, 2, 3])
    #expect(ObservationRecord.moments(stepsPerEpoch: 7, totalSteps: 16) == [1, 7, 14, 16])
    #expect(ObservationRecord.moments(stepsPerEpoch: 7, totalSteps: 1) == [1])
    #expect(moments(24) == [1] + (1...24).map { 7 * $0 })
    for epochs in [25, 26, 60, 400] {
      let chosen = moments(epochs)
      #expect(chosen.count == 25 && chosen[..<11] == [1] + (1...10).map { 7 * $0 } && chosen[24] == 7 * epochs)
      let gaps = zip(chosen.dropFirst(11), chosen.dropFirst(12)).map { $1 - $0 }
      #expect(gaps.max()! - gaps.min()! <= 7 && gaps.min()! > 0)
    }
    #expect(ObservationRecord.distanceSteps(among: moments(400)).count == 10)
    #expect(ObservationRecord.distanceSteps(among: [1, 5, 9]) == [1, 5, 9])
    #expect(ObservationRecord.distanceSteps(among: Array(1...19)) == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19])
  }

  @Test("bins are closed above, and what is beyond a spacing has one of its own")
  func bins() {
    #expect(DistanceBins.bin(of: 0) == 0 && DistanceBins.bin(of: 0.005) == 0 && DistanceBins.bin(of: 0.0051) == 1)
    #expect(DistanceBins.bin(of: 0.1) == 19 && DistanceBins.bin(of: 0.5) == 99 && DistanceBins.bin(of: 1) == 199)
    for beyond: Float in [1.001, 7, .infinity, .nan] { #expect(DistanceBins.bin(of: beyond) == 200) }
    for (bin, edge) in DistanceBins.upperEdges.dropLast().enumerated() {
      #expect(DistanceBins.bin(of: Float(edge)) == bin)
    }
  }
}
