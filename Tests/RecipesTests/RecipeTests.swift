import Datasets
import Foundation
import Quantization
import Recipes
import Tensor
import Testing

@Suite("Recipes")
struct RecipeTests {
  @Test("are found by their names, which are unique")
  func names() {
    #expect(Recipe.names == ["spqat", "lts"])
    for recipe in Recipe.all { #expect(Recipe(named: recipe.name) == recipe) }
    #expect(Recipe(named: "SPQAT") == nil)
    #expect(Set(Recipe.all.map(\.trace.recipe)).count == Recipe.all.count)
  }

  @Test("quantize by place as published")
  func places() {
    let first = Recipe.spqat.quantization(weightBits: 2, activationBits: 3)
    #expect(first.rangeGradient == .unfrozen)
    func bits(_ spec: QuantizationSpec, _ place: QuantizationScheme.Place) -> [Int?] {
      [
        spec.weightQuantizer(at: place, layer: "a").bits, spec.activationQuantizer(at: place, layer: "a")?.bits,
        spec.scheme[place].freezes ? 1 : 0,
      ]
    }
    #expect(bits(first, .first) == [8, nil, 1])
    #expect(bits(first, .middle) == [2, 3, 1])
    #expect(bits(first, .last) == [8, 8, 0])
    #expect(first.weightQuantizer(at: .middle, layer: "a").trainedParameters.isEmpty)
    #expect(first.weightQuantizer(at: .last, layer: "a").trainedParameters.map(\.name) == ["a.sW"])
    let second = Recipe.lts.quantization(weightBits: 2, activationBits: 3)
    #expect(second.rangeGradient == .dense)
    for place in [QuantizationScheme.Place.first, .middle, .last] { #expect(bits(second, place) == [2, 3, 1]) }
  }

  @Test("name as many columns of a trace as their quantizers have numbers", arguments: Recipe.all)
  func traceColumns(recipe: Recipe) {
    let spec = recipe.quantization(weightBits: 4, activationBits: 4)
    let parameters =
      spec.weightQuantizer(at: .middle, layer: "a").parameters
      + (spec.activationQuantizer(at: .middle, layer: "a")?.parameters ?? [])
    #expect(parameters.count == recipe.trace.columns.count)
  }

  @Test("normalise by published constants the data they belong to, and any other by its statistics")
  func pixelConstants() throws {
    func normalization(_ recipe: Recipe, _ name: String) throws -> Normalization? {
      let manifest = try JSONDecoder().decode(
        DatasetManifest.self,
        from: Data(
          """
          {"name": "\(name)", "source": {"origin": "test"}, "classes": ["a", "b"], "height": 8, "width": 8,
           "trainCounts": [2, 2], "testCounts": [1, 1], "contentHash": "c0ffee", "mean": [0.25, 0.5, 0.75],
           "standardDeviation": [0.25, 0.25, 0.25]}
          """.utf8))
      let chosen = recipe.normalization(for: manifest)
      return chosen == Normalization(manifest) ? nil : chosen
    }
    #expect(try normalization(.spqat, "cifar10") == .spqatCIFAR10)
    #expect(try normalization(.lts, "cifar10") == .ltsCIFAR10)
    #expect(try normalization(.lts, "cifar100") == .ltsCIFAR100)
    #expect(try normalization(.spqat, "cifar100") == nil)
    #expect(try normalization(.lts, "fashion-mnist") == nil)
  }
}
