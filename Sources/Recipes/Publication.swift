/// What the paper of a recipe says of it.
public struct Publication: Hashable, Sendable {
  /// What it calls training that freezes settled weights: "SpQAT", "LTS".
  public let freezingName: String
  /// Of its abstracts, version by version. No cell of its tables is at hand, so none is repeated here.
  public let claims: [Claim]

  /// One abstract's.
  public struct Claim: Hashable, Sendable {
    /// The paper and its version.
    public let source: String
    /// The range over the experiments, in percent, as text.
    public let weightUpdatesEliminated: String
    /// Likewise.
    public let backwardFLOPsEliminated: String
    /// Against the baseline, as text.
    public let accuracy: String
    /// The one experiment that the abstract names.
    public let example: Example?

    init(
      _ source: String, weightUpdatesEliminated: String, backwardFLOPsEliminated: String, accuracy: String,
      example: Example? = nil
    ) {
      self.source = source
      self.weightUpdatesEliminated = weightUpdatesEliminated
      self.backwardFLOPsEliminated = backwardFLOPsEliminated
      self.accuracy = accuracy
      self.example = example
    }
  }

  /// One experiment with freezing and what came of it.
  public struct Example: Hashable, Sendable {
    /// As `Architecture` and data sets are named.
    public let architecture: String
    /// Likewise.
    public let dataset: String
    /// Of weights and of activations.
    public let bits: Int
    /// Accuracy and savings, as text.
    public let result: String
  }
}
