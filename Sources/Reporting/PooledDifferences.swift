import Records
import Statistics

/// Settings beside one baseline: their differences by seed, and estimates whose spread is pooled over all of them.
///
/// What pairs runs is the seed and the full-precision network that they start from. With that network as the baseline a pair is
/// one such network: its own accuracy, and the mean of the setting's runs that start from it.
struct PooledDifferences {
  /// Of `settings[0]`, the baseline, and the settings compared with it.
  private let model: AdditiveModel
  private let values: [[Block: Double]]
  private let resolution: Double

  private struct Block: Hashable, Comparable {
    let parent: String
    let seed: Int?

    static func < (left: Block, right: Block) -> Bool {
      (left.parent, left.seed ?? 0) < (right.parent, right.seed ?? 0)
    }
  }

  /// - Parameters:
  ///   - settings: with finished runs, compared with the baseline.
  ///   - resolution: points of top-1 that one test image makes.
  init(baseline: Setting, settings: [Setting], resolution: Double) {
    values = ([baseline] + settings).map { setting in
      Dictionary(grouping: setting.finished) { Self.block($0, baseline: baseline) }.mapValues { runs in
        runs.reduce(0) { $0 + 100 * ($1.outcome.finalTopOne ?? .nan) } / Double(runs.count)
      }
    }
    let blocks = Set(values.flatMap(\.keys)).sorted()
    let place = Dictionary(uniqueKeysWithValues: blocks.enumerated().map { ($1, $0) })
    let observations = values.enumerated().flatMap { setting, values in
      values.sorted { $0.key < $1.key }.map { block, value in
        AdditiveModel.Observation(setting: setting, block: place[block] ?? 0, value: value)
      }
    }
    model = AdditiveModel(observations, baseline: 0, resolution: resolution)
    self.resolution = resolution
  }

  private static func block(_ run: RunRecord, baseline: Setting) -> Block {
    let parent = run.provenance.parentRunID ?? ""
    guard baseline.kind == .fullPrecision else { return Block(parent: parent, seed: run.provenance.seed) }
    return Block(parent: run.kind == .fullPrecision ? run.id : parent, seed: nil)
  }

  /// Settings in the model, the baseline included.
  var settings: Int { model.compared.count + 1 }
  var degreesOfFreedom: Int { model.degreesOfFreedom }
  /// Of a difference by seed: √2 times the residual's; nil without degrees of freedom.
  var standardDeviation: Double? { model.residualStandardDeviation.map { $0 * 2.0.squareRoot() } }
  /// The most pairs of any setting.
  var pairs: Int { values.indices.dropFirst().map { paired($0 - 1)?.count ?? 0 }.max() ?? 0 }

  /// Differences by seed, in points; nil for no pair.
  func paired(_ setting: Int) -> Summary? {
    Summary(
      values[setting + 1].sorted { $0.key < $1.key }.compactMap { block, value in
        values[0][block].map { value - $0 }
      })
  }

  /// The plain paired estimate; nil for fewer than two pairs.
  func pairedEstimate(_ setting: Int) -> Estimate? { Estimate(paired: paired(setting), resolution: resolution) }

  /// With the spread pooled over all settings; nil where the setting shares no seed with the baseline, even through others, and
  /// where there are too few runs.
  func estimate(_ setting: Int) -> Estimate? { model.estimate(setting + 1) }

  /// Dunnett's; nil where there is no estimate.
  func simultaneousCriticalValue(confidence: Double) -> Double? {
    model.simultaneousCriticalValue(confidence: confidence)
  }
}
