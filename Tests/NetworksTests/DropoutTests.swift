import Kernels
import Networks
import Recipes
import Tensor
import TestSupport
import Testing

struct DropoutTests {
  private static let elements = 500

  private static func layer(images: Int, rate: Double, number: Int = 0, backend: CPUBackend) -> Dropout {
    let input = Activation.holding(
      [Float](repeating: 2, count: images * elements), images: images, height: 1, width: 1, channels: elements)
    let output = Activation(images: images, height: 1, width: 1, channels: elements)
    return Dropout(
      name: "drop", rate: rate, number: number, input: input, output: output,
      gradients: .init(output: output.gradients[0], sumsOutput: false, input: input.gradients[0]), backend: backend)
  }

  /// What a training forward divides the output by the input to.
  private static func factors(
    images: Int, draw: ForwardPass.Draw, rate: Double = 0.25, number: Int = 0, threads: Int = 2
  ) -> [Float] {
    let backend = CPUBackend(threads: threads)
    let layer = layer(images: images, rate: rate, number: number, backend: backend)
    layer.forward(ForwardPass(backend: backend, images: images, purpose: .training, draw: draw))
    return zip(layer.output.values!, layer.input.values!).map { $0 / $1 }
  }

  @Test("numbers are dropped with the rate's probability, the others scaled to keep the mean", arguments: [0.2, 0.5])
  func share(rate: Double) {
    let factors = Self.factors(images: 40, draw: .init(seed: 1, step: 3), rate: rate)
    let kept = factors.filter { $0 != 0 }
    #expect(kept.allSatisfy { abs(Double($0) * (1 - rate) - 1) < 1e-6 })
    // Five standard errors.
    let expected = 1 - rate
    let error = (rate * (1 - rate) / Double(factors.count)).squareRoot()
    #expect(abs(Double(kept.count) / Double(factors.count) - expected) < 5 * error)
  }

  @Test("what is dropped depends on seed, step, image and layer, and on nothing else")
  func keys() {
    let draw = ForwardPass.Draw(seed: 7, step: 5)
    let factors = Self.factors(images: 6, draw: draw)
    for threads in [1, 5] { #expect(Self.factors(images: 6, draw: draw, threads: threads) == factors) }
    #expect(Self.factors(images: 6, draw: .init(seed: 8, step: 5)) != factors)
    #expect(Self.factors(images: 6, draw: .init(seed: 7, step: 6)) != factors)
    #expect(Self.factors(images: 6, draw: draw, number: 1) != factors)
    #expect(factors[..<Self.elements] != factors[Self.elements..<2 * Self.elements])
    // A batch in two parts drops what the whole one does.
    let parts =
      Self.factors(images: 4, draw: draw) + Self.factors(images: 2, draw: .init(seed: 7, step: 5, firstImage: 4))
    #expect(parts == factors)
  }

  @Test("gradients pass where the numbers did, with the same factor; evaluation changes nothing")
  func passes() {
    let backend = CPUBackend(threads: 2)
    let layer = Self.layer(images: 3, rate: 0.4, backend: backend)
    let run = LayerRun(layer: layer, output: layer.output, images: 3, backend: backend)
    run.run()
    let input = layer.input.values!.array
    let output = layer.output.values!.array
    for (index, gradient) in layer.input.gradients[0].array.enumerated() {
      #expect(abs(gradient - run.outputGradient[index] * output[index] / input[index]) <= 1e-5)
    }
    layer.forward(ForwardPass(backend: backend, images: 3, purpose: .evaluation))
    #expect(layer.output.values!.array == input)
  }

  @Test("a rate outside 0..<1 is refused, and a network drops before its last layer")
  func graph() throws {
    #expect(throws: NetworkError(description: "drop drops a share of 1.0; allowed: from 0 to below 1")) {
      try Graph(images: .init(height: 1, width: 1, channels: 3)) { graph, images in
        graph.linear("fc", graph.dropout("drop", images, rate: 1), outputs: 2)
      }
    }
    let spec = Recipe.spqat.model(.mobilenetv2s, classes: 3, height: 8, width: 8, channels: 8)
    let network = try Network(spec: spec, quantization: nil, batch: 4, backend: CPUBackend(threads: 1))
    network.fill(seed: 1)
    func logits(_ draw: ForwardPass.Draw, _ purpose: ForwardPass.Purpose) -> [Float] {
      network.forward(images: 4, purpose: purpose, draw: draw)
      return network.loss.logits.values!.array
    }
    let first = logits(.init(seed: 1, step: 1), .training)
    #expect(logits(.init(seed: 1, step: 1), .training) == first)
    #expect(logits(.init(seed: 1, step: 2), .training) != first)
    let evaluated = logits(.init(seed: 1, step: 1), .evaluation)
    #expect(logits(.init(seed: 1, step: 2), .evaluation) == evaluated)
  }
}
