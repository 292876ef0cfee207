import Diagnostics
import Foundation
import Interchange
import Records
import TestSupport
import Testing

@Suite("Event files for TensorBoard")
struct TensorBoardTests {
  @Test("checksums are those of RFC 3720")
  func checksum() {
    let known: [(bytes: [UInt8], sum: UInt32)] = [
      (Array("123456789".utf8), 0xE306_9283), ([], 0), (Array(repeating: 0, count: 32), 0x8A91_36AA),
      (Array(repeating: 0xFF, count: 32), 0x62A8_AB43), (Array(0..<32), 0x46DD_794E),
    ]
    for (bytes, sum) in known {
      #expect(CRC32C.checksum(Data(bytes)) == sum)
      #expect(CRC32C.checksum(Data([7] + bytes).dropFirst()) == sum)
    }
  }

  private static let started = "2026-01-02T03:04:05Z"

  /// Three epochs of four steps, half of the weights frozen after the first.
  private static let run: RunRecord = {
    var provenance = Provenance()
    provenance.started = started
    var run = RunRecord(
      id: "abc", kind: .freeze, recipe: RecipeName(rawValue: "spqat"), bits: BitWidths(weights: 2, activations: 2),
      label: "W2A2 freeze start=25% λ/é seed=1", axes: [], configuration: "{}", provenance: provenance)
    run.epochs = (1...3).map { number in
      var epoch = EpochRecord(epoch: number, step: number * 4)
      epoch.trainLoss = 2 / Double(number)
      epoch.testTopOne = number == 2 ? nil : 0.25 * Double(number)
      epoch.learningRate = 0.125
      epoch.frozenShare = number == 1 ? 0 : 0.5
      epoch.seconds.total = 10
      return epoch
    }
    let steps = [1, 4, 8, 12]
    var counts = [Int32](repeating: 0, count: steps.count * 2 * DistanceBins.count * 4)
    func add(_ count: Int32, moment: Int, layer: Int, bin: Int, kind: Int) {
      counts[((moment * 2 + layer) * DistanceBins.count + bin) * 4 + kind] += count
    }
    for moment in 0..<4 {
      add(5, moment: moment, layer: 0, bin: 0, kind: moment < 2 ? 0 : 2)
      add(3, moment: moment, layer: 1, bin: 0, kind: moment < 2 ? 1 : 3)
      add(6, moment: moment, layer: 1, bin: 39, kind: 0)
      add(2, moment: moment, layer: 0, bin: DistanceBins.count - 1, kind: 1)
    }
    run.observation = ObservationRecord(
      moments: steps, levels: [], settlingSteps: [], levelChanges: [], decisions: nil,
      distances: DistanceHistograms(steps: steps, counts: counts), meanDistances: nil)
    return run
  }()

  private static let name = "W2A2_freeze_start=25%_____seed=1-abc"

  private func log(_ folder: String, epochs: Int, started: String = started) throws -> TensorBoardLog {
    try TensorBoardLog(
      in: folder, id: Self.run.id, label: Self.run.label, started: started,
      epochs: Array(Self.run.epochs.prefix(epochs)),
      distances: { Self.run.observation!.distances.totals(in: $0) })
  }

  private func update(_ log: TensorBoardLog, epochs: Int) throws {
    try log.update(Array(Self.run.epochs.prefix(epochs))) { Self.run.observation!.distances.totals(in: $0) }
  }

  @Test("a run that is killed and resumed at any epoch has the file of an undisturbed one, which is the export")
  func resumed() throws {
    let folder = try TemporaryFolder()
    let paths = try RunExport.tensorboard.write(Self.run, to: folder.file("exported"))
    #expect(paths == [folder.file("exported/\(Self.name)/events.out.tfevents.spqat")])
    let expected = try Data(contentsOf: URL(fileURLWithPath: paths[0]))
    // Epochs that the checkpoint has, epochs that were trained before the kill, bytes that were lost.
    for (kept, written, lost) in [(0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 2, 0), (1, 2, 7), (2, 3, 1), (0, 3, 40)] {
      let place = folder.file("\(kept)-\(written)-\(lost)")
      let first = try log(place, epochs: 0)
      for epochs in 0...written { try update(first, epochs: epochs) }
      if lost > 0 {
        let file = try #require(FileHandle(forWritingAtPath: first.path))
        try file.truncate(atOffset: try file.seekToEnd() - UInt64(lost))
      }
      let second = try log(place, epochs: kept)
      for epochs in kept...3 { try update(second, epochs: epochs) }
      #expect(try Data(contentsOf: URL(fileURLWithPath: second.path)) == expected, "\(kept) \(written) \(lost)")
      // Begun anew, at another time.
      let third = try log(place, epochs: 0, started: "2026-01-02T04:04:05Z")
      try update(third, epochs: 3)
      let other = try Data(contentsOf: URL(fileURLWithPath: third.path))
      #expect(other.count == expected.count && other != expected)
    }
  }

  @Test("what cannot be a folder of event files is named in one line")
  func unusable() throws {
    let folder = try TemporaryFolder()
    let file = try folder.write("notes", to: "file")
    #expect(
      throws: Diagnostic(
        cause: .system, "\(file)/\(Self.name)", "cannot be made", remedy: "choose another folder for TensorBoard")
    ) { try log(file, epochs: 0) }
    let path = folder.file("\(Self.name)/events.out.tfevents.spqat")
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    #expect(throws: Diagnostic(cause: .system, path, "cannot create the file: Is a directory")) {
      try log(folder.path, epochs: 0)
    }
  }

  // What read_tensorboard.py prints.
  private struct Shown: Decodable {
    struct Run: Decodable {
      struct Histogram: Decodable {
        var step: Int
        /// Left, right, count.
        var buckets: [[Double]]
      }
      /// Step, time, value.
      var scalars: [String: [[Double]]]
      var histograms: [String: [Histogram]]
    }
    var moments: [[String: Run]]
    var fresh: [String: Run]
    /// Weights and the sum of their distances.
    var sums: [String: [String: [[Double]]]]
  }

  @Test(
    "TensorBoard shows every point once, in a file that grows, is cut off and goes on",
    .enabled(
      if: PythonInterpreter.has("tensorboard"), "no Python with tensorboard: `make test` makes one where it can"))
  func read() throws {
    let folder = try TemporaryFolder()
    let live = folder.file("live")
    var copies: [String] = []
    func copy() throws {
      copies.append(folder.file("copy-\(copies.count)"))
      try FileManager.default.copyItem(atPath: live, toPath: copies.last!)
    }
    let first = try log(live, epochs: 0)
    for epochs in 1...2 {
      try update(first, epochs: epochs)
      try copy()
    }
    let second = try log(live, epochs: 1)
    try copy()
    try update(second, epochs: 3)
    try copy()

    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("read_tensorboard.py").path
    let (status, output) = try PythonInterpreter.run(["-W", "ignore", script] + copies)
    try #require(status == 0, "\(output)")
    let shown = try JSONDecoder().decode(Shown.self, from: Data(output.utf8))
    let losses = shown.moments.map { $0[Self.name]?.scalars["loss/train"]?.map { Int($0[0]) } }
    #expect(losses == [[4], [4, 8], [4, 8], [4, 8, 12]])
    for run in [try #require(shown.moments[3][Self.name]), try #require(shown.fresh[Self.name])] {
      let start = try Date(Self.started, strategy: .iso8601).timeIntervalSince1970
      #expect(
        run.scalars["loss/train"] == [
          [4, start + 10, 2], [8, start + 20, 1], [12, start + 30, Double(Float(2) / 3)],
        ])
      #expect(run.scalars["top1/test"] == [[4, start + 10, 0.25], [12, start + 30, 0.75]])
      #expect(run.scalars["learning_rate"]?.map { $0[2] } == [0.125, 0.125, 0.125])
      #expect(run.scalars["freezing/frozen_share"]?.map { $0[2] } == [0, 0.5, 0.5])
      #expect(run.scalars["epoch"]?.map { $0[2] } == [1, 2, 3])
      #expect(run.scalars["seconds/epoch"]?.map { $0[2] } == [10, 10, 10])
      // Of what is not known there is no point.
      #expect(run.scalars["loss/test"] == nil && run.scalars["freezing/threshold"] == nil)
      let unfrozen = try #require(run.histograms["distance_to_level/unfrozen"])
      #expect(unfrozen.map(\.step) == [1, 4, 8, 12])
      let frozen = try #require(run.histograms["distance_to_level/frozen"])
      #expect(frozen.map(\.step) == [8, 12])
      #expect(frozen.allSatisfy { $0.buckets.filter { $0[2] > 0 } == [[0, Double(Float(0.005)), 8]] })
      let full = unfrozen[0].buckets.filter { $0[2] > 0 }
      #expect(full.map { $0[2] } == [8, 6, 2])
      #expect(full[1][0...1].map { Float($0) } == [0.195, 0.2])
      #expect(full[2][0...1].map { Float($0) } == [1, 1.005])
    }
    let sums = try #require(shown.sums[Self.name]?["distance_to_level/unfrozen"])
    try #require(sums.map { $0[0] } == [16, 16, 8, 8])
    #expect(abs(sums[3][1] - (6 * 0.1975 + 2 * 1.0025)) < 1e-9)
  }
}
