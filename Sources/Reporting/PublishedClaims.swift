import Recipes
import Records

/// What the papers' abstracts claim, recipe by recipe.
enum PublishedClaims {
  struct Claim: Codable, Equatable {
    let source: String
    let recipe: String
    let weightUpdatesEliminated: String
    let backwardFLOPsEliminated: String
    let accuracy: String
  }

  static let all = Recipe.all.flatMap { recipe in
    recipe.publication.claims.map { claim in
      Claim(
        source: claim.source, recipe: recipe.name, weightUpdatesEliminated: claim.weightUpdatesEliminated,
        backwardFLOPsEliminated: claim.backwardFLOPsEliminated, accuracy: claim.accuracy)
    }
  }

  /// Percent of the weight updates, of the first abstract.
  static let eliminatedShare = 20...60

  static let notAvailable = "not available"

  /// The published value for one row of a table: that of the experiment that an abstract names.
  static func cell(for setting: Setting) -> String {
    guard setting.kind == .freeze, let recipe = Recipe(named: setting.recipe.rawValue) else { return notAvailable }
    let example = recipe.publication.claims.compactMap(\.example).first {
      setting.bits == BitWidths(weights: $0.bits, activations: $0.bits)
        && setting.runs[0].provenance.datasetName == $0.dataset
        && setting.configuration.text("model.architecture") == $0.architecture
    }
    return example?.result ?? notAvailable
  }
}

extension RecipeName {
  /// What its paper calls training that freezes settled weights; for recipes of later programs their name in capitals.
  var freezingName: String { Recipe(named: rawValue)?.publication.freezingName ?? rawValue.uppercased() }
}
