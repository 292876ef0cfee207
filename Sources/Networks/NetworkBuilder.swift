import Kernels
import Quantization
import Tensor

/// Allocates what a plan says and makes the layers that carry its steps out.
struct NetworkBuilder {
  private let plan: Plan
  private let backend: any Backend
  /// By region.
  let regions: [Buffer<Float>]
  /// The steps' outputs.
  let activations: [Activation]
  /// By step; only convolutions have some.
  private let quantizers: [LayerQuantizers?]
  /// By step, for a convolution that forms the sums of its output.
  private var sums: [ChannelSums?]
  /// By step, for batch norms.
  private let secondPasses: [AffineGradient?]
  private var layers: [any Layer] = []
  /// By step.
  private var batchNorms: [Int: BatchNormalization] = [:]

  init(_ plan: Plan, _ quantization: QuantizationSpec?, _ backend: any Backend) {
    self.plan = plan
    self.backend = backend
    let shared = backend.allocate(UInt8.self, count: plan.sharedBytes)
    let regions = plan.regions.map { Buffer<Float>(in: shared, offset: $0.offset, count: $0.count) }
    let quantizers = plan.steps.map { step -> LayerQuantizers? in
      guard case .convolution(let convolution) = step.kind else { return nil }
      return LayerQuantizers(quantization, step.name, convolution.place)
    }
    let activations = plan.steps.map { step in
      let count = plan.batch * step.output.shape.count
      let sums: (Buffer<Int16>, Buffer<Float>)? =
        step.output.holdsSums
        ? (Buffer(in: shared, offset: step.output.offset!, count: count), backend.allocate(Float.self, count: 1)) : nil
      let values: Buffer<Float>? =
        switch (step.output.holdsValues && sums == nil, step.output.offset) {
        case (false, _): nil
        case (true, nil): backend.allocate(Float.self, count: count)
        case (true, let offset?): Buffer(in: shared, offset: offset, count: count)
        }
      return Activation(
        shape: step.output.shape, batch: plan.batch, values: values, sums: sums, keepsValues: step.output.keepsValues,
        copies: step.output.copies.map { copy in
          Activation.QuantizedCopy(
            quantizer: quantizers[copy.reader]!.activation!,
            levels: Buffer(in: shared, offset: copy.offset, count: count),
            gradient: copy.gradient.map { regions[$0] })
        }, gradients: step.output.gradients.map { regions[$0] })
    }
    secondPasses = plan.steps.map { step in
      guard case .normalization(let normalization) = step.kind else { return nil }
      let channels = step.output.shape.channels
      return AffineGradient(
        x: regions[normalization.result], y: activations[step.inputs[0]].convolutionOutput,
        a: backend.allocate(Float.self, count: channels), b: backend.allocate(Float.self, count: channels),
        d: backend.allocate(Float.self, count: channels))
    }
    sums = plan.steps.map { step in
      guard case .convolution(let convolution) = step.kind, convolution.statisticsOf != nil else { return nil }
      return ChannelSums(channels: step.output.shape.channels)
    }
    self.regions = regions
    self.quantizers = quantizers
    self.activations = activations
  }

  /// The layers of the steps, in their order.
  mutating func build() -> [any Layer] {
    for (index, step) in plan.steps.enumerated() {
      switch step.kind {
      case .images(let images):
        layers.append(ImageInput(output: activations[index], gradient: images.gradient.map { regions[$0] }))
      case .convolution(let convolution): layers.append(layer(convolution, step, index))
      case .normalization(let normalization):
        let batchNorm = layer(normalization, step, index)
        batchNorms[index] = batchNorm
        layers.append(batchNorm)
      case .pooling(let pooling):
        layers.append(
          Pooling(
            name: step.name, kind: pooling.kind, shape: pooling.shape, input: activations[step.inputs[0]],
            output: activations[index], gradients: buffers(of: pooling.gradients), backend: backend))
      case .dropout(let dropout):
        layers.append(
          Dropout(
            name: step.name, rate: dropout.rate, number: dropout.number, input: activations[step.inputs[0]],
            output: activations[index], gradients: buffers(of: dropout.gradients), backend: backend))
      }
    }
    return layers
  }

  private func buffers(of gradients: Plan.ValueGradients) -> ValueGradients {
    ValueGradients(
      output: regions[gradients.output], sumsOutput: gradients.sumsOutput, input: regions[gradients.input])
  }

  private func layer(_ plan: Plan.Convolution, _ step: Plan.Step, _ index: Int) -> Convolution {
    let outputGradient: OutputGradient =
      switch plan.outputGradient {
      case .region(let region): .buffer(regions[region])
      case .affine(_, let normalization): .affine(secondPasses[normalization]!)
      }
    return Convolution(
      name: step.name, shape: plan.shape, input: activations[step.inputs[0]], output: activations[index],
      hasBias: plan.hasBias, isFirst: plan.place.seesImages,
      arithmetic: .init(
        plan.arithmetic, shape: plan.shape, quantizers: quantizers[index]!,
        copy: plan.copy.map { activations[step.inputs[0]].copies[$0] }, backend: backend),
      gradients: .init(
        output: outputGradient, input: plan.inputGradient.map { regions[$0] },
        firstPassOf: plan.firstPassOf.map { batchNorms[$0]! }, fromLevels: quantizers[index]!.levelGradients),
      sums: sums[index], backend: backend)
  }

  private func layer(_ plan: Plan.Normalization, _ step: Plan.Step, _ index: Int) -> BatchNormalization {
    let sums: ChannelSums? =
      switch plan.statistics {
      case .alone: nil
      case .inside(let convolution): self.sums[convolution]
      }
    return BatchNormalization(
      name: step.name, input: activations[step.inputs[0]],
      residual: plan.hasResidual ? activations[step.inputs[1]] : nil, rectifier: plan.rectifier,
      output: activations[index],
      sums: sums,
      backwardPasses: .init(
        runsFirst: plan.firstPass == .alone, second: secondPasses[index]!,
        inputGradient: plan.inputGradient.map { regions[$0] }), backend: backend)
  }
}
