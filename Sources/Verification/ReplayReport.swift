/// A replay's numbers beside the trace's. Each has a bound, or says that it is not judged.
public struct ReplayReport: Codable, Sendable {
  /// One training step, ours beside the trace's.
  public struct Step: Codable, Sendable {
    public var step: Int
    public var loss: Double
    public var referenceLoss: Double
    public var lossDeviation: Double
    /// What float32 variants of the reference itself deviate by, as the trace records it.
    public var float32Deviation: Double
    public var lossTolerance: Double
    public var frozen: Int
    public var referenceFrozen: Int
    /// Σ over layers of |frozen − reference|.
    public var frozenDeviation: Int
    public var frozenTolerance: Double
    /// Largest |value − reference| / max(1, |reference|) of the quantizers after the update.
    public var quantizerDeviation: Double
    public var quantizerTolerance: Double
    /// False where a deviation is NaN.
    public var agrees: Bool
  }

  /// A quantity with its deviation from the trace's and what is allowed.
  public struct Comparison: Codable, Sendable {
    public var name: String
    public var deviation: Double
    /// nil: not judged.
    public var tolerance: Double?
    /// False where the deviation is NaN, judged or not.
    public var agrees: Bool

    init(_ name: String, deviation: Double, tolerance: Double?) {
      self.name = name
      self.deviation = deviation
      self.tolerance = tolerance
      agrees = tolerance.map { deviation <= $0 } ?? !deviation.isNaN
    }
  }

  /// A quantizer number of one layer.
  public struct QuantizerValue: Codable, Sendable {
    public var layer: String
    public var column: String
    public var value: Double
    public var reference: Double
  }

  public var trace: String
  public var instructionSet: String
  public var threads: Int
  public var quantizerStart: [QuantizerValue]
  public var quantizerStartDeviation: Comparison
  public var steps: [Step]
  /// Relative errors, the largest first.
  public var firstGradients: [Comparison]
  /// Share of weights frozen in one of the two alone.
  public var finalMasks: Comparison
  /// Weights, biases, batch norm's parameters and statistics: relative errors, the largest first.
  public var finalTensors: [Comparison]
  public var finalQuantizers: [QuantizerValue]
  /// Of what the quantizers learned: their change from the initialization to the end, relative error.
  public var quantizerChange: Comparison
  /// Relative error of the logits in evaluation mode.
  public var evaluationLogits: Comparison
  public var levelMovesOfFrozenWeights: Int
  /// nil where the trace does not say how often levels moved.
  public var levelMoves: Comparison?

  /// Everything that is judged beyond the steps.
  public var comparisons: [Comparison] {
    [quantizerStartDeviation] + firstGradients + [finalMasks] + finalTensors + [quantizerChange, evaluationLogits]
      + [levelMoves].compactMap { $0 }
  }

  public var agrees: Bool { steps.allSatisfy(\.agrees) && comparisons.allSatisfy(\.agrees) }
}
