/// Holm's step-down correction ("A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6, 1979).
public enum Holm {
  /// The adjusted p values in the given order: with p₍₁₎ ≤ … ≤ p₍ₘ₎, the largest of (m − i + 1)·p₍ᵢ₎ up to each, at most 1.
  ///
  /// Claims whose adjusted p is at most α hold together with probability 1 − α, however the tests depend on one another.
  public static func adjusted(_ pValues: [Double]) -> [Double] {
    var result = pValues
    var largest = 0.0
    for (rank, index) in pValues.indices.sorted(by: { pValues[$0] < pValues[$1] }).enumerated() {
      largest = max(largest, min(1, Double(pValues.count - rank) * pValues[index]))
      result[index] = largest
    }
    return result
  }
}
