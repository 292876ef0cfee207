import Records
import Runs
import Testing

@Suite("Comparison of runs")
struct RunComparisonTests {
  private func record() -> RunRecord {
    var record = RunRecord(
      id: "0123456789ab", kind: .freeze, recipe: RecipeName(rawValue: "spqat"),
      bits: BitWidths(weights: 2, activations: 2), label: "a run",
      axes: [],
      configuration: "{\"batchSize\": 8, \"seed\": 1}", provenance: Provenance())
    var epoch = EpochRecord(epoch: 1, step: 4)
    epoch.trainLoss = .nan
    epoch.seconds.total = 3
    record.epochs = [epoch]
    record.outcome.totalSeconds = 3
    record.tensors = [
      NamedTensor(name: "w", shape: [2], elements: .float([1, .nan])),
      NamedTensor(name: "w.frozen", shape: [2], elements: .uint8([0, 1])),
    ]
    return record
  }

  @Test("equal records, not-a-number included, do not differ")
  func equal() throws {
    #expect(try RunComparison(record(), record(), ignoringTimes: false).differences.isEmpty)
  }

  @Test("times and provenance are told apart from the rest")
  func times() throws {
    var other = record()
    other.epochs[0].seconds.total = 4
    other.outcome.totalSeconds = 4
    other.provenance.threads = 9
    other.provenance.ended = "later"
    let all = try RunComparison(record(), other, ignoringTimes: false).differences
    #expect(Set(all.map(\.section)) == [.provenance, .outcome, .series])
    #expect(try RunComparison(record(), other, ignoringTimes: true).differences.isEmpty)
  }

  @Test("observations are compared number by number")
  func observations() throws {
    var (one, other) = (record(), record())
    let histograms = DistanceHistograms(steps: [1], counts: [0, 2])
    one.observation = ObservationRecord(
      moments: [1], levels: [3, 0], settlingSteps: [0, 0], levelChanges: [0, 0], decisions: nil, distances: histograms,
      meanDistances: nil)
    #expect(try RunComparison(one, one, ignoringTimes: true).differences.isEmpty)
    other.observation = one.observation
    other.observation?.levels[1] = 2
    other.observation?.decisions = .init(steps: [1, 0], levels: [3, 0], distances: [])
    #expect(
      try RunComparison(one, other, ignoringTimes: true).differences == [
        .init(section: .observation, key: "freezing_distances", first: "absent", second: "0 numbers"),
        .init(section: .observation, key: "freezing_levels", first: "absent", second: "2 numbers"),
        .init(section: .observation, key: "freezing_steps", first: "absent", second: "2 numbers"),
        .init(section: .observation, key: "levels", first: "0 at 1", second: "2 (1 of 2 numbers differ)"),
      ])
  }

  @Test("any other change is found with its place", arguments: 0..<6)
  func changes(which: Int) throws {
    var other = record()
    switch which {
    case 0: other.configuration = "{\"batchSize\": 16, \"seed\": 1}"
    case 1: other.epochs[0].trainLoss = 1
    case 2: other.tensors[0] = NamedTensor(name: "w", shape: [2], elements: .float([1, -0.0]))
    case 3: other.tensors.removeLast()
    case 4: other.outcome.finalTopOne = 0.5
    default: other.tensors[1] = NamedTensor(name: "w.frozen", shape: [2, 1], elements: .uint8([0, 1]))
    }
    let differences = try RunComparison(record(), other, ignoringTimes: true).differences
    let expected: [RunComparison.Difference] = [
      .init(section: .configuration, key: "batchSize", first: "8", second: "16"),
      .init(section: .series, key: "epochs[0].train_loss", first: "nan", second: "1"),
      .init(section: .tensors, key: "w", first: "nan at 1", second: "-0.0 (1 of 2 elements differ)"),
      .init(section: .tensors, key: "w.frozen", first: "present", second: "absent"),
      .init(section: .outcome, key: "final_top1", first: "null", second: "0.5"),
      .init(section: .tensors, key: "w.frozen", first: "shape [2]", second: "shape [2, 1]"),
    ]
    #expect(differences == [expected[which]])
  }
}
