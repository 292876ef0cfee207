import CKernels
@_spi(Kernels) import Tensor

/// What this machine can do at best, to hold kernels against.
extension CPUBackend {
  /// Floating-point operations a second of one core, in fused multiply-adds on registers: the best of `repetitions`.
  public func measurePeak(repetitions: Int = 9) -> Double {
    let kernels = sq_kernels_for(instructionSet.code).pointee
    var best = 0.0
    for _ in 0..<repetitions {
      let start = StepClock.now()
      let operations = kernels.peak_fma(2_000_000)
      best = max(best, operations / (StepClock.now() - start))
    }
    return best
  }

  /// Bytes a second read and written together by all threads copying buffers much larger than the caches.
  public func measureCopyBandwidth(repetitions: Int = 9) -> Double {
    let count = 16 << 20
    let source = Buffer<Float>(count: count)
    let target = Buffer<Float>(count: count)
    var best = 0.0
    for _ in 0..<repetitions {
      let start = StepClock.now()
      pool.run(pool.threads) { task, _ in
        let range = count * task / pool.threads..<count * (task + 1) / pool.threads
        (target.pointer + range.lowerBound).update(from: source.pointer + range.lowerBound, count: range.count)
      }
      best = max(best, Double(8 * count) / (StepClock.now() - start))
    }
    // Pointers keep no buffer alive.
    withExtendedLifetime((source, target)) {}
    return best
  }
}
