/// Settings compared within blocks: value = effect of the setting + effect of the block + residual.
///
/// A block is what runs of different settings share: the seed, or the seed and the full-precision network that they start
/// from. Cells may be missing. Effects are least-squares estimates and the residual variance is pooled over all settings
/// (the intra-block analysis of Yates, Ann. Eugenics 10, 1940; John, "Statistical Design and Analysis of Experiments", SIAM 1998,
/// ch. 11). It supposes the same spread in every setting.
public struct AdditiveModel: Sendable {
  /// One run's value.
  public struct Observation: Sendable {
    /// Any number that names it.
    public var setting: Int
    /// Any number that names it.
    public var block: Int
    /// In the unit of the differences.
    public var value: Double

    /// The value of a setting in a block.
    public init(setting: Int, block: Int, value: Double) {
      self.setting = setting
      self.block = block
      self.value = value
    }
  }

  /// The setting that others are compared with.
  public let baseline: Int
  /// Observations less estimable effects: (settings − 1)·(blocks − 1) where no cell is missing.
  public let degreesOfFreedom: Int
  /// Of one run beside the effects of its setting and block; nil without degrees of freedom.
  public let residualStandardDeviation: Double?
  /// Of settings that blocks connect with the baseline, in ascending order, the baseline left out.
  public let compared: [Int]

  private let differences: [Double]
  /// (C⁻¹)_ij: the covariance of two differences over the residual variance.
  private let covariance: [[Double]]
  private let resolution: Double

  /// - Parameters:
  ///   - baseline: a setting that has observations.
  ///   - resolution: the step of a value, the floor of every standard error.
  public init(_ observations: [Observation], baseline: Int, resolution: Double = 0) {
    precondition(observations.contains { $0.setting == baseline }, "the baseline has no observations")
    self.baseline = baseline
    self.resolution = resolution
    let connected = Self.connected(observations, with: baseline)
    let blocks = Dictionary(grouping: connected, by: \.block).sorted { $0.key < $1.key }.map(\.value)
    let others = Set(connected.map(\.setting)).subtracting([baseline]).sorted()
    compared = others

    // With block means taken out: C = diag(n_i) − Σ_b n_ib·n_jb/n_b, and C·τ = Q with the baseline's effect 0.
    let place = Dictionary(uniqueKeysWithValues: others.enumerated().map { ($1, $0) })
    var matrix = Array(repeating: Array(repeating: 0.0, count: others.count), count: others.count)
    var right = Array(repeating: 0.0, count: others.count)
    for block in blocks {
      let mean = block.reduce(0) { $0 + $1.value } / Double(block.count)
      for one in block {
        guard let row = place[one.setting] else { continue }
        right[row] += one.value - mean
        matrix[row][row] += 1
        for other in block {
          if let column = place[other.setting] { matrix[row][column] -= 1 / Double(block.count) }
        }
      }
    }
    let inverse = Self.inverse(matrix)
    covariance = inverse
    let effects = inverse.map { row in zip(row, right).reduce(0) { $0 + $1.0 * $1.1 } }
    differences = effects

    degreesOfFreedom = connected.count - others.count - blocks.count
    let sumOfSquares = blocks.reduce(0.0) { sum, block in
      let rest = block.map { $0.value - (place[$0.setting].map { effects[$0] } ?? 0) }
      let mean = rest.reduce(0, +) / Double(rest.count)
      return sum + rest.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    }
    residualStandardDeviation = degreesOfFreedom > 0 ? (sumOfSquares / Double(degreesOfFreedom)).squareRoot() : nil
  }

  /// The setting's difference from the baseline; nil for the baseline, for a setting that no block connects with it, and without
  /// degrees of freedom.
  public func estimate(_ setting: Int) -> Estimate? {
    guard let residualStandardDeviation, let index = compared.firstIndex(of: setting) else { return nil }
    return Estimate(
      value: differences[index], standardError: residualStandardDeviation * covariance[index][index].squareRoot(),
      degreesOfFreedom: Double(degreesOfFreedom), resolution: resolution)
  }

  /// The number of standard errors within which all differences lie at once with this confidence (Dunnett); nil without
  /// degrees of freedom or anything compared.
  ///
  /// Exact where every setting has the same blocks (correlation 0.5). Elsewhere the smallest correlation stands for all, which
  /// makes the intervals a little too wide and never too narrow (Slepian, Bell Syst. Tech. J. 41, 1962; Šidák, Ann. Math. Statist.
  /// 39, 1968).
  public func simultaneousCriticalValue(confidence: Double) -> Double? {
    guard degreesOfFreedom > 0, !compared.isEmpty else { return nil }
    return DunnettDistribution(
      comparisons: compared.count, correlation: smallestCorrelation, degreesOfFreedom: Double(degreesOfFreedom)
    ).criticalValue(confidence: confidence)
  }

  /// Of any two differences; 0.5 for a single one, where nothing depends on it.
  private var smallestCorrelation: Double {
    var smallest = compared.count > 1 ? 1.0 : 0.5
    for row in covariance.indices {
      for column in 0..<row {
        smallest = min(
          smallest, covariance[row][column] / (covariance[row][row] * covariance[column][column]).squareRoot())
      }
    }
    return max(0, smallest)
  }

  /// Those of settings that chains of common blocks connect with the baseline.
  private static func connected(_ observations: [Observation], with baseline: Int) -> [Observation] {
    var settings: Set<Int> = [baseline]
    var blocks: Set<Int> = []
    while true {
      blocks = Set(observations.filter { settings.contains($0.setting) }.map(\.block))
      let reached = Set(observations.filter { blocks.contains($0.block) }.map(\.setting))
      if reached == settings { break }
      settings = reached
    }
    return observations.filter { settings.contains($0.setting) }
  }

  /// Of a positive definite matrix, by Gauss–Jordan elimination; the pivots of such a matrix need no search.
  private static func inverse(_ matrix: [[Double]]) -> [[Double]] {
    let size = matrix.count
    var left = matrix
    var result = (0..<size).map { row in (0..<size).map { $0 == row ? 1.0 : 0 } }
    for pivot in 0..<size {
      let scale = 1 / left[pivot][pivot]
      left[pivot] = left[pivot].map { $0 * scale }
      result[pivot] = result[pivot].map { $0 * scale }
      for row in 0..<size where row != pivot {
        let factor = left[row][pivot]
        for column in 0..<size {
          left[row][column] -= factor * left[pivot][column]
          result[row][column] -= factor * result[pivot][column]
        }
      }
    }
    return result
  }
}
