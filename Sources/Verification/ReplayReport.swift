/// A replay's numbers beside the trace's. Each has a bound, or says that it is not judged.
public struct ReplayReport: Codable, Sendable {
  /// One training step, ours beside the trace's.
  public struct Step: Codable, Sendable {
    /// 1-based.
    public var step: Int
    /// Mean cross-entropy of the step's batch, nats, before the update.
    public var loss: Double
    /// The trace's, nats.
    public var referenceLoss: Double
    /// |loss − referenceLoss|; NaN fails the step.
    public var lossDeviation: Double
    /// What float32 variants of the reference itself deviate by, as the trace records it.
    public var float32Deviation: Double
    /// Largest `lossDeviation` that agrees, nats; wider after the trace's clean steps.
    public var lossTolerance: Double
    /// Frozen weights of all layers after this step's forward.
    public var frozen: Int
    /// The trace's, likewise of all layers.
    public var referenceFrozen: Int
    /// Σ over layers of |frozen − reference|.
    public var frozenDeviation: Int
    /// Largest `frozenDeviation` that agrees, in weights: a share of those that may freeze.
    public var frozenTolerance: Double
    /// Largest |value − reference| / max(1, |reference|) of the quantizers after the update.
    public var quantizerDeviation: Double
    /// Largest `quantizerDeviation` that agrees; wider after the trace's clean steps.
    public var quantizerTolerance: Double
    /// False where a deviation is NaN.
    public var agrees: Bool
  }

  /// A quantity with its deviation from the trace's and what is allowed.
  public struct Comparison: Codable, Sendable {
    /// What is compared: a parameter's or statistic's name as PyTorch has it, or a phrase such as "evaluation logits".
    public var name: String
    /// From 0 on, or NaN; the property that holds the comparison says of what kind.
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
    /// PyTorch's name of the layer.
    public var layer: String
    /// Which of the layer's numbers, as traces name it, such as "weight_scale".
    public var column: String
    /// The replay's; NaN where the network has no such number.
    public var value: Double
    /// The trace's; NaN where it has none.
    public var reference: Double
  }

  /// The trace's path, as given.
  public var trace: String
  /// The back end's arithmetic, such as "avx2".
  public var instructionSet: String
  /// Threads that the replay ran on.
  public var threads: Int
  /// The quantizers as initialized, before the first update; layers outermost.
  public var quantizerStart: [QuantizerValue]
  /// Largest |value − reference| / max(1, |reference|) of `quantizerStart`.
  public var quantizerStartDeviation: Comparison
  /// In order, all of the trace's.
  public var steps: [Step]
  /// Relative errors, the largest first.
  public var firstGradients: [Comparison]
  /// Share of weights frozen in one of the two alone.
  public var finalMasks: Comparison
  /// Weights, biases, batch norm's parameters and statistics: relative errors, the largest first.
  public var finalTensors: [Comparison]
  /// The quantizers after the last update; layers outermost.
  public var finalQuantizers: [QuantizerValue]
  /// Of what the quantizers learned: their change from the initialization to the end, relative error.
  public var quantizerChange: Comparison
  /// Relative error of the logits in evaluation mode.
  public var evaluationLogits: Comparison
  /// How often a frozen weight's level moved with its learned range, summed over all layers and training forwards.
  public var levelMovesOfFrozenWeights: Int
  /// nil where the trace does not say how often levels moved.
  public var levelMoves: Comparison?

  /// Everything that is judged beyond the steps.
  public var comparisons: [Comparison] {
    [quantizerStartDeviation] + firstGradients + [finalMasks] + finalTensors + [quantizerChange, evaluationLogits]
      + [levelMoves].compactMap { $0 }
  }

  /// Whether each step and each of `comparisons` agrees.
  public var agrees: Bool { steps.allSatisfy(\.agrees) && comparisons.allSatisfy(\.agrees) }
}
