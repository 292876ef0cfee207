import CKernels
@_spi(Kernels) public import Tensor

extension CPUBackend {
  /// g = gradient + weightDecay · w, v = momentum · v + g, w = w − rate · v, as PyTorch has it without dampening or
  /// Nesterov; `velocity` starts from zeros. Frozen weights keep their velocity too; gradients stay as they are.
  public func sgd(
    _ parameter: Parameter, velocity: Buffer<Float>?, rate: Float, momentum: Float, weightDecay: Float
  ) {
    let chunk = 1 << 16
    let chunks = (parameter.count + chunk - 1) / chunk
    pool.run(chunks) { task, _ in
      let first = task * chunk
      let count = min(chunk, parameter.count - first)
      quantization.sgd(
        parameter.value.pointer + first, parameter.gradient.pointer + first, velocity.map { $0.pointer + first },
        parameter.frozen.map { $0.pointer + first }, Int64(count), rate, momentum, weightDecay)
    }
  }
}
