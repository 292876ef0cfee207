import Records

/// What the papers' abstracts claim, by version. No cell of their tables is at hand, so none is repeated here.
enum PublishedClaims {
  struct Claim: Codable, Equatable {
    let source: String
    /// "spqat" is the recipe of the first paper, "lts" of its successor.
    let recipe: String
    let weightUpdatesEliminated: String
    let backwardFLOPsEliminated: String
    let accuracy: String
  }

  static let all = [
    Claim(
      source: "SpQAT abstract", recipe: "spqat", weightUpdatesEliminated: "20–60 % (weight gradient sparsity)",
      backwardFLOPsEliminated: "not available", accuracy: "on par with or better than the baseline"),
    Claim(
      source: "arXiv:2211.08544v2 abstract", recipe: "lts", weightUpdatesEliminated: "30–60 %",
      backwardFLOPsEliminated: "15–30 %",
      accuracy: "ResNet-18 on ImageNet at 2 bits: +1.41 top-1 with 56 % / 28 % eliminated"),
    Claim(
      source: "arXiv:2211.08544v4 abstract", recipe: "lts", weightUpdatesEliminated: "50–70 %",
      backwardFLOPsEliminated: "25–35 %",
      accuracy: "MobileNetV2 on ImageNet at 2 bits: +5.05 top-1 with 46 % / 23 % eliminated"),
  ]

  /// Percent of the weight updates, of the first abstract.
  static let eliminatedShare = 20...60

  static let notAvailable = "not available"

  /// The published value for one row of a table: known for two networks on ImageNet only.
  static func cell(for setting: Setting) -> String {
    guard setting.kind == .freeze, setting.recipe == .lts, setting.bits == BitWidths(weights: 2, activations: 2),
      setting.runs[0].provenance.datasetName == "imagenet"
    else { return notAvailable }
    return switch setting.configuration.text("model.architecture") {
    case "resnet18": "+1.41 points, 56 % / 28 % eliminated (arXiv:2211.08544v2)"
    case "mobilenetv2": "+5.05 points, 46 % / 23 % eliminated (arXiv:2211.08544v4)"
    default: notAvailable
    }
  }
}
