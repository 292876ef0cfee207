import Datasets
import Foundation
import Kernels
import Networks
import Quantization
import Recipes
import Tensor
import Testing
import Training

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
        spec.weightQuantizer(at: place, layer: "a")?.bits, spec.activationQuantizer(at: place, layer: "a")?.bits,
        spec.scheme[place].freezes ? 1 : 0,
      ]
    }
    #expect(bits(first, .first) == [8, nil, 1])
    #expect(bits(first, .middle) == [2, 3, 1])
    #expect(bits(first, .last) == [8, 8, 0])
    #expect(first.weightQuantizer(at: .middle, layer: "a")!.trainedParameters.isEmpty)
    #expect(first.weightQuantizer(at: .last, layer: "a")!.trainedParameters.map(\.name) == ["a.sW"])
    let second = Recipe.lts.quantization(weightBits: 2, activationBits: 3)
    #expect(second.rangeGradient == .dense)
    for place in QuantizationScheme.Place.allCases { #expect(bits(second, place) == [2, 3, 1]) }
    for place in [QuantizationScheme.Place.imageNetFirst, .imageNetLast] {
      #expect(bits(first, place) == [nil, nil, 0])
    }
  }

  @Test("name as many columns of a trace as their quantizers have numbers", arguments: Recipe.all)
  func traceColumns(recipe: Recipe) {
    let spec = recipe.quantization(weightBits: 4, activationBits: 4)
    let parameters =
      spec.weightQuantizer(at: .middle, layer: "a")!.parameters
      + (spec.activationQuantizer(at: .middle, layer: "a")?.parameters ?? [])
    #expect(parameters.count == recipe.trace.columns.count)
  }

  /// The authors' commands and scripts, as far as they are published.
  @Test(
    "train networks for ImageNet as published",
    arguments: [Architecture.resnet18, .resnet50, .mobilenetv1, .mobilenetv2])
  func imageNet(network: Architecture) {
    let first = Recipe.spqat.settings(for: network)
    #expect(first.optimizers.weights == .sgd(momentum: 0.9, weightDecay: 5e-4))
    #expect(
      first.batchNormGroup(besides: .init(optimizer: first.optimizers.weights, learningRate: 0.01)).optimizer
        == .sgd(momentum: 0, weightDecay: 0))
    #expect(first.training.learningRate == 0.01 && first.training.quantizerLearningRate == 0.01)
    #expect(first.training.epochs == 100 && first.training.milestones == [20, 40, 60, 80])
    #expect(first.training.learningRateFactor == 0.2 && first.training.batchSize == 1024)
    #expect(first.training.dropLastPartialBatch && first.training.freezingStart == 16 && first.distanceEMA == 0.9999)
    let second = Recipe.lts.settings(for: network)
    let weights = ParameterGroupSpec(optimizer: .sgd(momentum: 0.9, weightDecay: 1e-4), learningRate: 0.1)
    #expect(second.optimizers.weights == weights.optimizer && second.batchNormGroup(besides: weights) == weights)
    #expect(second.training.learningRate == 0.1 && second.training.quantizerLearningRate == 1e-4)
    #expect(second.training.epochs == 100 && second.training.milestones == [30, 60, 90])
    #expect(second.training.learningRateFactor == 0.1 && second.training.batchSize == 256)
    #expect(!second.training.dropLastPartialBatch && second.training.freezingStart == 20)
    #expect(second.distanceEMA == 0.9999)
    #expect(Recipe.lts.smallestCrop(for: network) == (network == .resnet18 ? 0.2 : 0.08))
    #expect(Recipe.spqat.smallestCrop(for: network) == 0.08)
  }

  @Test("give each network what its family has")
  func topology() {
    for recipe in Recipe.all {
      #expect(recipe.settings(for: .resnet20) == recipe.smallImages && recipe.smallestCrop(for: .resnet20) == nil)
      for architecture in Architecture.all {
        let spec = recipe.model(architecture, classes: 3, height: 32, width: 32)
        let differs = recipe == .spqat && architecture.family == .mobileNetV2
        #expect(spec.rectifier == (differs ? .relu6 : .relu) && spec.dropout == (differs ? 0.2 : 0))
        #expect(spec.width == architecture.family.width)
        #expect(spec.batchNormBeforeLinear == (recipe == .spqat))
      }
    }
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
      #expect(recipe.normalization(for: manifest, network: .resnet18) == .imageNet)
      let chosen = recipe.normalization(for: manifest, network: .resnet20)
      return chosen == Normalization(manifest) ? nil : chosen
    }
    #expect(try normalization(.spqat, "cifar10") == .spqatCIFAR10)
    #expect(try normalization(.lts, "cifar10") == .ltsCIFAR10)
    #expect(try normalization(.lts, "cifar100") == .ltsCIFAR100)
    #expect(try normalization(.spqat, "cifar100") == nil)
    #expect(try normalization(.lts, "fashion-mnist") == nil)
  }
}
