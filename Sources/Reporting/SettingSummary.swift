public import Records
import Statistics

/// What the finished runs of a setting amount to, beside those of its baseline.
struct SettingSummary {
  let setting: Setting
  /// Percent at the last epoch, a value a seed.
  let topOne: Summary?
  /// Percent; chosen on test data, so beside the result and never instead of it.
  let bestTopOne: Summary?
  /// Percent.
  let weightUpdatesEliminated: Summary?
  /// Percent.
  let backwardFLOPsEliminated: Summary?
  /// The baseline's setting; nil where it is missing, or this is it, or nothing can be compared (full precision).
  let baseline: Setting?
  /// Points of top-1: this setting's less the baseline's, a value for each seed that both have finished, or for each
  /// full-precision network.
  let difference: Summary?
  let backward: Seconds
  let training: Seconds
  let published: String

  /// Wall-clock seconds of a run.
  enum Seconds {
    /// - Parameters:
    ///   - mean: of the setting's runs.
    ///   - ratio: this over the baseline's run of the same seed, a value a seed; nil without a baseline.
    case measured(mean: Double, ratio: Summary?)
    case notMeasured
  }

  /// - Parameter baseline: nil where the setting is compared with nothing.
  init(_ setting: Setting, baseline: Setting?) {
    self.setting = setting
    self.baseline = baseline
    let finished = setting.finished
    func percent(_ value: (RunOutcome) -> Double?) -> Summary? {
      Summary(finished.compactMap { value($0.outcome).map { $0 * 100 } })
    }
    topOne = percent(\.finalTopOne)
    bestTopOne = percent(\.bestTopOne)
    weightUpdatesEliminated = percent(\.weightUpdatesEliminated)
    backwardFLOPsEliminated = percent(\.backwardFLOPsEliminated)
    let pairs = baseline.map { Self.pairs(finished, $0) } ?? []
    difference = Summary(Self.differences(pairs))
    backward = Self.seconds(finished, pairs, hasBaseline: baseline != nil, \.outcome.backwardSeconds)
    training = Self.seconds(finished, pairs, hasBaseline: baseline != nil, \.trainingSeconds)
    published = PublishedClaims.cell(for: setting)
  }

  /// Points of top-1, one for each run of the baseline: several runs that are compared with the same one are averaged
  /// first, since they are no pairs of their own.
  private static func differences(_ pairs: [(RunRecord, RunRecord)]) -> [Double] {
    var baselines: [RunRecord] = []
    for (_, baseline) in pairs where !baselines.contains(where: { $0.id == baseline.id }) { baselines.append(baseline) }
    return baselines.compactMap { baseline in
      guard let reference = baseline.outcome.finalTopOne else { return nil }
      let values = pairs.filter { $0.1.id == baseline.id }.compactMap(\.0.outcome.finalTopOne)
      return values.isEmpty ? nil : (values.reduce(0, +) / Double(values.count) - reference) * 100
    }
  }

  /// Finished runs and what they are compared with: the run of the same seed and parent, or the full-precision run that
  /// they started from, which several may share.
  static func pairs(_ runs: [RunRecord], _ baseline: Setting) -> [(RunRecord, RunRecord)] {
    runs.compactMap { run in
      baseline.finished.first { other in
        baseline.kind == .fullPrecision
          ? other.id == run.provenance.parentRunID
          : other.provenance.seed == run.provenance.seed && other.provenance.parentRunID == run.provenance.parentRunID
      }.map { (run, $0) }
    }
  }

  /// Seconds mean something only where every run had the machine to itself, and ratios only on the same machine.
  private static func seconds(
    _ runs: [RunRecord], _ pairs: [(RunRecord, RunRecord)], hasBaseline: Bool, _ value: (RunRecord) -> Double
  ) -> Seconds {
    let involved = runs + pairs.map(\.1)
    let means = runs.map(value)
    guard !runs.isEmpty, involved.allSatisfy(\.provenance.isExclusive), means.allSatisfy({ $0 > 0 }),
      !hasBaseline || (!pairs.isEmpty && Set(involved.map(Machine.init)).count == 1),
      pairs.allSatisfy({ value($0.1) > 0 })
    else { return .notMeasured }
    return .measured(
      mean: means.reduce(0, +) / Double(means.count), ratio: Summary(pairs.map { value($0.0) / value($0.1) }))
  }

  private struct Machine: Hashable {
    let cpuModel: String
    let instructionSet: String
    let threads: Int

    init(_ run: RunRecord) {
      cpuModel = run.provenance.cpuModel
      instructionSet = run.provenance.instructionSet
      threads = run.provenance.threads
    }
  }

  /// A summary of each setting, compared with the baseline of the same family.
  static func summaries(of runs: [RunRecord], baseline: Baseline = .fullQAT) -> [SettingSummary] {
    let settings = Setting.settings(of: runs)
    return settings.map { setting in
      let other = settings.first { baseline.isBaseline($0, of: setting) }
      let isCompared = setting.kind != .fullPrecision && other.map { !baseline.isBaseline(setting, of: $0) } ?? false
      return SettingSummary(setting, baseline: isCompared ? other : nil)
    }
  }
}

/// What settings are compared with.
public enum Baseline: Equatable, Sendable, CustomStringConvertible {
  /// The full QAT with the same bits and training.
  case fullQAT
  /// The network that training started from.
  case fullPrecision
  /// The setting with these values on the sweep's axes.
  case axes([AxisSetting])

  /// "fullQAT", "fullPrecision", or "threshold=0.1,start=20%"; nil for anything else.
  public init?(_ text: String) {
    switch text {
    case "fullQAT": self = .fullQAT
    case "fullPrecision": self = .fullPrecision
    default:
      let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { part in
        part.split(separator: "=", maxSplits: 1).map(String.init)
      }
      guard parts.allSatisfy({ $0.count == 2 }) else { return nil }
      self = .axes(parts.map { AxisSetting(name: $0[0], value: $0[1]) })
    }
  }

  public var description: String {
    switch self {
    case .fullQAT: "full QAT"
    case .fullPrecision: "full precision"
    case .axes(let values): values.map { "\($0.name)=\($0.value)" }.joined(separator: ",")
    }
  }

  func isBaseline(_ candidate: Setting, of setting: Setting) -> Bool {
    switch self {
    case .fullQAT: candidate.kind == .fullQAT && candidate.family == setting.family
    case .fullPrecision:
      candidate.kind == .fullPrecision
        && setting.runs.contains { run in candidate.runs.contains { $0.id == run.provenance.parentRunID } }
    case .axes(let values):
      candidate.kind == .freeze && candidate.family == setting.family && candidate.has(values)
    }
  }
}
