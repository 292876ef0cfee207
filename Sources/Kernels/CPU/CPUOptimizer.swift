import CKernels
@_spi(Kernels) public import Tensor

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

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

  /// In double precision, in one thread: it trains scales and ranges, which are few.
  public func adam(
    _ parameter: Parameter, first: Buffer<Float>, second: Buffer<Float>, step: Int, rate: Double, beta1: Double,
    beta2: Double, epsilon: Double
  ) {
    let firstCorrection = 1 - pow(beta1, Double(step))
    let secondCorrection = (1 - pow(beta2, Double(step))).squareRoot()
    for index in 0..<parameter.count {
      if let frozen = parameter.frozen, frozen[index] != 0 { continue }
      let gradient = Double(parameter.gradient[index])
      let m = beta1 * Double(first[index]) + (1 - beta1) * gradient
      let v = beta2 * Double(second[index]) + (1 - beta2) * gradient * gradient
      first[index] = Float(m)
      second[index] = Float(v)
      let denominator = v.squareRoot() / secondCorrection + epsilon
      parameter.value[index] -= Float(rate / firstCorrection * m / denominator)
    }
  }
}
