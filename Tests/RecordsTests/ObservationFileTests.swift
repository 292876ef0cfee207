import Foundation
import Records
import Storage
import TestSupport
import Testing

@Suite("Observations in run files")
struct ObservationFileTests {
  /// Three weights of one layer over four steps; levels kept of steps 1, 2 and 4.
  private static let observation: ObservationRecord = {
    func histograms(_ rows: [(moment: Int, bin: Int, frozen: Bool, isFinal: Bool, count: Int32)]) -> DistanceHistograms
    {
      var counts = [Int32](repeating: 0, count: 2 * DistanceBins.count * 4)
      for row in rows {
        counts[((row.moment * DistanceBins.count + row.bin) * 2 + (row.frozen ? 1 : 0)) * 2 + (row.isFinal ? 1 : 0)] =
          row.count
      }
      return DistanceHistograms(steps: [1, 4], counts: counts)
    }
    var atFreezing = [Int32](repeating: 0, count: DistanceBins.count)
    atFreezing[7] = 1
    return ObservationRecord(
      moments: [1, 2, 4], levels: [0, 1, 1, 2, 2, 2, 3, 0, 3], settlingSteps: [2, 0, 4], levelChanges: [1, 0, 3],
      decisions: .init(steps: [0, 3, 0], levels: [0, 2, 0], distances: atFreezing),
      distances: histograms([
        (0, 3, false, false, 1), (0, 199, false, true, 2), (1, 0, false, true, 2), (1, 7, true, true, 1),
      ]),
      meanDistances: histograms([(0, 200, false, true, 3), (1, 8, true, true, 3)]))
  }()

  private static func record() -> RunRecord {
    var record = RunRecord.sample
    record.layers[0].freezableWeights = 3
    record.observation = observation
    return record
  }

  @Test("An observation comes back as written where it is asked for, with the layers' places")
  func roundTrip() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("run.h5")
    let record = Self.record()
    try RunFile.write(record, to: path)
    let read = try RunFile.read(path, includingTensors: true, includingObservation: true)
    #expect(read == record)
    #expect(try RunFile.read(path, includingTensors: true).observation == nil)
    #expect(read.freezableRanges.map(\.layer) == ["conv1"] && read.freezableRanges.map(\.range) == [0..<3])
    let observation = try #require(read.observation)
    #expect(observation.weights == 3)
    #expect((0..<3).map { observation.level(2, at: $0) } == [3, 0, 3] && observation.finalLevel(0) == 1)
    #expect(observation.distances.layers == 1)
    #expect(observation.distances.count(moment: 0, layer: 0, bin: 199, frozen: false, endsWithLevel: true) == 2)
    #expect(observation.distances.count(moment: 1, layer: 0, bin: 7, frozen: true, endsWithLevel: true) == 1)
    #expect(observation.distances.count(moment: 1, layer: 0, bin: 7, frozen: false, endsWithLevel: true) == 0)
  }

  @Test("Full QAT records no decisions, and full precision and earlier files nothing")
  func absent() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("run.h5")
    var record = Self.record()
    record.observation?.decisions = nil
    record.observation?.meanDistances = nil
    try RunFile.write(record, to: path)
    #expect(try RunFile.read(path, includingTensors: true, includingObservation: true) == record)
    try RunFile.write(.sample, to: path)
    #expect(try RunFile.read(path, includingTensors: true, includingObservation: true) == .sample)
  }

  @Test("Every dataset says what it holds and names its dimensions")
  func descriptions() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("run.h5")
    try RunFile.write(Self.record(), to: path)
    let group = try HDF5File.open(path).root.group("observation")
    let names = try group.datasetNames()
    #expect(names.count == 11)
    for name in names {
      #expect(try !group.stringAttribute("description", on: name).isEmpty, "\(name)")
      #expect(try group.stringAttributes("dimensions", on: name).count == group.shape(name).count, "\(name)")
    }
  }

  @Test("Observations that no run can have are refused with their place")
  func impossible() throws {
    func message(_ change: (inout ObservationRecord) -> Void) throws -> String {
      let folder = try TemporaryFolder()
      var record = Self.record()
      change(&record.observation!)
      let path = folder.file("run.h5")
      try RunFile.write(record, to: path)
      do {
        _ = try RunFile.read(path, includingTensors: false, includingObservation: true)
        return "no error"
      } catch {
        return "\(error)".replacingOccurrences(of: folder.path + "/", with: "")
      }
    }
    #expect(
      try message { $0.settlingSteps[1] = 5 }
        == "run.h5: /observation/settling_steps: has the value 5; allowed: 0 to 4")
    #expect(
      try message { $0.levelChanges[1] = -1 }
        == "run.h5: /observation/level_changes: has the value -1; allowed: 0 to 4")
    #expect(
      try message { $0.moments = [1, 4, 2] }
        == "run.h5: /observation/moments: are no steps from 1 in ascending order")
    #expect(
      try message { $0.moments = [1, 2, 5] }
        == "run.h5: /observation/distance_steps: has steps that are not among the moments")
    #expect(
      try message { $0.distances.counts[0] = 4 }
        == "run.h5: /observation/distances: has the value 4; allowed: 0 to 3")
  }
}
