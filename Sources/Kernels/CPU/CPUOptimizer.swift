import CKernels
@_spi(Kernels) public import Tensor

extension CPUBackend {
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
