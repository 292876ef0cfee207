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
    _ parameter: Parameter, _ elements: Range<Int>, velocity: Buffer<Float>?, rate: Float, momentum: Float,
    weightDecay: Float
  ) {
    precondition(elements.lowerBound >= 0 && elements.upperBound <= parameter.count)
    let first = elements.lowerBound
    quantization.sgd(
      parameter.value.pointer + first, parameter.gradient.pointer + first, velocity.map { $0.pointer + first },
      parameter.frozen.map { $0.pointer + first }, Int64(elements.count), rate, momentum, weightDecay)
  }

  /// In double precision: it trains scales and ranges, which are few.
  public func adam(
    _ parameter: Parameter, _ elements: Range<Int>, first: Buffer<Float>, second: Buffer<Float>, step: Int,
    rate: Double, beta1: Double, beta2: Double, epsilon: Double
  ) {
    let firstCorrection = 1 - pow(beta1, Double(step))
    let secondCorrection = (1 - pow(beta2, Double(step))).squareRoot()
    for index in elements {
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
