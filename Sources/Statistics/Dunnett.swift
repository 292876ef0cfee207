import Foundation

/// The distribution of the largest of several comparisons with one baseline (Dunnett, "A multiple comparison procedure for
/// comparing several treatments with a control", JASA 50, 1955; "New tables for multiple comparisons with a control",
/// Biometrics 20, 1964).
///
/// The comparisons T_i = (difference)/(standard error) share the baseline and the estimate of spread. Their correlations are
/// taken as ρ_ij = λ_i·λ_j, which holds exactly where settings differ in their number of runs alone.
public struct DunnettDistribution: Sendable {
  /// ν of the shared estimate of spread.
  public let degreesOfFreedom: Double
  /// λ of each comparison, in [0, 1).
  public let loadings: [Double]

  /// - Parameter correlation: of any two comparisons: 0.5 where all settings have the same seeds.
  /// - Precondition: at least one comparison, one degree of freedom, a correlation in [0, 1).
  public init(comparisons: Int, correlation: Double = 0.5, degreesOfFreedom: Double) {
    precondition(correlation >= 0 && correlation < 1, "a correlation in [0, 1)")
    self.init(
      loadings: Array(repeating: correlation.squareRoot(), count: comparisons), degreesOfFreedom: degreesOfFreedom)
  }

  /// Settings with `replicates` runs each, compared with a baseline of `baselineReplicates`, without pairing:
  /// λ_i² = n_i / (n_i + n_0).
  public init(replicates: [Int], baselineReplicates: Int, degreesOfFreedom: Double) {
    precondition(replicates.allSatisfy { $0 > 0 } && baselineReplicates > 0, "at least one run of each")
    self.init(
      loadings: replicates.map { (Double($0) / Double($0 + baselineReplicates)).squareRoot() },
      degreesOfFreedom: degreesOfFreedom)
  }

  private init(loadings: [Double], degreesOfFreedom: Double) {
    precondition(!loadings.isEmpty && degreesOfFreedom >= 1, "at least one comparison and one degree of freedom")
    self.loadings = loadings
    self.degreesOfFreedom = degreesOfFreedom
  }

  /// P(all T_i ≤ x), or P(all |T_i| ≤ x) where `twoSided`: the expectation over S = √(χ²_ν/ν) and the shared normal part z
  /// of Π_i [Φ((x·S + λ_i·z)/√(1 − λ_i²)) − Φ((−x·S + λ_i·z)/√(1 − λ_i²))], without the second Φ where one-sided (Dunnett
  /// 1955, eq. 5; 1964, eq. 6). To an absolute error below 1e-8.
  public func cumulative(_ x: Double, twoSided: Bool = true) -> Double {
    let shared = Quadrature.points(from: -8.5, to: 8.5, panels: 6).map {
      ($0.point, $0.weight * normalDensity($0.point))
    }
    let groups = Dictionary(grouping: loadings) { $0 }.map { loading, alike in
      (loading: loading, own: (1 - loading * loading).squareRoot(), count: Double(alike.count))
    }
    return ScaleDistribution(degreesOfFreedom: degreesOfFreedom).expectation { scale in
      shared.reduce(0) { sum, node in
        let product = groups.reduce(node.1) { product, group in
          let upper = normalCumulative((x * scale + group.loading * node.0) / group.own)
          let lower = twoSided ? normalCumulative((-x * scale + group.loading * node.0) / group.own) : 0
          return product * pow(upper - lower, group.count)
        }
        return sum + product
      }
    }
  }

  /// What the largest comparison does not exceed with probability `confidence`: intervals of ± this many standard errors hold
  /// all differences at once.
  /// - Precondition: a confidence in [0.5, 1).
  public func criticalValue(confidence: Double, twoSided: Bool = true) -> Double {
    precondition(confidence >= 0.5 && confidence < 1, "a confidence in [0.5, 1)")
    if loadings.count == 1 {
      return StudentT(degreesOfFreedom: degreesOfFreedom).quantile(twoSided ? (1 + confidence) / 2 : confidence)
    }
    return positiveRoot(of: { cumulative($0, twoSided: twoSided) }, reaching: confidence)
  }
}
