import Foundation
import Kernels
import Tensor
import Testing
import Training

struct OptimizerTests {
  private static let gradients: [Float] = [0.5, -0.2, 0.1]

  /// The value of a weight that starts at 1, after each of the three gradients; a second one is frozen.
  private func run(_ spec: OptimizerSpec, rate: Double, factor: Double = 1) -> [Float] {
    let parameter = Parameter(name: "weight", shape: [2], group: .weights)
    parameter.value[0] = 1
    parameter.value[1] = 1
    parameter.frozen = Buffer<UInt8>([0, 1])
    let other = ParameterGroupSpec(optimizer: .sgd(momentum: 0, weightDecay: 0), learningRate: .nan)
    let backend = CPUBackend(threads: 2)
    let optimizer = Optimizer(
      parameters: [parameter], weights: ParameterGroupSpec(optimizer: spec, learningRate: rate), batchNorm: other,
      quantizers: other, on: backend)
    return Self.gradients.enumerated().map { index, gradient in
      parameter.gradient[0] = gradient
      parameter.gradient[1] = gradient
      optimizer.update(step: index + 1, factor: factor, on: backend)
      #expect(parameter.value[1] == 1)
      return parameter.value[0]
    }
  }

  private func expect(_ values: [Float], _ expected: [Double]) {
    for (value, expected) in zip(values, expected) { #expect(abs(Double(value) - expected) <= 1e-6) }
  }

  @Test("SGD with momentum and weight decay, as PyTorch has it")
  func sgd() {
    // v = 0.9·v + g + 0.1·w; w −= 0.5·v
    expect(run(.sgd(momentum: 0.9, weightDecay: 0.1), rate: 0.5), [0.7, 0.495, 0.23575])
    expect(run(.sgd(momentum: 0, weightDecay: 0), rate: 0.5), [0.75, 0.85, 0.8])
    expect(run(.sgd(momentum: 0, weightDecay: 0.1), rate: 0.5, factor: 0.1), [0.97, 0.97515, 0.96527425])
  }

  @Test("Adam, as PyTorch has it")
  func adam() {
    expect(
      run(.adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8), rate: 0.1),
      [0.900000002, 0.8654394181, 0.8275002408])
    // ε is added to sqrt(v̂), outside of the root.
    expect(run(.adam(beta1: 0.9, beta2: 0.999, epsilon: 1), rate: 0.1), [0.9666666667, 0.9571369302, 0.9480246978])
  }

  @Test("each group has its own rule and rate")
  func groups() {
    let parameters = ParameterGroup.allCases.map { Parameter(name: "\($0)", shape: [1], group: $0) }
    for parameter in parameters { parameter.gradient[0] = 1 }
    func spec(_ rate: Double) -> ParameterGroupSpec {
      ParameterGroupSpec(optimizer: .sgd(momentum: rate, weightDecay: 0), learningRate: rate)
    }
    let backend = CPUBackend(threads: 1)
    let optimizer = Optimizer(
      parameters: parameters, weights: spec(0.5), batchNorm: spec(0.25), quantizers: spec(0), on: backend)
    optimizer.update(step: 1, factor: 1, on: backend)
    #expect(parameters.map(\.value.array) == [[-0.5], [-0.25], [0]])
    // No memory for a velocity that is not used.
    #expect(optimizer.entries.map { $0.first == nil } == [false, false, true])
  }

  @Test("large parameters are updated by several threads to the same bits")
  func threads() {
    let values: [[Float]] = [1, 3].map { threads in
      let parameter = Parameter(name: "weight", shape: [200_001], group: .weights)
      for index in 0..<parameter.count {
        parameter.value[index] = Float(index % 17) - 8
        parameter.gradient[index] = Float(index % 29) / 29
      }
      let velocity = Buffer<Float>(count: parameter.count)
      let backend = CPUBackend(threads: threads)
      for _ in 0..<3 {
        for elements in [0..<7, 7..<parameter.count] {
          backend.sgd(parameter, elements, velocity: velocity, rate: 0.1, momentum: 0.9, weightDecay: 1e-4)
        }
      }
      return parameter.value.array
    }
    #expect(values[0] == values[1])
    #expect(values[0].enumerated().allSatisfy { $0.element != Float($0.offset % 17) - 8 || $0.offset % 29 == 0 })
  }
}

struct LearningRateScheduleTests {
  @Test("a step schedule multiplies in the steps after each milestone")
  func step() {
    let schedule = LearningRateSchedule.step(milestones: [3, 5], factor: 0.1)
    let expected = [1, 1, 1, 0.1, 0.1, 0.01, 0.01]
    for (index, factor) in expected.enumerated() { #expect(abs(schedule.factor(step: index + 1) - factor) <= 1e-15) }
  }

  @Test("a cosine falls from 1 towards 0")
  func cosine() {
    let schedule = LearningRateSchedule.cosine(totalSteps: 4)
    let expected = [1, (1 + 0.5.squareRoot()) / 2, 0.5, (1 - 0.5.squareRoot()) / 2]
    for (index, factor) in expected.enumerated() { #expect(abs(schedule.factor(step: index + 1) - factor) <= 1e-12) }
    #expect(LearningRateSchedule.constant.factor(step: 1000) == 1)
  }
}
