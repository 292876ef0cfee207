import Kernels
import Networks
import Tensor
import TestSupport

/// One layer between an input and the loss Σ g·y, g random: runs it forward and backward.
struct LayerRun {
  let context: ComputeContext
  let images: Int
  let layer: any Layer
  let output: Activation
  /// ∂loss/∂y
  let outputGradient: [Float]
  private let planner = GradientPlanner()

  /// - Parameter uses: how many float uses the output has; each sends its part of the gradient.
  init(
    layer: any Layer, output: Activation, images: Int, uses: Int = 1,
    context: ComputeContext = ComputeContext(threads: 2)
  ) {
    self.context = context
    self.images = images
    self.layer = layer
    self.output = output
    outputGradient = normals(output.count, seed: 99)
    if uses > 0 { output.requireValues() }
    for _ in 0..<uses { output.addGradient(planner.acquire(count: output.count)) }
    for copy in output.copies { copy.gradient = planner.acquire(count: output.count) }
    layer.planBackward(planner)
  }

  /// `before`: what comes ahead of the layer in the forward pass; `after`: behind it in the backward pass.
  func run(
    before: (ForwardPass) -> Void = { _ in }, planAfter: (GradientPlanner) -> Void = { _ in },
    after: (BackwardPass) -> Void = { _ in }
  ) {
    planAfter(planner)
    planner.allocate()
    let forward = ForwardPass(context: context, images: images, purpose: .training)
    before(forward)
    layer.forward(forward)
    for (use, slot) in output.gradients.enumerated() { fill(slot, part: use, of: output.gradients.count) }
    for (index, copy) in output.copies.enumerated() {
      let gradient = copyGradient(index)
      for element in 0..<output.count { copy.gradient!.buffer[element] = gradient[element] }
    }
    let backward = BackwardPass(context: context, images: images)
    layer.backward(backward)
    after(backward)
  }

  /// The gradient that the output's quantized copy `index` sends.
  func copyGradient(_ index: Int) -> [Float] { normals(output.count, seed: 200 + UInt64(index)) }

  private func fill(_ slot: GradientSlot, part: Int, of parts: Int) {
    // The parts differ and add up to the whole: 3/4 and 1/4, for instance.
    let share: Float = parts == 1 ? 1 : part == 0 ? 0.75 : 0.25 / Float(parts - 1)
    for index in 0..<output.count { slot.buffer[index] = share * outputGradient[index] }
  }
}

extension Activation {
  /// An input with these values, and room for the gradient that a layer sends back.
  static func holding(_ values: [Float], images: Int, height: Int, width: Int, channels: Int) -> Activation {
    let activation = Activation(batch: images, height: height, width: width, channels: channels)
    activation.requireValues()
    for (index, value) in values.enumerated() { activation.values![index] = value }
    return activation
  }
}

/// Σ g·y
func weightedSum(_ output: ReferenceTensor, _ gradient: [Float]) -> Double {
  zip(output.values, gradient).reduce(0) { $0 + $1.0 * Double($1.1) }
}
