import Foundation
import Kernels
import Quantization
import Tensor
import TestSupport
import Testing

struct WeightQuantizerTests {
  private func fixedScale(bits: Int, learnsOutputScale: Bool = false) -> FixedScaleWeights {
    FixedScaleWeights(bits: bits, learnsOutputScale: learnsOutputScale, layer: "layer")
  }

  private func learnedRange(bits: Int, rangeGradient: RangeGradient = .dense) -> LearnedRangeWeights {
    LearnedRangeWeights(bits: bits, rangeGradient: rangeGradient, layer: "layer")
  }

  @Test("the start is three standard deviations, n − 1 in the denominator")
  func initialization() {
    let weights = Buffer<Float>([1, 2, 3, 6])
    let start = 3 * (14.0 / 3).squareRoot()
    let scaled = fixedScale(bits: 4)
    scaled.initialize(weights: weights)
    #expect(abs(Double(scaled.scale.scalar) - start) <= 1e-6)
    let ranged = learnedRange(bits: 4)
    ranged.initialize(weights: weights)
    #expect(abs(Double(ranged.upper.scalar) - start) <= 1e-6)
    #expect(ranged.lower.scalar == -ranged.upper.scalar)
  }

  @Test("values and levels follow the published formulas", arguments: WeightRule.allCases, 2...8)
  func values(rule: WeightRule, bits: Int) {
    let weights = Buffer(normals(2000, seed: 1).map { 1.5 * $0 })
    let values = Buffer<Float>(count: weights.count)
    let levels = Buffer<Int8>(count: weights.count)
    let backend = CPUBackend(threads: 1)
    let quantizer = rule.quantizer(bits: bits, rangeGradient: .dense, layer: "layer")
    let start: [Float] = rule == .learnedRange ? [1.4, -0.9] : [-1.3]
    for (parameter, value) in zip(quantizer.parameters, start) { parameter.scalar = value }
    let fitsByte = rule != .learnedRange || bits < 8
    #expect(quantizer.grid.levelsFitByte == fitsByte)
    backend.quantize(quantizer.grid, weights: weights, values: values, levels: fitsByte ? levels : nil)
    var seen = Set<Float>()
    for index in 0..<weights.count {
      let w = Double(weights[index])
      let scaled: Double
      let expected: Double
      switch rule {
      case .fixedScale, .learnedOutputScale:
        let size = Double(1 << (bits - 1))
        scaled = Reference.scaledWeight(w, scale: -1.3, bits: bits) * size
        expected = scaled.rounded(.toNearestOrEven) / size * (rule == .learnedOutputScale ? -1.3 : 1)
      case .learnedRange:
        let steps = Double((1 << bits) - 1)
        scaled = (Reference.rangedWeight(w, lower: -0.9, upper: 1.4) + 1) / 2 * steps
        expected = 2 * scaled.rounded(.toNearestOrEven) / steps - 1
      }
      // Where single precision cannot tell the side of an edge, either is right.
      if abs(scaled - scaled.rounded(.down) - 0.5) < 1e-4 { continue }
      seen.insert(values[index])
      #expect(abs(Double(values[index]) - expected) <= 1e-6)
      if fitsByte {
        #expect(abs(Float(levels[index]) * quantizer.grid.valueScale - values[index]) <= 1e-6)
      }
    }
    #expect(seen.count == 1 << bits || bits > 6)
    #expect(seen.count <= 1 << bits)
  }

  @Test("the distance between two levels is 2/2^b or 1/(2^b − 1)")
  func spacing() {
    for bits in 2...8 {
      #expect(fixedScale(bits: bits).spacing == 2 / Float(1 << bits))
      #expect(learnedRange(bits: bits).spacing == 1 / Float((1 << bits) - 1))
    }
  }

  @Test("rounding is half to even, and the ends of the clamp belong to the range")
  func endsAndTies() {
    let backend = CPUBackend(threads: 1)
    // Positions on the grid are the weights themselves: l = 0, h = 3, two bits.
    let ranged = learnedRange(bits: 2)
    ranged.lower.scalar = 0
    ranged.upper.scalar = 3
    let weights = Buffer<Float>([-0.25, 0, 0.5, 1.5, 2.5, 3, 3.25])
    let levels = Buffer<Int8>(count: 7)
    let values = Buffer<Float>(count: 7)
    backend.quantize(ranged.grid, weights: weights, values: values, levels: levels)
    #expect(levels.array == [-3, -3, -3, 1, 1, 3, 3])
    let gradients = Buffer<Float>([1, 2, 4, 8, 16, 32, 64])
    let result = Buffer<Float>(count: 7)
    var sums = backend.straightThrough(
      ranged.grid, weights: weights, valueGradient: gradients, scale: 1, frozen: nil, skipFrozen: false,
      weightGradient: result)
    #expect(result.array == [0, 2, 4, 8, 16, 32, 0])
    #expect(sums == RangeSums(gradient: 62, gradientTimesValue: 2 + 12 + 40 + 96))

    // Grid from −2 to 1 in steps of the weights: |s| + 1e-6 = 2, two bits.
    let grid = WeightGrid(
      offset: 0, inverseStep: 1, lowest: -2, highest: 1, multiplier: 1, addend: 0, valueScale: 0.5)
    let others = Buffer<Float>([-2.25, -2, -1.5, -0.5, 0.5, 1, 1.25])
    backend.quantize(grid, weights: others, values: values, levels: levels)
    #expect(levels.array == [-2, -2, -2, 0, 0, 1, 1])
    let frozen = Buffer<UInt8>([0, 1, 0, 0, 0, 0, 1])
    sums = backend.straightThrough(
      grid, weights: others, valueGradient: gradients, scale: 1, frozen: frozen, skipFrozen: true,
      weightGradient: result)
    #expect(result.array == [0, 0, 4, 8, 16, 32, 0])
    #expect(sums.gradient == 60)
    sums = backend.straightThrough(
      grid, weights: others, valueGradient: gradients, scale: 1, frozen: frozen, skipFrozen: false,
      weightGradient: result)
    #expect(result.array == [0, 0, 4, 8, 16, 32, 0])
    #expect(sums.gradient == 62)
  }

  @Test("scale and range gradients are those of the surrogate without rounding", arguments: 2...5)
  func gradients(bits: Int) {
    let backend = CPUBackend(threads: 1)
    let weights = Buffer(normals(500, seed: 1))
    let gradients = Buffer(normals(500, seed: 2))
    let result = Buffer<Float>(count: 500)
    let ranged = learnedRange(bits: bits)
    ranged.lower.scalar = -0.9
    ranged.upper.scalar = 1.4
    let sums = backend.straightThrough(
      ranged.grid, weights: weights, valueGradient: gradients, scale: ranged.gradientScale, frozen: nil,
      skipFrozen: false,
      weightGradient: result)
    ranged.setGradients(sums, gradientTimesQuantized: 0)
    let graph = ReferenceGraph { zip($0[0].values, gradients.array).reduce(0) { $0 + $1.0 * Double($1.1) } }
    graph.define("w", weights)
    graph.define("l", [ranged.lower.scalar])
    graph.define("h", [ranged.upper.scalar])
    _ = graph.node(parameters: ["w", "l", "h"]) { _, p in
      ReferenceTensor(
        images: 1, height: 1, width: 1, channels: 500,
        values: p[0].map { Reference.rangedWeight($0, lower: p[1][0], upper: p[2][0]) })
    }
    #expect(relativeError(result, graph.gradient(of: "w")) <= 1e-5)
    #expect(relativeError(ranged.upper.gradient, graph.gradient(of: "h")) <= 1e-5)
    #expect(relativeError(ranged.lower.gradient, graph.gradient(of: "l")) <= 1e-5)
  }

  @Test("the last layer's scale: the rounded ŵ, and the scale within it", arguments: [Float(0.8), -0.8])
  func rescaled(scale: Float) {
    // ∂(s·ŵ)/∂s = ŵ − s·sign(s)·w/(|s| + 1e-6)² in range; ŵ rounded, which no finite difference sees.
    let quantizer = fixedScale(bits: 3, learnsOutputScale: true)
    quantizer.scale.scalar = scale
    let weights = Buffer(normals(300, seed: 1))
    let gradients = Buffer(normals(300, seed: 2))
    let values = Buffer<Float>(count: 300)
    let result = Buffer<Float>(count: 300)
    let backend = CPUBackend(threads: 1)
    backend.quantize(quantizer.grid, weights: weights, values: values, levels: nil)
    var expected = 0.0
    var gradientTimesQuantized = 0.0
    for index in 0..<300 {
      let w = Double(weights[index])
      let s = Double(scale)
      let position = w / (abs(s) + 1e-6) * 4
      let rounded = min(max(position, -4), 3).rounded(.toNearestOrEven) / 4
      #expect(abs(Double(values[index]) - s * rounded) <= 1e-6)
      let inside = position >= -4 && position <= 3
      let derivative = rounded - (inside ? s * (s > 0 ? 1 : -1) * w / ((abs(s) + 1e-6) * (abs(s) + 1e-6)) : 0)
      expected += Double(gradients[index]) * derivative
      gradientTimesQuantized += Double(gradients[index]) * rounded
    }
    let sums = backend.straightThrough(
      quantizer.grid, weights: weights, valueGradient: gradients, scale: quantizer.gradientScale, frozen: nil,
      skipFrozen: false, weightGradient: result)
    quantizer.setGradients(sums, gradientTimesQuantized: gradientTimesQuantized)
    #expect(abs(Double(quantizer.scale.gradient[0]) - expected) <= 1e-4 * abs(expected))
  }

  @Test("training changes learned numbers alone")
  func trainedParameters() {
    #expect(fixedScale(bits: 4).trainedParameters.isEmpty)
    #expect(fixedScale(bits: 4).parameters.map(\.name) == ["layer.sW"])
    #expect(fixedScale(bits: 8, learnsOutputScale: true).trainedParameters.map(\.name) == ["layer.sW"])
    #expect(learnedRange(bits: 4).trainedParameters.map(\.name) == ["layer.uW", "layer.lW"])
    #expect(learnedRange(bits: 4).needsDenseGradient)
    #expect(!learnedRange(bits: 4, rangeGradient: .unfrozen).needsDenseGradient)
    #expect(!fixedScale(bits: 4).needsDenseGradient)
  }
}

struct ActivationQuantizerTests {
  @Test("the start is 3·std / sqrt(1 − 2/π), and the minimum of a range")
  func initialization() {
    let start = 3 * 0.7 / (1 - 2 / Double.pi).squareRoot()
    let scaled = LearnedScaleActivations(bits: 4, layer: "layer")
    #expect(!scaled.isInitialized)
    scaled.initialize(minimum: -0.2, standardDeviation: 0.7)
    #expect(scaled.isInitialized && abs(Double(scaled.scale.scalar) - start) <= 1e-6)
    let ranged = LearnedRangeActivations(bits: 4, layer: "layer")
    ranged.initialize(minimum: -0.2, standardDeviation: 0.7)
    #expect(abs(Double(ranged.upper.scalar) - start) <= 1e-6)
    #expect(ranged.lower.scalar == -0.2)
  }

  @Test("gradients of the scale and the range follow their formulas")
  func gradients() {
    let sums = RangeSums(gradient: 3, gradientTimesValue: 5)
    let scaled = LearnedScaleActivations(bits: 4, layer: "layer")
    for scale in [Float(2), -2] {
      scaled.scale.scalar = scale
      scaled.setGradients(sums)
      #expect(abs(scaled.scale.gradient[0] + (scale > 0 ? 1 : -1) * 5 / 4) <= 1e-5)
    }
    let ranged = LearnedRangeActivations(bits: 4, layer: "layer")
    ranged.lower.scalar = -1
    ranged.upper.scalar = 3
    ranged.setGradients(sums)
    // Σ −g(x − l)/16 and Σ g(x − h)/16
    #expect(abs(ranged.upper.gradient[0] + 8 / 16) <= 1e-6)
    #expect(abs(ranged.lower.gradient[0] - (5 - 9) / 16) <= 1e-6)
  }

  @Test("one level's value: 1/2^b or 1/(2^b − 1)")
  func step() {
    for bits in 2...8 {
      #expect(LearnedScaleActivations(bits: bits, layer: "layer").step == 1 / Float(1 << bits))
      #expect(LearnedRangeActivations(bits: bits, layer: "layer").step == 1 / Float((1 << bits) - 1))
      #expect(LearnedRangeActivations(bits: bits, layer: "layer").maximumLevel == (1 << bits) - 1)
    }
  }
}
