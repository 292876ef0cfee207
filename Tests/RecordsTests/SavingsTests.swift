import Records
import Testing

@Suite("Savings")
struct SavingsTests {
  private func layer(
    _ name: String, weights: Int, freezable: Int? = nil, inputMACs: Int, weightMACs: Int
  ) -> LayerDescription {
    LayerDescription(
      name: name, kind: .convolution, weights: weights, freezableWeights: freezable ?? weights, weightBits: 2,
      activationBits: 2, forwardMACs: weightMACs, inputGradientMACs: inputMACs, weightGradientMACs: weightMACs,
      sparseThreshold: nil)
  }

  @Test("Two layers by hand")
  func byHand() throws {
    let layers = [
      layer("first", weights: 10, inputMACs: 0, weightMACs: 1000),
      layer("second", weights: 30, inputMACs: 600, weightMACs: 600),
      layer("last", weights: 20, freezable: 0, inputMACs: 100, weightMACs: 100),
    ]
    // Four steps: 2, 4, 6, 8 of 10 frozen, then 0, 0, 15, 15 of 30, and nothing.
    let sums = [20, 30, 0]
    let updates = try #require(Savings.weightUpdatesEliminated(layers: layers, frozenWeightSteps: sums, steps: 4))
    #expect(abs(updates - 50.0 / 160) < 1e-15)
    // Shares 0.5 and 0.25: (0.5 · 1000 + 0.25 · 600) / (1000 + 1200 + 200)
    let operations = try #require(Savings.backwardFLOPsEliminated(layers: layers, frozenWeightSteps: sums, steps: 4))
    #expect(abs(operations - 650.0 / 2400) < 1e-15)
  }

  @Test("Everything frozen saves every update and the weight gradient's part of the backward pass")
  func everything() {
    let layers = [layer("only", weights: 9, inputMACs: 81, weightMACs: 81)]
    #expect(Savings.weightUpdatesEliminated(layers: layers, frozenWeightSteps: [90], steps: 10) == 1)
    #expect(Savings.backwardFLOPsEliminated(layers: layers, frozenWeightSteps: [90], steps: 10) == 0.5)
    #expect(Savings.weightUpdatesEliminated(layers: layers, frozenWeightSteps: [0], steps: 10) == 0)
    #expect(Savings.backwardFLOPsEliminated(layers: layers, frozenWeightSteps: [0], steps: 10) == 0)
  }

  @Test("In ResNet-20, evenly frozen, operations saved are about half of updates eliminated")
  func aboutHalf() throws {
    // The convolutions of ResNet-20 on 32 x 32 pixels, and the linear layer, which never freezes.
    var layers = [layer("conv1", weights: 432, inputMACs: 0, weightMACs: 432 * 1024)]
    for (stage, width) in [16, 32, 64].enumerated() {
      let pixels = 1024 >> (2 * stage)
      for index in 0..<6 {
        let weights = 9 * width * (index == 0 && stage > 0 ? width / 2 : width)
        layers.append(
          layer("\(stage).\(index)", weights: weights, inputMACs: weights * pixels, weightMACs: weights * pixels))
      }
    }
    layers.append(layer("fc", weights: 640, freezable: 0, inputMACs: 640, weightMACs: 640))
    #expect(layers.reduce(0) { $0 + $1.freezableWeights } == 267_696)
    let steps = 50
    let sums = layers.map { $0.freezableWeights * steps * 2 / 5 }
    let updates = try #require(Savings.weightUpdatesEliminated(layers: layers, frozenWeightSteps: sums, steps: steps))
    let operations = try #require(
      Savings.backwardFLOPsEliminated(layers: layers, frozenWeightSteps: sums, steps: steps))
    #expect(abs(updates - 0.4) < 1e-3)
    // Slightly more than half, because the first layer has no input gradient.
    #expect((0.5...0.51).contains(operations / updates), "\(operations / updates)")
  }

  @Test("Where nothing may freeze there is no number, rather than a zero")
  func none() {
    let layers = [layer("only", weights: 9, freezable: 0, inputMACs: 81, weightMACs: 81)]
    #expect(Savings.weightUpdatesEliminated(layers: layers, frozenWeightSteps: [0], steps: 10) == nil)
    #expect(Savings.backwardFLOPsEliminated(layers: layers, frozenWeightSteps: [0], steps: 10) == nil)
    #expect(Savings.weightUpdatesEliminated(layers: [], frozenWeightSteps: [], steps: 0) == nil)
  }
}
